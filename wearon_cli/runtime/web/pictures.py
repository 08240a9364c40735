"""
Pictures through our own origin, by session and kind: no signed address ever stands in a page.

Inputs are files of strangers: they are decoded in a pixel process, never here, and what is served
of them is what that process re-encoded. A result is served as it is stored.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from wearon_cli.core.errors import ObjectNotFound, PictureUnavailable, PictureUnusable
from wearon_cli.core.operator.inputs import InputKind, InputPlace
from wearon_cli.core.operator.inspector import Inspector
from wearon_cli.core.pictures.headers import read_header
from wearon_cli.core.pictures.ports import Fetcher, PixelPool
from wearon_cli.core.session import Session
from wearon_cli.core.storage import Storage, previous_path

#: Longest side of a small picture: twice what a row of the list shows, for dense screens.
SMALL_PX: Final = 144
LARGE_PX: Final = 1024
#: Small pictures that are kept, at about 5 kB each, and rows that were shown lately.
KEPT_PICTURES: Final = 400
KEPT_ROWS: Final = 400
#: Small pictures are read again after this time, as browsers do: they may be forgotten meanwhile.
KEPT_S: Final = 600
#: Pictures that are read and made smaller at once.
AT_ONCE: Final = 4
JPEG: Final = "image/jpeg"


class Shown(StrEnum):
    """Which picture of a session."""

    PERSON = "person"
    GARMENT = "garment"
    ACCESSORY = "accessory"  # the first one
    RESULT = "result"
    PREVIOUS = "previous"  # that a redraw replaced


@dataclass(frozen=True, slots=True, kw_only=True)
class _Small:
    """A small picture that is kept."""

    jpeg: bytes
    until_s: float


class Pictures:
    """Reads pictures for the page."""

    def __init__(
        self,
        *,
        inspector: Inspector,
        storage: Storage,
        open_pixels: Callable[[], Awaitable[PixelPool]],
        fetcher: Fetcher,
        max_px: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """
        Args:
            inspector: Finds rows and records.
            storage: Our bucket.
            open_pixels: The pixel processes, started when first asked for.
            fetcher: For inputs that others serve.
            max_px: Most pixels of a picture.
            clock: Seconds, from any point on.
        """
        self._inspector = inspector
        self._storage = storage
        self._open_pixels = open_pixels
        self._fetcher = fetcher
        self._max_px = max_px
        self._clock = clock
        self._free = asyncio.Semaphore(AT_ONCE)
        self._rows: OrderedDict[str, Session] = OrderedDict()
        self._small: OrderedDict[tuple[str, str, str], _Small] = OrderedDict()

    def remember(self, row: Session) -> None:
        """A page shows this row: its pictures are going to be asked for."""
        self._rows[row.session_id] = row
        self._rows.move_to_end(row.session_id)
        while len(self._rows) > KEPT_ROWS:
            self._rows.popitem(last=False)

    def forget(self, session_id: str) -> None:
        """Its pictures have changed."""
        self._rows.pop(session_id, None)
        for key in [key for key in self._small if key[0] == session_id]:
            del self._small[key]

    async def get(self, session_id: str, shown: Shown, *, small: bool) -> tuple[bytes, str]:
        """
        A picture and its content type.

        Raises:
            SessionNotFound, ObjectNotFound: There is no such session, or no such picture of it.
            PictureProblem, FetchFailed: It cannot be shown.
        """
        row = self._rows.get(session_id) or await self._inspector.find(session_id)
        key = (session_id, shown.value, str(row.completed_at))
        kept = self._small.get(key) if small else None
        if kept is not None and self._clock() < kept.until_s:
            self._small.move_to_end(key)
            return kept.jpeg, JPEG
        async with self._free:
            data = await self._read(row, shown)
            if not small and shown in {Shown.RESULT, Shown.PREVIOUS}:
                return data, read_header(data).kind.content_type
            pixels = await self._open_pixels()
            longest_px = SMALL_PX if small else LARGE_PX
            made = await pixels.prepare(data, max_px=self._max_px, longest_px=longest_px)
        if small:
            self._keep(key, made.jpeg)
        return made.jpeg, JPEG

    def _keep(self, key: tuple[str, str, str], jpeg: bytes) -> None:
        self._small[key] = _Small(jpeg=jpeg, until_s=self._clock() + KEPT_S)
        while len(self._small) > KEPT_PICTURES:
            self._small.popitem(last=False)

    async def _read(self, row: Session, shown: Shown) -> bytes:
        match shown:
            case Shown.RESULT:
                return await self._storage.get(row.result_path)
            case Shown.PREVIOUS:
                return await self._storage.get(previous_path(row.result_path))
        place = await self._place(row, InputKind(shown.value))
        if place.path is not None:
            return await self._storage.get(place.path)
        if place.url is None:
            raise PictureUnavailable("nothing says any more where it lies")
        return await self._fetcher.fetch(place.url)

    async def _place(self, row: Session, kind: InputKind) -> InputPlace:
        record = await self._inspector.jobs.record(row.session_id)
        places = self._inspector.inputs.places(row, kept_paths=record.input_paths if record else ())
        for place in places:
            if place.kind is kind:
                return place
        raise ObjectNotFound


#: What is answered with "no picture" rather than an error of the page.
NO_PICTURE: Final = (ObjectNotFound, PictureUnavailable, PictureUnusable)
