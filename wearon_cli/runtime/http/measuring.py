"""
Measures bodies for the HTTP app: photos are fetched on the event loop, the rest runs on a few
threads.

The pose network takes one photo at a time, so more threads than cores would only wait for each
other. The queue is bounded: callers give up after five seconds, and later answers are wasted work.
So is the memory of the photos in it. Neither can be used up by one caller.
"""

import asyncio
import hashlib
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Final, Protocol, Self

from wearon_cli.adapters.pose.mediapipe_pose import MediaPipePose
from wearon_cli.core.body.estimate import Estimate, EstimateRequest, estimate
from wearon_cli.core.body.photo import read_photo
from wearon_cli.core.errors import ConfigError, MeasuringUnavailable, PictureProblem
from wearon_cli.core.events import emit
from wearon_cli.core.pictures.ports import Reserve
from wearon_cli.runtime.events import BodyMeasured, PhotoRefused, PoseModelLoaded, PoseModelMissing
from wearon_cli.runtime.http.edge import MOST_PHOTOS
from wearon_cli.runtime.http.shares import Shares

#: Requests whose photos are fetched, wait or are measured at once. At 25 answers a second the last
#: of these waits 3.8 s, and the last one of a single caller, who gets half of them, 1.9 s: callers
#: give up after five seconds.
MOST_INSIDE: Final = 96
#: Memory for the photos of all requests, in requests with photos of the largest size: 16 with two
#: photos of 10 MiB each take 320 MiB.
MOST_LARGEST: Final = 16
#: Pause before the pose model is looked for again.
LOOK_AGAIN_S: Final = 30.0
_LATER: Final = "try again in a second"


@dataclass(frozen=True, slots=True, kw_only=True)
class Photos:
    """The photos of one person: each an address, or the bytes themselves."""

    front: str | bytes
    side: str | bytes | None = None


class PhotoFetcher(Protocol):
    """Downloads photos from untrusted addresses."""

    async def fetch(self, url: str, *, reserve: Reserve) -> bytes:
        """As `Fetcher.fetch`, with `reserve` called for each part of the photo."""


class Measuring:
    """One pose model and its threads. Use it as an async context manager."""

    def __init__(
        self,
        open_reader: Callable[[], MediaPipePose],
        fetcher: PhotoFetcher,
        *,
        max_picture_bytes: int,
    ) -> None:
        """
        Args:
            open_reader: Loads the model; blocks; raises ConfigError while there is none.
            fetcher: Downloads the photos.
            max_picture_bytes: Largest photo.
        """
        self._open_reader = open_reader
        self._fetcher = fetcher
        self._reader: MediaPipePose | None = None
        self._threads = ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="measure")
        self._inside = Shares(MOST_INSIDE)
        self._memory = Shares(MOST_LARGEST * MOST_PHOTOS * max_picture_bytes)
        self._loading: asyncio.Task[None] | None = None

    @property
    def model_loaded(self) -> bool:
        """Whether photos can be measured."""
        return self._reader is not None

    async def __aenter__(self) -> Self:
        self._loading = asyncio.create_task(self._load())
        return self

    async def __aexit__(self, *_: object) -> None:
        with ExitStack() as closing:
            if self._reader is not None:
                closing.callback(self._reader.close)
            closing.callback(self._threads.shutdown)
        if self._loading is not None:
            self._loading.cancel()

    @contextmanager
    def memory_for(self, caller: str) -> Iterator[Reserve]:
        """
        Memory for the photos of one request; it is free again at the end of the context. What is
        given raises MeasuringUnavailable when the caller's share is used up.
        """
        with self._memory.of(caller) as share:

            def reserve(size_bytes: int) -> None:
                if not share.take(size_bytes):
                    raise MeasuringUnavailable("too many photos are in memory", hint=_LATER)

            yield reserve

    async def estimate(
        self, photos: Photos, request: EstimateRequest, *, caller: str, reserve: Reserve
    ) -> Estimate:
        """
        Fetch and measure.

        Args:
            photos: The photos of one person.
            request: What is known of the person.
            caller: Whose request it is.
            reserve: Of the memory for this request, which photos that are fetched need.

        Raises:
            MeasuringUnavailable: No model yet, or too many photos wait already.
            PictureProblem: A photo cannot be fetched, read or measured.
            FetchFailed: A photo could not be fetched this time.
        """
        if self._reader is None:
            raise MeasuringUnavailable(
                "the pose model is not loaded",
                hint=f"try again in {LOOK_AGAIN_S:g} seconds",
                retry_after_s=LOOK_AGAIN_S,
            )
        with self._inside.of(caller) as place:
            if not place.take(1):
                raise MeasuringUnavailable(
                    "too many photos are waiting to be measured", hint=_LATER
                )
            try:
                return await self._answer(self._reader, photos, request, reserve)
            except PictureProblem as exc:
                emit(PhotoRefused(reason=getattr(exc, "reason", exc.code)))
                raise

    async def _answer(
        self, reader: MediaPipePose, photos: Photos, request: EstimateRequest, reserve: Reserve
    ) -> Estimate:
        begun_s = time.perf_counter()
        front, side = await self._fetch(photos, reserve)
        loop = asyncio.get_running_loop()
        measured = await loop.run_in_executor(self._threads, _measure, reader, front, side, request)
        emit(
            BodyMeasured(
                photo=hashlib.sha256(front).hexdigest()[:12],  # all that is kept of it
                based_on=measured.variant,
                duration_ms=round((time.perf_counter() - begun_s) * 1000),
            )
        )
        return measured

    async def _fetch(self, photos: Photos, reserve: Reserve) -> tuple[bytes, bytes | None]:
        given = [photo for photo in (photos.front, photos.side) if photo is not None]
        fetching = [asyncio.create_task(self._bytes_of(photo, reserve)) for photo in given]
        try:
            front, *side = await asyncio.gather(*fetching)
        finally:  # when one of them fails, the other does not go on
            for task in fetching:
                task.cancel()
        return front, side[0] if side else None

    async def _bytes_of(self, photo: str | bytes, reserve: Reserve) -> bytes:
        if isinstance(photo, bytes):
            return photo
        return await self._fetcher.fetch(photo, reserve=reserve)

    async def _load(self) -> None:
        loop = asyncio.get_running_loop()
        while self._reader is None:
            try:
                self._reader = await loop.run_in_executor(self._threads, self._open_reader)
            except ConfigError as exc:
                emit(PoseModelMissing(detail=str(exc), hint=exc.hint))
                await asyncio.sleep(LOOK_AGAIN_S)
        emit(PoseModelLoaded())


def _measure(
    reader: MediaPipePose, front: bytes, side: bytes | None, request: EstimateRequest
) -> Estimate:
    side_photo = read_photo(side) if side is not None else None
    return estimate(read_photo(front), reader, request, side_photo)
