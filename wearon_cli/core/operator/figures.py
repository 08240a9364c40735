"""Sums over sessions: what was done, what it cost, why it failed. Reads only."""

import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from wearon_cli.core.jobs.journal import Journal
from wearon_cli.core.session import Session, Status, utc_now

#: Span of "done a minute".
RECENT: Final = timedelta(minutes=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionStats:
    """What became of the sessions of a span."""

    made: int
    completed: int
    failed: int
    open: int
    done_per_minute: float  # completed in the last five minutes
    median_s: float | None  # of a completed job, claim to row
    cost_usd: float
    failures: dict[str, int] = field(default_factory=dict)  # by class of error


async def session_stats(
    rows: Sequence[Session], journal: Journal, *, told_failures: int = 50
) -> SessionStats:
    """
    Sum sessions up.

    Args:
        rows: The sessions, newest first.
        journal: Knows why a session failed, for seven days.
        told_failures: Most failures whose class is looked up.
    """
    recent = utc_now() - RECENT
    completed = [row for row in rows if row.status is Status.COMPLETED]
    failed = [row for row in rows if row.status is Status.FAILED]
    times_ms = [row.processing_time_ms for row in completed if row.processing_time_ms]
    lately = sum(row.completed_at is not None and row.completed_at > recent for row in completed)
    classes = [await error_class(row, journal) for row in failed[:told_failures]]
    return SessionStats(
        made=len(rows),
        completed=len(completed),
        failed=len(failed),
        open=len(rows) - len(completed) - len(failed),
        done_per_minute=lately / (RECENT.total_seconds() / 60),
        median_s=statistics.median(times_ms) / 1000 if times_ms else None,
        cost_usd=cost_of(completed),
        failures=dict(Counter(classes).most_common()),
    )


async def error_class(row: Session, journal: Journal) -> str:
    """The class of error that failed a session, or "unknown" when its story is gone."""
    told = [line.get("error") for line in await journal.timeline(row.session_id)]
    return next((str(code) for code in reversed(told) if code), "unknown")


def cost_of(rows: Iterable[Session]) -> float:
    """Estimated USD."""
    return sum(row.estimated_cost_usd or 0.0 for row in rows)


class By(StrEnum):
    """How costs are parted."""

    STORE = "store"
    DAY = "day"
    MODEL = "model"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """One line of the costs."""

    name: str
    pictures: int
    cost_usd: float


async def costs(rows: Sequence[Session], by: By, journal: Journal) -> list[Cost]:
    """Costs of completed sessions, the largest first; days in order."""
    parts: dict[str, list[Session]] = {}
    for row in rows:
        if row.status is Status.COMPLETED:
            parts.setdefault(await _name(row, by, journal), []).append(row)
    found = [
        Cost(name=name, pictures=len(mine), cost_usd=cost_of(mine)) for name, mine in parts.items()
    ]
    if by is By.DAY:
        return sorted(found, key=lambda cost: cost.name)
    return sorted(found, key=lambda cost: -cost.cost_usd)


async def _name(row: Session, by: By, journal: Journal) -> str:
    if by is By.STORE:
        return f"{row.channel.value} {row.owner_id}" if row.channel.value == "b2b" else "b2c users"
    if by is By.DAY:
        return f"{_local_day(row.completed_at or row.created_at)}"
    told = [line.get("model") for line in await journal.timeline(row.session_id)]
    return next((str(model) for model in reversed(told) if model), "unknown (story gone)")


def _local_day(moment: datetime) -> str:
    return f"{moment.astimezone():%Y-%m-%d}"
