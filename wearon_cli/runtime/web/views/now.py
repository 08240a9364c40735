"""What waits, runs and is halted right now, and what it costs today."""

import asyncio
from datetime import datetime, timedelta
from typing import Any, Final

from fastapi import APIRouter, Request, Response

from wearon_cli.core.jobs.halts import halt_state
from wearon_cli.core.operator.minutes import EndingCount, in_steps
from wearon_cli.core.operator.queue_stats import QueueStats
from wearon_cli.core.operator.roles import start_command
from wearon_cli.core.session import utc_now
from wearon_cli.runtime.web import charts
from wearon_cli.runtime.web.live import stream
from wearon_cli.runtime.web.site import Site

SPAN: Final = timedelta(hours=1)
MINUTE: Final = timedelta(minutes=1)
#: A refresh costs Redis about 20 commands, including those inside its script.
LOOK_EVERY_S: Final = 5.0


def routes(site: Site) -> APIRouter:
    """The page and its live part."""
    router = APIRouter()
    shared = _SharedLook(site)

    @router.get("/")
    async def now(request: Request) -> Response:
        return site.page(request, "now.html", **await shared.facts())

    @router.get("/live/now")
    async def live(request: Request) -> Response:
        async def part() -> str:
            return site.part(request, "_now.html", await shared.facts())

        return stream(site, part, every_s=LOOK_EVERY_S)

    return router


class _SharedLook:
    """One look serves all who watch."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._turn = asyncio.Lock()
        self._facts: dict[str, Any] = {}
        self._at_s = -LOOK_EVERY_S

    async def facts(self) -> dict[str, Any]:
        async with self._turn:
            now_s = self._site.clock()
            if now_s - self._at_s > LOOK_EVERY_S / 2:
                self._facts = await now_facts(self._site)
                self._at_s = now_s
            return self._facts


async def now_facts(site: Site) -> dict[str, Any]:
    """All that the page shows: read from Redis alone, so that it stands when Supabase is away."""
    tools, now = site.tools, utc_now()
    minute = now.replace(second=0, microsecond=0)
    since = minute - SPAN + MINUTE
    stats, workers, minutes, book = await asyncio.gather(
        tools.queue_stats.look(),
        tools.workforce.look(),
        tools.endings.minutes(since, now),
        tools.book.rows(now.date(), now.date()),
    )
    steps = in_steps(minutes, since=since, until=now, step=MINUTE)
    waited_s = (stats.at - stats.waiting_since).total_seconds() if stats.waiting_since else 0.0
    return {
        "stats": stats,
        "halt": halt_state(stats.halts, site.settings),
        "workers": workers,
        "start": _start(stats, is_local=site.settings.is_local),
        "waited_s": waited_s,
        "limit": site.settings.requests_per_minute,
        "limit_meter": charts.meter(
            stats.permits_used,
            site.settings.requests_per_minute,
            label=f"{stats.permits_used} of {site.settings.requests_per_minute} requests",
        ),
        "slots_meter": charts.meter(
            stats.running, stats.slots, label=f"{stats.running} of {stats.slots} slots"
        ),
        "steps": steps,
        "chart": charts.bar_chart([_bar(each) for each in steps], label=_summary(steps)),
        "completed": sum(each.completed for each in steps),
        "failed": sum(each.failed for each in steps),
        "causes": causes_of(steps),
        "cost_usd": sum(row.cost_usd for row in book),
        "purchases": sum(row.count for row in book),
    }


def _start(stats: QueueStats, *, is_local: bool) -> str:
    """The command that starts the role that is missing first."""
    return start_command("celery" if stats.consumers else "consume", is_local=is_local)


def causes_of(steps: list[EndingCount]) -> list[tuple[str, int]]:
    """Failures by cause, the most frequent first."""
    sums: dict[str, int] = {}
    for step in steps:
        for code, count in step.failures.items():
            sums[code] = sums.get(code, 0) + count
    return sorted(sums.items(), key=lambda each: (-each[1], each[0]))


def _bar(step: EndingCount) -> charts.Bar:
    title = f"{step.at:%H:%M} UTC: {step.completed} completed, {step.failed} failed"
    parts = (("done", step.completed), ("failed", step.failed))
    return charts.Bar(label=_label(step.at), title=title, parts=parts)


def _label(at: datetime) -> str:
    return f"{at:%H:%M}"


def _summary(steps: list[EndingCount]) -> str:
    completed, failed = sum(each.completed for each in steps), sum(each.failed for each in steps)
    return f"Jobs by minute in the last hour: {completed} completed, {failed} failed"
