"""`wearon status`: the state of the queue, the workers and the calls."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Annotated, Final

import typer

from wearon_cli.cli.operator import with_tools
from wearon_cli.cli.options import DataDirOption, LocalOption
from wearon_cli.cli.output import Result, stdout_console
from wearon_cli.core.session import Status, utc_now

if TYPE_CHECKING:
    from rich.console import RenderableType

    from wearon_cli.cli.status_table import Look
    from wearon_cli.core.operator.inspector import Listed
    from wearon_cli.core.operator.minutes import EndingCount
    from wearon_cli.core.operator.queue_stats import QueueStats
    from wearon_cli.core.session import Session
    from wearon_cli.core.settings import Settings
    from wearon_cli.wiring.operator import OperatorTools

#: Most rows read at once: an hour's worth at 300 a minute.
MOST_ROWS: Final = 20_000
#: The newest failures, whose causes are counted.
MOST_CAUSES: Final = 500
HOUR: Final = timedelta(hours=1)
MINUTE: Final = timedelta(minutes=1)


def status(
    once: Annotated[
        bool, typer.Option("--once", help="Print once and exit, instead of a live screen.")
    ] = False,
    every: Annotated[
        float, typer.Option(min=1, help="Seconds between refreshes of the live screen.")
    ] = 3.0,
    local: LocalOption = False,
    data_dir: DataDirOption = None,
    *,
    ctx: typer.Context,
) -> Result:
    """
    Show the queue, workers, rate limit, failures and cost.

    On a terminal this is a live screen: q quits, p pauses, the up and down keys select a recent
    failure and enter opens it. Each character of the charts under `done` and `failed` is one
    minute. With --once, with --json or in a pipe it prints once and exits. Read-only.
    """

    as_json = ctx.find_root().obj.as_json

    async def work(tools: "OperatorTools", settings: "Settings") -> Result:
        console = stdout_console()
        look = partial(_look, tools, settings)
        if once or as_json or not console.is_terminal:
            from wearon_cli.cli.status_table import status_table

            found = await look()
            return Result(data=_facts(found), lines=[status_table(found)])
        from wearon_cli.cli.status_screen import live

        await live(look, partial(_session, tools, settings), console, every_s=every)
        return Result()

    return with_tools(work, local=local, data_dir=data_dir)


async def _look(tools: "OperatorTools", settings: "Settings") -> "Look":
    from wearon_cli.cli.status_table import MOST_FAILURES, Look
    from wearon_cli.core.jobs.halts import halt_state
    from wearon_cli.core.operator.session_stats import session_stats

    now = utc_now()
    rows = await tools.sessions.since(now - HOUR, limit=MOST_ROWS)
    book = await tools.book.rows(now.date(), now.date())
    stats = await tools.queue_stats.look()
    failures = await _failures(tools, rows)
    return Look(
        stats=stats,
        halt=halt_state(stats.halts, settings),
        hour=session_stats(rows, [each.cause for each in failures]),
        minutes=await _minutes(tools, now),
        cost_today_usd=sum(row.cost_usd for row in book),
        requests_per_minute=settings.requests_per_minute,
        failures=failures[:MOST_FAILURES],
        is_local=settings.is_local,
    )


async def _failures(tools: "OperatorTools", rows: "Sequence[Session]") -> "list[Listed]":
    """The newest failures, with their causes. Without one, the inspector is not imported."""
    failed = [row for row in rows if row.status is Status.FAILED][:MOST_CAUSES]
    if not failed:
        return []
    from wearon_cli.core.operator.inspector import Listed

    causes = await tools.inspector.error_classes(failed)
    return [Listed(session=row, cause=each) for row, each in zip(failed, causes, strict=True)]


async def _minutes(tools: "OperatorTools", now: datetime) -> "list[EndingCount]":
    """Each minute of the last hour; the current one is the last."""
    from wearon_cli.core.operator.minutes import in_steps

    until = now.replace(second=0, microsecond=0) + MINUTE
    counts = await tools.endings.minutes(until - HOUR, until)
    return in_steps(counts, since=until - HOUR, until=until, step=MINUTE)


async def _session(
    tools: "OperatorTools", settings: "Settings", session_id: str
) -> "list[RenderableType]":
    from wearon_cli.cli.session_sheet import session_lines

    del settings
    report = await tools.inspector.inspect(session_id)
    return session_lines(report, await tools.inspector.input_pictures(report))


def _facts(look: "Look") -> dict[str, object]:
    now = look.stats
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
        "halt": look.halt,
        "dead_letters": now.dead_letters,
        "last_hour": look.hour,
        "minutes": [
            {"at": each.at, "completed": each.completed, "failed": each.failed}
            for each in look.minutes
        ],
        "cost_today_usd": round(look.cost_today_usd, 4),
    }


def _waited_s(now: "QueueStats") -> float:
    return max(0.0, (now.at - now.waiting_since).total_seconds()) if now.waiting_since else 0.0
