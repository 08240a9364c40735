"""`wearon status`: the state of queue, workers and calls."""

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.live import Live
from rich.table import Table

from wearon_cli.cli.durations import ago
from wearon_cli.cli.operator import with_tools
from wearon_cli.cli.options import DataDirOption, LocalOption
from wearon_cli.cli.output import Result, stdout_console
from wearon_cli.core.operator.queue_stats import QueueStats
from wearon_cli.core.operator.session_stats import SessionStats, session_stats
from wearon_cli.core.session import utc_now

if TYPE_CHECKING:
    from wearon_cli.core.jobs.halts import HaltState
    from wearon_cli.core.settings import Settings
    from wearon_cli.wiring.operator import OperatorTools

#: Rows that a look may read: an hour's at 300 a minute.
MOST_ROWS: Final = 20_000
HOUR: Final = timedelta(hours=1)
_NO_WORKER: Final = "NONE: start `wearon celery`"


def status(
    once: Annotated[
        bool, typer.Option("--once", help="One look, instead of a live screen.")
    ] = False,
    every: Annotated[
        float, typer.Option(min=1, help="Seconds between looks of the live screen.")
    ] = 3.0,
    local: LocalOption = False,
    data_dir: DataDirOption = None,
    *,
    ctx: typer.Context,
) -> Result:
    """
    Show the state of queue, workers, rate limit, failures, cost.

    A live screen on a terminal, until Ctrl-C; one look with --once, with --json, or in a pipe.
    Reads only.
    """

    as_json = ctx.find_root().obj.as_json

    async def work(tools: "OperatorTools", settings: "Settings") -> Result:
        console = stdout_console()
        if once or as_json or not console.is_terminal:
            data, table = await _look(tools, settings)
            return Result(data=data, lines=[table])
        with Live(console=console, screen=True, auto_refresh=False) as screen:
            while True:
                _, table = await _look(tools, settings)
                screen.update(table, refresh=True)
                await asyncio.sleep(every)

    return with_tools(work, local=local, data_dir=data_dir)


async def _look(tools: "OperatorTools", settings: "Settings") -> tuple[dict[str, object], Table]:
    from wearon_cli.core.jobs.halts import halt_state

    now = utc_now()
    rows = await tools.sessions.since(now - HOUR, limit=MOST_ROWS)
    hour = await session_stats(rows, tools.inspector.error_class)
    book = await tools.book.rows(now.date(), now.date())
    cost_usd = sum(row.cost_usd for row in book)
    stats = await tools.queue_stats.look()
    halt = halt_state(stats.halts, settings)
    return _facts(stats, halt, hour, cost_usd), _screen(stats, halt, hour, cost_usd, settings)


def _facts(
    now: QueueStats, halt: "HaltState", hour: SessionStats, cost_today_usd: float
) -> dict[str, object]:
    return {
        "at": now.at,
        "queued": now.queued,
        "ready": now.ready,
        "oldest_wait_s": _waited_s(now),
        "released": now.released,
        "running": now.running,
        "waiting": now.waiting,
        "overdue": now.overdue,
        "consumers": now.consumers,
        "workers": now.workers,
        "slots": now.slots,
        "permits_used": now.permits_used,
        "halt": halt,
        "dead_letters": now.dead_letters,
        "last_hour": hour,
        "cost_today_usd": round(cost_today_usd, 4),
    }


def _waited_s(now: QueueStats) -> float:
    return max(0.0, (now.at - now.waiting_since).total_seconds()) if now.waiting_since else 0.0


def _screen(
    now: QueueStats, halt: "HaltState", hour: SessionStats, cost_usd: float, settings: "Settings"
) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    failures = ", ".join(f"{name} {count}" for name, count in hour.failures.items())
    waited = f", the next one for {ago(now.waiting_since)}" if now.waiting_since else ""
    facts = [
        ("queue", f"{now.queued} not taken, {now.ready} ready{waited}"),
        ("jobs", f"{now.released} released, {now.running} running, {now.waiting} waiting"),
        ("overdue", f"{now.overdue}: is a consumer running?" if now.overdue else ""),
        ("consumers", str(now.consumers) if now.consumers else "NONE: start `wearon consume`"),
        ("workers", f"{now.workers} with {now.slots} slots" if now.workers else _NO_WORKER),
        ("rate limit", f"{now.permits_used} of {settings.requests_per_minute} in the last minute"),
        ("calls", "\n".join(halt.lines()) or "go out"),
        ("done", f"{hour.done_per_minute:.1f} a minute, {hour.completed} in the last hour"),
        ("a job takes", f"{hour.median_s:.1f} s (median)" if hour.median_s else ""),
        ("failed", f"{hour.failed} in the last hour" + (f": {failures}" if failures else "")),
        ("dead letters", str(now.dead_letters)),
        ("cost today", f"${cost_usd:.2f} (of this day, UTC)"),
        ("looked at", f"{now.at.astimezone():%H:%M:%S}"),
    ]
    for name, fact in facts:
        if fact:
            table.add_row(name, fact)
    return table
