"""`wearon status`: the state of queue and workers."""

import asyncio
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.live import Live
from rich.table import Table

from wearon_cli.cli.durations import ago
from wearon_cli.cli.operator import with_tools
from wearon_cli.cli.options import DataDirOption, LocalOption
from wearon_cli.cli.output import Result, stdout_console
from wearon_cli.core.operator.figures import SessionStats, cost_of, session_stats
from wearon_cli.core.operator.queue_stats import QueueStats
from wearon_cli.core.session import Status, utc_now
from wearon_cli.wiring import OperatorTools

if TYPE_CHECKING:
    from wearon_cli.core.settings import Settings

#: Most rows read at once. A full day at 300 a minute has more; today's cost is then a lower bound.
MAX_ROWS: Final = 20_000
HOUR: Final = timedelta(hours=1)


def status(
    once: Annotated[
        bool, typer.Option("--once", help="Print once, instead of a live screen.")
    ] = False,
    every: Annotated[
        float, typer.Option(min=1, help="Seconds between updates of the live screen.")
    ] = 3.0,
    local: LocalOption = False,
    data_dir: DataDirOption = None,
    *,
    ctx: typer.Context,
) -> Result:
    """
    Show queue, workers, rate limit, failures and cost.

    A live screen on a terminal, until Ctrl-C; printed once with --once, with --json, or in a pipe.
    Reads only.
    """

    as_json = ctx.find_root().obj.as_json

    async def work(tools: OperatorTools, settings: "Settings") -> Result:
        console = stdout_console()
        if once or as_json or not console.is_terminal:
            data, table = await _snapshot(tools, settings)
            return Result(data=data, lines=[table])
        with Live(console=console, screen=True, auto_refresh=False) as screen:
            while True:
                _, table = await _snapshot(tools, settings)
                screen.update(table, refresh=True)
                await asyncio.sleep(every)

    return with_tools(work, local=local, data_dir=data_dir)


async def _snapshot(tools: OperatorTools, settings: "Settings") -> tuple[dict[str, object], Table]:
    now = utc_now()
    midnight = now.astimezone().replace(hour=0, minute=0, second=0, microsecond=0)
    today = await tools.sessions.since(min(midnight, now - HOUR), limit=MAX_ROWS)
    hour = await session_stats([r for r in today if r.created_at > now - HOUR], tools.journal)
    cost = cost_of(r for r in today if r.status is Status.COMPLETED and r.created_at > midnight)
    stats = await tools.queue_stats.look()
    return _facts(stats, hour, cost), _screen(stats, hour, cost, settings, midnight)


def _facts(now: QueueStats, hour: SessionStats, cost_today_usd: float) -> dict[str, object]:
    return {
        "at": now.at,
        "queued": now.queued,
        "ready": now.ready,
        "oldest_wait_s": _waited_s(now),
        "leased": now.held,
        "overdue": now.overdue,
        "consumers": now.consumers,
        "permits_used": now.permits_used,
        "halted_because": now.halted_because,
        "dead_letters": now.dead_letters,
        "last_hour": hour,
        "cost_today_usd": round(cost_today_usd, 4),
    }


def _waited_s(now: QueueStats) -> float:
    return max(0.0, (now.at - now.waiting_since).total_seconds()) if now.waiting_since else 0.0


def _screen(
    now: QueueStats, hour: SessionStats, cost_usd: float, settings: "Settings", midnight: datetime
) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    failures = ", ".join(f"{name} {count}" for name, count in hour.failures.items())
    waited = f", the oldest for {ago(now.waiting_since)}" if now.waiting_since else ""
    facts = [
        ("waiting", f"{now.queued} not taken, {now.ready} ready{waited}"),
        ("leased", f"{now.held} running or delayed" + _overdue(now)),
        ("consumers", str(now.consumers) if now.consumers else "NONE: start `wearon consume`"),
        ("rate limit", f"{now.permits_used} of {settings.requests_per_minute} in the last minute"),
        ("image API", f"HALTED: {now.halted_because}" if now.halted_because else "open"),
        ("done", f"{hour.done_per_minute:.1f} a minute, {hour.completed} in the last hour"),
        ("a job takes", f"{hour.median_s:.1f} s (median)" if hour.median_s else ""),
        ("failed", f"{hour.failed} in the last hour" + (f": {failures}" if failures else "")),
        ("dead letters", str(now.dead_letters)),
        ("cost today", f"${cost_usd:.2f} since {midnight:%H:%M}"),
        ("looked at", f"{now.at.astimezone():%H:%M:%S}"),
    ]
    for name, fact in facts:
        if fact:
            table.add_row(name, fact)
    return table


def _overdue(now: QueueStats) -> str:
    return f"; {now.overdue} OVERDUE: is a consumer running?" if now.overdue else ""
