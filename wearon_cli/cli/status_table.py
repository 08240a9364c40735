"""The state of queue, workers and calls as a table."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from wearon_cli.cli.bars import bar, sparkline
from wearon_cli.cli.durations import ago
from wearon_cli.cli.looks import Tone
from wearon_cli.cli.tables import ByWidth
from wearon_cli.core.operator.roles import start_command

if TYPE_CHECKING:
    from wearon_cli.core.jobs.halts import HaltState
    from wearon_cli.core.operator.inspector import Listed
    from wearon_cli.core.operator.minutes import EndingCount
    from wearon_cli.core.operator.queue_stats import QueueStats
    from wearon_cli.core.operator.session_stats import SessionStats

#: Width in characters of the names left of the values.
LABELS: Final = 14
LIMIT_BAR: Final = 20
#: Failures that the live screen lists: as many as fit a small terminal.
MOST_FAILURES: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """The state at one moment."""

    stats: "QueueStats"
    halt: "HaltState"
    hour: "SessionStats"
    minutes: "Sequence[EndingCount]"  # each of the last hour
    cost_today_usd: float
    requests_per_minute: int
    failures: "Sequence[Listed]"  # the newest ones of the hour
    is_local: bool


def status_table(look: Look) -> RenderableType:
    """The state at one moment, as facts and sparklines."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", min_width=LABELS - 2)
    table.add_column(overflow="fold")
    for name, fact in (*_queue_facts(look), *_work_facts(look)):
        if fact:
            table.add_row(name, Text(fact) if isinstance(fact, str) else fact)
    return table


def _queue_facts(look: Look) -> list[tuple[str, RenderableType]]:
    now = look.stats
    waited = f", the oldest for {ago(now.waiting_since)}" if now.waiting_since else ""
    overdue = f"{now.overdue}; check that a consumer is running"
    consumers = Tone.OK.text(str(now.consumers))
    workers = Tone.OK.text(f"{now.workers} with {now.slots} slots")
    share = now.permits_used / look.requests_per_minute
    return [
        ("queue", f"{now.queued} queued, {now.ready} ready{waited}"),
        ("jobs", f"{now.released} released, {now.running} running, {now.waiting} waiting"),
        ("overdue", Tone.WARNING.text(overdue) if now.overdue else ""),
        ("consumers", consumers if now.consumers else _none_of("consume", look)),
        ("workers", workers if now.workers else _none_of("celery", look)),
        (
            "rate limit",
            f"{now.permits_used} of {look.requests_per_minute} in the last minute "
            f"{bar(share, width=LIMIT_BAR)}",
        ),
        ("calls", _calls(look.halt)),
    ]


def _none_of(role: str, look: Look) -> Text:
    command = start_command(role, is_local=look.is_local)
    return Tone.FAILED.text(f"NONE: start `{command}`")


def _calls(halt: "HaltState") -> Text:
    lines = halt.lines()
    return Tone.HALTED.text("\n".join(lines)) if lines else Tone.OK.text("not halted")


def _work_facts(look: Look) -> list[tuple[str, RenderableType]]:
    now, hour = look.stats, look.hour
    causes = ", ".join(f"{name} {count}" for name, count in hour.failures.items())
    failed = f"{hour.failed} in the last hour" + (f": {causes}" if causes else "")
    letters = str(now.dead_letters)
    return [
        (
            "completed",
            f"{hour.completed_per_minute:.1f} a minute, {hour.completed} in the last hour",
        ),
        ("each minute", _minutes([each.completed for each in look.minutes], Tone.OK)),
        ("job time", f"{hour.median_s:.1f} s (median)" if hour.median_s else ""),
        ("failed", Tone.FAILED.text(failed) if hour.failed else failed),
        ("each minute", _minutes([each.failed for each in look.minutes], Tone.FAILED)),
        ("dead letters", Tone.WARNING.text(letters) if now.dead_letters else letters),
        ("cost today", f"${look.cost_today_usd:.2f} (of this day, UTC)"),
        ("as of", f"{now.at.astimezone():%H:%M:%S}"),
    ]


def _minutes(counts: Sequence[int], tone: Tone) -> RenderableType:
    """One character per minute, as many of the newest as there is room for; "" when all are 0."""
    if not any(counts):
        return ""

    def newest(width: int) -> Text:
        shown = counts[-max(1, min(len(counts), width)) :]
        return Text(sparkline(shown), style=tone.style, no_wrap=True, overflow="crop")

    return ByWidth(newest)
