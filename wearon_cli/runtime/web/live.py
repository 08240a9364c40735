"""Live updates: a part of a page, sent as a server-sent event whenever it changes."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Final

from fastapi.responses import PlainTextResponse, Response, StreamingResponse

from wearon_cli.core.errors import WearonError
from wearon_cli.runtime.web.site import Site

#: A comment is sent after so many looks without a change, so that a dead connection is found.
QUIET_LOOKS: Final = 6
#: A stream ends after this time; the browser opens the next one by itself, with its login checked.
LONGEST_S: Final = 600.0


def stream(
    site: Site,
    part: Callable[[], Awaitable[str]],
    *,
    every_s: float,
    is_over: Callable[[], bool] = lambda: False,
) -> Response:
    """
    Answer with a stream of this part.

    Args:
        site: Ends all streams when it stops, and bounds how many there are.
        part: Renders the part as it is now.
        every_s: Time between two looks.
        is_over: True when nothing can change any more.
    """
    if site.streams.locked():
        return PlainTextResponse("too many pages are watched live", 503, {"Retry-After": "60"})
    return StreamingResponse(_events(site, part, every_s, is_over), media_type="text/event-stream")


async def _events(
    site: Site, part: Callable[[], Awaitable[str]], every_s: float, is_over: Callable[[], bool]
) -> AsyncIterator[str]:
    async with site.streams:
        ends_at_s = site.clock() + LONGEST_S
        shown, quiet = "", 0
        while site.clock() < ends_at_s and not site.stopping.is_set():
            try:
                html = await part()
            except WearonError as exc:
                yield _event("trouble", str(exc))
            else:
                if html != shown:
                    shown, quiet = html, 0
                    yield _event("part", html)
                if is_over():
                    yield _event("over", "")
                    return
            quiet += 1
            if quiet % QUIET_LOOKS == 0:
                yield ": still here\n\n"
            with suppress(TimeoutError):
                await asyncio.wait_for(site.stopping.wait(), every_s)


def _event(name: str, text: str) -> str:
    lines = "".join(f"data: {line}\n" for line in text.splitlines() or [""])
    return f"event: {name}\n{lines}\n"
