"""Counts the outcomes of the sessions of a span of time. Reads only."""

import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from wearon_cli.core.session import Session, Status, utc_now

#: Span of `completed_per_minute`.
RECENT: Final = timedelta(minutes=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionStats:
    """The outcomes of the sessions of a span."""

    created: int
    completed: int
    failed: int
    open: int
    completed_per_minute: float  # completed in the last five minutes
    median_s: float | None  # of a completed job, first claim to row
    failures: dict[str, int] = field(default_factory=dict)  # by class of error


def session_stats(rows: Sequence[Session], causes: Iterable[str | None]) -> SessionStats:
    """
    Count sessions by outcome.

    Args:
        rows: The sessions.
        causes: Of those that failed, or of the newest ones, as `Inspector.error_classes` tells.
    """
    recent = utc_now() - RECENT
    completed = [row for row in rows if row.status is Status.COMPLETED]
    failed = [row for row in rows if row.status is Status.FAILED]
    times_ms = [row.processing_time_ms for row in completed if row.processing_time_ms]
    lately = sum(row.completed_at is not None and row.completed_at > recent for row in completed)
    return SessionStats(
        created=len(rows),
        completed=len(completed),
        failed=len(failed),
        open=len(rows) - len(completed) - len(failed),
        completed_per_minute=lately / (RECENT.total_seconds() / 60),
        median_s=statistics.median(times_ms) / 1000 if times_ms else None,
        failures=dict(Counter(cause or "" for cause in causes).most_common()),
    )
