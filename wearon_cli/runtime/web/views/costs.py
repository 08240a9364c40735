"""What was paid for pictures, from the book of purchases."""

from datetime import date, timedelta
from typing import Any, Final

from fastapi import APIRouter, Request, Response

from wearon_cli.core.errors import InputError
from wearon_cli.core.operator.costs import GroupBy, costs
from wearon_cli.core.operator.days import whole_days
from wearon_cli.core.purchases import B2C_OWNER, BookRow
from wearon_cli.core.session import utc_now
from wearon_cli.runtime.web import charts
from wearon_cli.runtime.web.site import Site

SPANS: Final = {f"{n}d": timedelta(days=n) for n in (7, 30, 90)}
#: Tones of the outcomes, from the bottom of a bar: what has a picture, and what was lost.
_TONES: Final = {
    "kept": "done",
    "fetched": "cause-3",
    "replaced": "cause-2",
    "unused": "cause-1",
    "lost": "failed",
}


def routes(site: Site) -> APIRouter:
    """The page."""
    router = APIRouter()

    @router.get("/costs")
    async def page(request: Request) -> Response:
        span = request.query_params.get("since", "30d")
        try:
            length, by = SPANS[span], GroupBy(request.query_params.get("by", "model"))
        except (KeyError, ValueError) as exc:
            raise InputError("this address has a value that the page does not know") from exc
        first, last = whole_days(length, now=utc_now())
        rows = list(await site.tools.book.rows(first, last))
        return site.page(
            request,
            "costs.html",
            since=span,
            spans={name: f"last {length.days} days" for name, length in SPANS.items()},
            first=first,
            last=last,
            by=by.value,
            groups=[each.value for each in GroupBy],
            lines=costs(rows, by),
            names=await _names(site, rows, by),
            total_usd=sum(row.cost_usd for row in rows),
            purchases=sum(row.count for row in rows),
            lost_usd=sum(row.cost_usd for row in rows if row.outcome not in {"kept", "fetched"}),
            outcomes=costs(rows, GroupBy.OUTCOME),
            days=costs(rows, GroupBy.DAY),
            tones=_TONES,
            chart=_chart(rows, first, last),
        )

    return router


async def _names(site: Site, rows: list[BookRow], by: GroupBy) -> dict[str, str]:
    """Shop domains of the lines that are stores."""
    if by is not GroupBy.STORE:
        return {}
    stores = {row.owner for row in rows if row.owner != B2C_OWNER}
    return dict(await site.tools.sessions.store_domains(stores))


def _chart(rows: list[BookRow], first: date, last: date) -> Any:
    sums: dict[date, dict[str, float]] = {}
    for row in rows:
        paid = sums.setdefault(row.day, dict.fromkeys(_TONES, 0.0))
        paid[row.outcome] = paid.get(row.outcome, 0.0) + row.cost_usd
    bars = []
    for n in range((last - first).days + 1):
        day = first + timedelta(days=n)
        parts = sums.get(day, {})
        bars.append(
            charts.Bar(
                label=f"{day:%d %b}",
                title=f"{day}: ${sum(parts.values()):.2f}",
                parts=[(tone, parts.get(name, 0.0)) for name, tone in _TONES.items()],
            )
        )
    total = sum(row.cost_usd for row in rows)
    return charts.bar_chart(bars, label=f"Costs by day, ${total:.2f} in all", unit="$")
