"""
Why jobs failed: by cause and by store, over time.

Hours come from the counts of each minute, which are kept for eight days; days come from the counts
of each day, which are kept for 400 and which `wearon failures` adds up.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, time, timedelta
from typing import Any, Final

from fastapi import APIRouter, Request, Response

from wearon_cli.core.errors import InputError
from wearon_cli.core.failures import FailureRow
from wearon_cli.core.operator.chances import replay_chance
from wearon_cli.core.operator.days import whole_days
from wearon_cli.core.operator.failures import FailuresBy
from wearon_cli.core.operator.failures import failures as parted
from wearon_cli.core.operator.minutes import EndingCount, in_steps
from wearon_cli.core.purchases import B2C_OWNER
from wearon_cli.core.session import Channel, RowQuery, Session, Status, utc_now
from wearon_cli.runtime.web import charts
from wearon_cli.runtime.web.site import Site
from wearon_cli.runtime.web.views.now import causes_of
from wearon_cli.runtime.web.views.sessions import SPANS as SESSION_SPANS

#: Span and step of the chart, in words.
HOURS: Final = {
    "1h": (timedelta(hours=1), timedelta(minutes=1), "last hour"),
    "1d": (timedelta(days=1), timedelta(minutes=30), "last 24 hours"),
}
A_DAY: Final = timedelta(days=1)
#: Span and step of the chart; a bar for each of 400 days would be thinner than a pixel.
DAYS: Final = {
    "7d": (timedelta(days=7), A_DAY, "last 7 days"),
    "30d": (timedelta(days=30), A_DAY, "last 30 days"),
    "90d": (timedelta(days=90), A_DAY, "last 90 days"),
    "400d": (timedelta(days=400), 7 * A_DAY, "last 400 days"),
}
#: Days are not among them: the chart shows those.
GROUPS: Final = tuple(by for by in FailuresBy if by is not FailuresBy.DAY)
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
        if span in HOURS:
            facts = await _of_hours(site, span)
        elif span in DAYS:
            facts = await _of_days(site, span, _group(request))
        else:
            raise InputError("this address has a value that the page does not know")
        spans = {name: words for name, (*_, words) in (HOURS | DAYS).items()}
        return site.page(request, "failures.html", since=span, spans=spans, **facts)

    return router


def _group(request: Request) -> FailuresBy:
    try:
        by = FailuresBy(request.query_params.get("by", FailuresBy.CAUSE))
        return GROUPS[GROUPS.index(by)]
    except ValueError as exc:
        raise InputError("this address has a value that the page does not know") from exc


async def _of_hours(site: Site, span: str) -> dict[str, Any]:
    length, step, words = HOURS[span]
    now = utc_now()
    since = _floor(now - length + step, step)
    minutes = await site.tools.endings.minutes(since, now)
    steps = in_steps(minutes, since=since, until=now, step=step)
    query = RowQuery(since=since, statuses=frozenset({Status.FAILED}))
    rows = await site.tools.sessions.newest(query, limit=MOST_ROWS)
    causes, tones = causes_of(steps), _tones(steps)
    return {
        **_over_time(steps, step, tones, words),
        "by": FailuresBy.CAUSE,
        "groups": (),
        "lines": [_cause(code, jobs, tones, span) for code, jobs in causes],
        "completed": sum(each.completed for each in steps),
        "stores": await _stores(site, rows),
        "is_whole": len(rows) < MOST_ROWS,
        "rows": len(rows),
    }


async def _of_days(site: Site, span: str, by: FailuresBy) -> dict[str, Any]:
    length, step, words = DAYS[span]
    first, last = whole_days(length, now=utc_now())
    rows = await site.tools.failures.failures(first, last)
    since, until = (datetime.combine(day, time(), UTC) for day in (first, last + A_DAY))
    days = in_steps(_by_day(rows), since=since, until=until, step=A_DAY)
    tones = _tones(days)
    if by is FailuresBy.CAUSE:
        lines = [_cause(line.name, line.jobs, tones, span) for line in parted(rows, by)]
    else:
        lines = await _lines(site, rows, by, span)
    return {
        **_over_time(in_steps(days, since=since, until=until, step=step), step, tones, words),
        "steps": [each for each in days if each.failed],
        "by": by.value,
        "groups": [each.value for each in GROUPS],
        "lines": lines,
        "first": first,
        "last": last,
    }


def _by_day(rows: Iterable[FailureRow]) -> list[EndingCount]:
    return [
        EndingCount(at=datetime.combine(row.day, time(), UTC), failures={row.error_code: row.count})
        for row in rows
    ]


def _tones(steps: list[EndingCount]) -> dict[str, str]:
    return {code: f"cause-{n}" for n, (code, _) in enumerate(causes_of(steps)[:COLOURED])}


def _over_time(
    steps: list[EndingCount], step: timedelta, tones: dict[str, str], words: str
) -> dict[str, Any]:
    """The chart, and the table of the same numbers."""
    failed = sum(each.failed for each in steps)
    bars = [_bar(each, step, tones) for each in steps]
    return {
        "words": words,
        "failed": failed,
        "chart": charts.bar_chart(bars, label=f"Failures in the {words}: {failed} jobs"),
        "steps": [each for each in steps if each.failed],
        "is_daily": step >= A_DAY,
        "tones": tones,
        "has_others": len(causes_of(steps)) > COLOURED,
    }


def _cause(code: str, jobs: int, tones: dict[str, str], span: str) -> dict[str, Any]:
    return {
        "name": code,
        "jobs": jobs,
        "query": {"cause": code, "since": span if span in SESSION_SPANS else ""},
        "tone": tones.get(code, "cause-rest"),
        "chance": replay_chance(code),
    }


async def _lines(
    site: Site, rows: Sequence[FailureRow], by: FailuresBy, span: str
) -> list[dict[str, Any]]:
    """Failures by anything but their cause, the most frequent first."""
    stores = {row.owner for row in rows if row.owner != B2C_OWNER}
    domains = await site.tools.sessions.store_domains(stores if by is FailuresBy.STORE else [])
    since = span if span in SESSION_SPANS else ""
    return [
        {
            "name": domains.get(line.name, line.name),
            "jobs": line.jobs,
            "query": {"store": line.name, "status": "failed", "since": since}
            if by is FailuresBy.STORE and line.name in stores
            else None,
        }
        for line in parted(rows, by)
    ]


async def _stores(site: Site, rows: Sequence[Session]) -> list[dict[str, Any]]:
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
    form = "%d %b" if length >= A_DAY else "%H:%M"
    at = f"{step.at:%d %b %H:%M} UTC" if length < A_DAY else f"{step.at:%Y-%m-%d}"
    at += f" and {length.days - 1} days on" if length > A_DAY else ""
    return charts.Bar(
        label=step.at.strftime(form), title=f"{at}: {told}", parts=list(parts.items())
    )


def _floor(at: datetime, step: timedelta) -> datetime:
    """The beginning of the step that this time is in."""
    return at - timedelta(seconds=at.timestamp() % step.total_seconds())
