"""The pictures of sessions, through our own origin."""

from typing import Final

from fastapi import APIRouter, Request, Response

from wearon_cli.core.errors import FetchFailed, PictureProblem, SessionNotFound
from wearon_cli.core.operator.inspector import checked_session_id
from wearon_cli.runtime.web.pictures import KEPT_S, NO_PICTURE, Shown
from wearon_cli.runtime.web.site import Site

#: A picture may change by a redraw; its address then changes with the row's time.
_HEADERS: Final = {
    "Cache-Control": f"private, max-age={KEPT_S}",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Content-Disposition": "inline",
}
#: Shown where a picture cannot be: nothing, at a size.
_BLANK: Final = (
    b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 3 4"><path fill="none" d="M0 0"/></svg>'
)


def routes(site: Site) -> APIRouter:
    """The pictures."""
    router = APIRouter()

    @router.get("/pictures/{session_id}/{shown}")
    async def picture(request: Request, session_id: str, shown: Shown) -> Response:
        small = request.query_params.get("size") == "small"
        try:
            data, kind = await site.pictures.get(checked_session_id(session_id), shown, small=small)
        except (*NO_PICTURE, PictureProblem, FetchFailed, SessionNotFound):
            headers = {**_HEADERS, "Cache-Control": "private, max-age=30"}
            return Response(_BLANK, 404, headers, media_type="image/svg+xml")
        return Response(data, 200, _HEADERS, media_type=kind)

    return router
