"""Why jobs failed: by cause and by store, over time."""

from collections import Counter
from datetime import timedelta
from typing import Any, Final

from fastapi import APIRouter, Request, Response

from wearon_cli.core.errors import InputError
from wearon_cli.core.operator.chances import replay_chance
from wearon_cli.core.operator.minutes import EndingCount, in_steps
from wearon_cli.core.session import Channel, RowQuery, Session, Status, utc_now
from wearon_cli.runtime.web import charts
from wearon_cli.runtime.web.site import Site
from wearon_cli.runtime.web.views.now import causes_of

#: Span and step of the chart.
SPANS: Final = {
    "1h": (timedelta(hours=1), timedelta(minutes=1), "last hour"),
    "1d": (timedelta(days=1), timedelta(minutes=30), "last day"),
    "7d": (timedelta(days=7), timedelta(hours=4), "last 7 days"),
}
#: Causes that have a colour of their own; the others share one.
COLOURED: Final = 4
#: Most failed rows grouped by store.
MOST_ROWS: Final = 1000


def routes(site: Site) -> APIRouter:
    """The page."""
    router = APIRouter()

    @router.get("/failures")
    async def failures(request: Request) -> Response:
        span = request.query_params.get("since", "1d")
        if span not in SPANS:
            raise InputError("this address asks for something that there is not")
        return site.page(request, "failures.html", **await _facts(site, span))

    return router


async def _facts(site: Site, span: str) -> dict[str, Any]:
    length, step, words = SPANS[span]
    now = utc_now()
    since = _floor(now - length + step, step)
    minutes = await site.tools.endings.minutes(since, now)
    steps = in_steps(minutes, since=since, until=now, step=step)
    causes = causes_of(steps)
    completed = sum(each.completed for each in steps)
    failed = sum(each.failed for each in steps)
    query = RowQuery(since=since, statuses=frozenset({Status.FAILED}))
    rows = await site.tools.sessions.newest(query, limit=MOST_ROWS)
    tones = {code: f"cause-{n}" for n, (code, _) in enumerate(causes[:COLOURED])}
    return {
        "since": span,
        "words": words,
        "spans": {name: each[2] for name, each in SPANS.items()},
        "chart": charts.bar_chart(
            [_bar(each, step, tones) for each in steps],
            label=f"Failures in the {words}: {failed} of {completed + failed} jobs",
        ),
        "steps": [each for each in steps if each.failed],
        "causes": [
            {
                "code": code,
                "count": count,
                "tone": tones.get(code, "cause-rest"),
                "chance": replay_chance(code),
            }
            for code, count in causes
        ],
        "completed": completed,
        "failed": failed,
        "stores": await _stores(site, rows),
        "is_whole": len(rows) < MOST_ROWS,
        "rows": len(rows),
    }


async def _stores(site: Site, rows: list[Session] | Any) -> list[dict[str, Any]]:
    """Failed sessions by their owner, with the most frequent cause of each."""
    causes = await site.tools.inspector.error_classes(rows)
    by_owner: dict[tuple[Channel, str], Counter[str]] = {}
    for row, cause in zip(rows, causes, strict=True):
        owner = row.owner_id if row.channel is Channel.B2B else ""
        by_owner.setdefault((row.channel, owner), Counter())[cause or ""] += 1
    domains = await site.tools.sessions.store_domains(
        [owner for channel, owner in by_owner if channel is Channel.B2B]
    )
    ranked = sorted(by_owner.items(), key=lambda each: -each[1].total())
    return [
        {
            "owner": owner,
            "name": domains.get(owner, owner) if channel is Channel.B2B else "users (b2c)",
            "count": counts.total(),
            "cause": counts.most_common(1)[0][0],
        }
        for (channel, owner), counts in ranked[:50]
    ]


def _bar(step: EndingCount, length: timedelta, tones: dict[str, str]) -> charts.Bar:
    parts: dict[str, float] = dict.fromkeys([*tones.values(), "cause-rest"], 0.0)
    for code, count in step.failures.items():
        parts[tones.get(code, "cause-rest")] += count
    told = ", ".join(f"{code} {n}" for code, n in sorted(step.failures.items())) or "no failure"
    form = "%H:%M" if length < timedelta(hours=1) else "%d %b %H:%M"
    return charts.Bar(
        label=step.at.strftime("%H:%M" if length < timedelta(hours=1) else "%d %b"),
        title=f"{step.at.strftime(form)} UTC: {told}",
        parts=list(parts.items()),
    )


def _floor(at: Any, step: timedelta) -> Any:
    """The beginning of the step that this time is in."""
    return at - timedelta(seconds=at.timestamp() % step.total_seconds())
