"""Dead letters: the list, and one of them."""

import json
from typing import Final

from fastapi import APIRouter, Request, Response

from wearon_cli.core.jobs.dead_letters import DeadLetter
from wearon_cli.runtime.web.site import Site

MOST: Final = 200


def routes(site: Site) -> APIRouter:
    """The pages."""
    router = APIRouter()

    @router.get("/dead-letters")
    async def letters(request: Request) -> Response:
        found = await site.tools.letters.list(limit=MOST)
        return site.page(request, "letters.html", letters=found, most=MOST)

    @router.get("/dead-letters/{letter_id}")
    async def letter(request: Request, letter_id: str) -> Response:
        one = await site.tools.letters.get(letter_id)
        return site.page(request, "letter.html", letter=one, raw=_laid_out(one))

    return router


def _laid_out(letter: DeadLetter) -> str:
    """Its bytes as text; JSON by lines."""
    text = letter.raw.decode("utf-8", "backslashreplace")
    try:
        return json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except ValueError:
        return text
