"""Rows, credits, pictures and jobs, compared when somebody asks for it."""

from datetime import timedelta
from typing import Any, Final

from fastapi import APIRouter, Request, Response

from wearon_cli.core.errors import InputError
from wearon_cli.core.session import utc_now
from wearon_cli.runtime.web.site import Site

SPANS: Final = {
    "1h": (timedelta(hours=1), "last hour"),
    "6h": (timedelta(hours=6), "last 6 hours"),
    "1d": (timedelta(days=1), "last day"),
    "7d": (timedelta(days=7), "last 7 days"),
}
#: Rows compared at most: each takes several calls. The command takes more.
MOST_ROWS: Final = 1000


def routes(site: Site) -> APIRouter:
    """The page."""
    router = APIRouter()

    @router.get("/reconcile")
    async def reconcile(request: Request) -> Response:
        span = request.query_params.get("since", "")
        if span and span not in SPANS:
            raise InputError("this address has a value that the page does not know")
        facts = await _compared(site, span) if span else {"cases": None}
        spans = {name: words for name, (_, words) in SPANS.items()}
        return site.page(request, "reconcile.html", since=span, spans=spans, **facts)

    return router


async def _compared(site: Site, span: str) -> dict[str, Any]:
    async with site.comparing:
        await site.tools.require_whole_view()
        looked_at, cases = await site.tools.reconciler.find(
            utc_now() - SPANS[span][0], limit=MOST_ROWS
        )
    return {
        "looked_at": looked_at,
        "is_whole": looked_at < MOST_ROWS,
        "cases": cases,
        "most": MOST_ROWS,
        "words": SPANS[span][1],
    }
