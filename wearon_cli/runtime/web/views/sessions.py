"""The list of sessions: found by anything pasted, and by filters."""

from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from wearon_cli.core.errors import InputError
from wearon_cli.core.image_models import read_model_name
from wearon_cli.core.operator.filters import job_error_codes
from wearon_cli.core.operator.search import Page, Pasted, Wanted
from wearon_cli.core.session import Channel, Status, utc_now
from wearon_cli.runtime.web.site import Site

PAGE_ROWS: Final = 50
SPANS: Final = {
    "": None,
    "15m": timedelta(minutes=15),
    "1h": timedelta(hours=1),
    "6h": timedelta(hours=6),
    "1d": timedelta(days=1),
    "7d": timedelta(days=7),
    "30d": timedelta(days=30),
}
SPAN_WORDS: Final = {
    "": "any time",
    "15m": "last 15 minutes",
    "1h": "last hour",
    "6h": "last 6 hours",
    "1d": "last day",
    "7d": "last 7 days",
    "30d": "last 30 days",
}
#: Longest text that is looked for.
MOST_CHARS: Final = 1000
#: These texts mean one session: it is shown at once.
_EXACT: Final = frozenset({Pasted.SESSION, Pasted.ADDRESS, Pasted.PROVIDER_ID})


def routes(site: Site) -> APIRouter:
    """The page."""
    router = APIRouter()

    @router.get("/sessions")
    async def sessions(request: Request) -> Response:
        asked = dict(request.query_params)
        wanted = wanted_of(asked)
        page = await site.search.find(wanted)
        if len(page.sessions) == 1 and page.pasted in _EXACT:
            only = page.sessions[0].session.session_id
            return RedirectResponse(f"/sessions/{only}", status_code=303)
        for each in page.sessions:
            site.pictures.remember(each.session)
        stores = {
            each.session.owner_id for each in page.sessions if each.session.channel is Channel.B2B
        }
        values = {
            "page": page,
            "domains": await site.tools.sessions.store_domains(stores),
            "older": _older(asked, page),
            **_form(site, asked),
        }
        return site.page(request, "sessions.html", **values)

    return router


def wanted_of(asked: dict[str, str]) -> Wanted:
    """
    What the query of an address asks for.

    Raises:
        InputError: A field has a value that no form of ours sends.
    """
    try:
        status = frozenset({Status(asked["status"])}) if asked.get("status") else frozenset()
        span = SPANS[asked.get("since", "")]
        before = _cursor(asked["before"]) if asked.get("before") else None
    except (ValueError, KeyError) as exc:
        raise InputError("this address has a value that the page does not know") from exc
    return Wanted(
        text=asked.get("q", "")[:MOST_CHARS],
        since=utc_now() - span if span else None,
        statuses=status,
        owner=asked.get("store", "")[:MOST_CHARS],
        cause=asked.get("cause", "")[:MOST_CHARS],
        model=asked.get("model", "")[:MOST_CHARS],
        provider=asked.get("provider", "")[:MOST_CHARS],
        is_suspect=asked.get("suspect") == "on",
        before=before,
        limit=PAGE_ROWS,
    )


def _form(site: Site, asked: dict[str, str]) -> dict[str, Any]:
    settings = site.settings
    models = [read_model_name(name) for name in settings.model_names]
    names = ("q", "status", "since", "store", "cause", "model", "provider", "suspect")
    return {
        "query": asked.get("q", ""),
        "asked": {name: asked.get(name, "") for name in names},
        "is_filtered": any(asked.get(name) for name in names),
        "statuses": [status.value for status in Status],
        "spans": SPAN_WORDS,
        "causes": job_error_codes(),
        "models": sorted({model.model_id for model in models}),
        "providers": sorted({model.provider for model in models}),
    }


def _older(asked: dict[str, str], page: Page) -> str:
    """The address of the next page; empty when this is the last one."""
    if page.next is None:
        return ""
    at, session_id = page.next
    kept = {name: value for name, value in asked.items() if value and name != "before"}
    return "/sessions?" + urlencode({**kept, "before": f"{at.isoformat()} {session_id}"})


def _cursor(text: str) -> tuple[datetime, str]:
    at, _, session_id = text.partition(" ")
    moment = datetime.fromisoformat(at)
    if moment.tzinfo is None:
        raise ValueError(at)
    return moment, str(UUID(session_id))
