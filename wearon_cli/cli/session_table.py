"""Sessions as a table: always the id and the outcome, more columns on a wide terminal."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from rich.console import RenderableType
from rich.text import Text

from wearon_cli.cli.durations import ago
from wearon_cli.cli.looks import STATUS_TONES, masked_email, status_text
from wearon_cli.cli.tables import ByWidth, Column, table_of
from wearon_cli.core.operator.inspector import Listed
from wearon_cli.core.session import Status

#: Below this width, a failed session's error replaces its status.
NARROW: Final = 80


def sessions_table(found: Sequence[Listed], *, selected: Listed | None = None) -> RenderableType:
    """
    One row per session, in the given order.

    Args:
        found: The sessions.
        selected: The highlighted one.
    """

    def fitted(width: int) -> RenderableType:
        table = table_of(_columns(found, narrow=width < NARROW), width)
        for row, each in zip(table.rows, found, strict=True):
            row.style = "reverse" if each is selected else None
        return table

    return ByWidth(fitted)


def _columns(found: Sequence[Listed], *, narrow: bool) -> list[Column]:
    rows = [each.session for each in found]
    causes = ["; ".join((*filter(None, [each.cause]), *each.suspicions)) for each in found]
    ends = [_end(each) if narrow else status_text(each.session.status) for each in found]
    return [
        Column(name="session", cells=[row.session_id for row in rows]),
        Column(name="created", cells=[_created(row.created_at) for row in rows], rank=2),
        Column(name="status", cells=ends),
        *(() if narrow else (Column(name="why", cells=causes, rank=1, least=13),)),
        Column(
            name="cost",
            cells=[_cost(row.estimated_cost_usd) for row in rows],
            rank=3,
            is_number=True,
        ),
        Column(
            name="duration",
            cells=[_duration(row.processing_time_ms) for row in rows],
            rank=4,
            is_number=True,
        ),
        Column(name="store or user", cells=[row.owner_id for row in rows], rank=5),
        Column(
            name="shopper",
            cells=[masked_email(row.shopper_email) if row.shopper_email else "" for row in rows],
            rank=6,
        ),
    ]


def _end(found: Listed) -> Text:
    status = found.session.status
    failed = status is Status.FAILED and found.cause
    return STATUS_TONES[status].text(found.cause or "" if failed else status.value)


def _created(at: datetime) -> str:
    return f"{ago(at)} ago"


def _cost(cost_usd: float | None) -> str:
    return "" if cost_usd is None else f"${cost_usd:.4f}"


def _duration(took_ms: int | None) -> str:
    return "" if took_ms is None else f"{took_ms / 1000:.1f} s"
