"""
Measures bodies for the HTTP app: photos are fetched on the event loop, the rest runs on a few
threads.

The pose network takes one photo at a time, so more threads than cores would only wait for each
other. The queue is bounded: callers give up after five seconds, and later answers are wasted work.
"""

import asyncio
import hashlib
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Final, Self

from wearon_cli.adapters.pose.mediapipe_pose import MediaPipePose
from wearon_cli.core.body.estimate import Estimate, EstimateRequest, estimate
from wearon_cli.core.body.photo import read_photo
from wearon_cli.core.errors import ConfigError, MeasuringUnavailable, PictureProblem
from wearon_cli.core.events import emit
from wearon_cli.core.pictures.ports import Fetcher
from wearon_cli.runtime.events import BodyMeasured, PhotoRefused, PoseModelLoaded, PoseModelMissing

#: Photos being fetched, waiting or measured at once. At 25 answers a second the last of these
#: waits 2.5 s, half of the five seconds after which the caller gives up.
MOST_INSIDE: Final = 64
#: Pause before the pose model is looked for again.
LOOK_AGAIN_S: Final = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Photos:
    """The photos of one person: each an address, or the bytes themselves."""

    front: str | bytes
    side: str | bytes | None = None


class Measuring:
    """One pose model and its threads. Use it as an async context manager."""

    def __init__(self, open_reader: Callable[[], MediaPipePose], fetcher: Fetcher) -> None:
        """
        Args:
            open_reader: Loads the model; blocks; raises ConfigError while there is none.
            fetcher: Downloads the photos.
        """
        self._open_reader = open_reader
        self._fetcher = fetcher
        self._reader: MediaPipePose | None = None
        self._threads = ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="measure")
        self._inside = 0
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

    async def estimate(self, photos: Photos, request: EstimateRequest) -> Estimate:
        """
        Fetch and measure.

        Raises:
            MeasuringUnavailable: No model yet, or too many photos wait already.
            PictureProblem: A photo cannot be fetched, read or measured.
            FetchFailed: A photo could not be fetched this time.
        """
        if self._reader is None:
            raise MeasuringUnavailable("the pose model is not loaded", retry_after_s=LOOK_AGAIN_S)
        if self._inside >= MOST_INSIDE:
            raise MeasuringUnavailable("too many photos are waiting to be measured")
        self._inside += 1
        try:
            return await self._answer(self._reader, photos, request)
        except PictureProblem as exc:
            emit(PhotoRefused(reason=getattr(exc, "reason", exc.code)))
            raise
        finally:
            self._inside -= 1

    async def _answer(
        self, reader: MediaPipePose, photos: Photos, request: EstimateRequest
    ) -> Estimate:
        begun_s = time.perf_counter()
        front, side = await self._fetch(photos)
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

    async def _fetch(self, photos: Photos) -> tuple[bytes, bytes | None]:
        if photos.side is None:
            return await self._bytes_of(photos.front), None
        front, side = await asyncio.gather(
            self._bytes_of(photos.front), self._bytes_of(photos.side)
        )
        return front, side

    async def _bytes_of(self, photo: str | bytes) -> bytes:
        return photo if isinstance(photo, bytes) else await self._fetcher.fetch(photo)

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
