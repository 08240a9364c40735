"""
The pixel processes of a worker: a queue, a few children, and the memory they share.

Not `concurrent.futures`: there the death of one process fails every waiting job. Not pebble or
loky: both receive results as pickles, which a compromised decoder could forge, and neither can
schedule by the memory that a picture will need.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext, suppress
from contextvars import Context
from dataclasses import dataclass
from typing import Any, Final

from wearon_cli.adapters.pixels.process import DiedAtWork, NotBegun, PixelProcess
from wearon_cli.core.errors import (
    PhotoRefused,
    PictureProblem,
    PictureTooHeavy,
    PictureTooLarge,
    PictureUnusable,
    PixelWorkDied,
    WearonError,
)
from wearon_cli.core.events import emit
from wearon_cli.core.pictures.events import (
    PixelProcessDied,
    PixelProcessNotStarted,
    PixelWorkFailed,
)
from wearon_cli.core.pictures.ports import PreparedPicture, VerifiedPicture
from wearon_cli.core.pictures.prepare import LONGEST_PX, prepare_need, verify_need

#: Memory limit of one process. Its own code takes 15 MB; the rest is a little more than
#: `core/pictures/budget.py` lets one picture have.
CHILD_BYTES: Final = 380_000_000
#: Memory that the pictures in all processes may take together, estimated from their headers. One
#: heavy picture leaves room for ordinary ones (20 MB for a photo of 12 megapixels), not for a
#: second heavy one.
TOGETHER_BYTES: Final = 400_000_000
#: The heaviest picture within the budget takes 2 s of a core; a busy machine needs longer.
WORK_LIMIT_S: Final = 30.0
#: Most pictures queued for a process; further callers wait to enter the queue.
QUEUED: Final = 64
#: Retries after a process died before it had the picture.
BEGINNINGS: Final = 3
#: Pause after a process could not be started; doubles, up to the longest.
FIRST_PAUSE_S: Final = 1.0
LONGEST_PAUSE_S: Final = 30.0

#: The errors that a process may report about a picture, by code.
_PROBLEMS: Final[dict[str, type[PictureProblem]]] = {
    kind.code: kind for kind in (PictureUnusable, PictureTooHeavy, PictureTooLarge, PhotoRefused)
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Request:
    note: dict[str, Any]
    data: bytes
    need_bytes: int
    answer: asyncio.Future[tuple[dict[str, Any], bytes]]


class PixelProcesses:
    """
    Implements `PixelPool`. For one event loop, and the thread of that loop must outlive it: Linux
    ends a child with the thread that started it. Processes are started on first use.
    """

    def __init__(
        self,
        children: int | None = None,
        *,
        child_bytes: int = CHILD_BYTES,
        together_bytes: int = TOGETHER_BYTES,
        work_limit_s: float = WORK_LIMIT_S,
        jobs: str = "wearon_cli.adapters.pixels.jobs",
    ) -> None:
        """
        Args:
            children: How many processes; unset: as many as there are cores.
            child_bytes: Most memory of one process.
            together_bytes: Most memory of the pictures in all of them.
            work_limit_s: One picture in a process; waiting does not count.
            jobs: Name of the module whose `JOBS` they serve.
        """
        self._children = children or os.cpu_count() or 1
        self._child_bytes = child_bytes
        self._work_limit_s = work_limit_s
        self._jobs = jobs
        self._together_bytes = self._free_bytes = together_bytes
        self._freed = asyncio.Condition()
        self._next = asyncio.Lock()
        self._heavy = asyncio.Lock()
        self._queue: asyncio.Queue[_Request] = asyncio.Queue(QUEUED)
        self._open: set[asyncio.Future[Any]] = set()
        self._keepers: list[asyncio.Task[None]] = []
        self._running: set[PixelProcess] = set()

    @property
    def pids(self) -> list[int]:
        """The running processes."""
        return [process.pid for process in self._running]

    async def prepare(
        self, data: bytes, *, max_px: int, longest_px: int = LONGEST_PX
    ) -> PreparedPicture:
        need_bytes = prepare_need(data, longest_px=longest_px, max_px=max_px)
        note, both = await self.run(
            "prepare", data, need_bytes=need_bytes, max_px=max_px, longest_px=longest_px
        )
        jpeg, small = _parts(note, both)
        return PreparedPicture(
            jpeg=jpeg,
            small=small,
            width_px=int(note["width_px"]),
            height_px=int(note["height_px"]),
        )

    async def verify(self, data: bytes, *, with_small: bool = False) -> VerifiedPicture:
        need_bytes = verify_need(data)
        note, both = await self.run("verify", data, need_bytes=need_bytes, with_small=with_small)
        jpeg, small = _parts(note, both)
        return VerifiedPicture(jpeg=data if note["as_it_came"] else jpeg, small=small or None)

    async def run(
        self, job: str, data: bytes, *, need_bytes: int, **args: Any
    ) -> tuple[dict[str, Any], bytes]:
        """
        Run a job from the table. First come, first served; but only one job that needs more than
        half of the memory is in the queue at a time, so that smaller jobs overtake the others.

        Cancelling removes it from the queue; a job that has begun runs to its end and its result is
        dropped.

        Args:
            job: Its name.
            data: The picture file.
            need_bytes: Memory that it will take; it starts when that much is free.
            args: Keyword arguments of the job, which must fit into JSON.

        Raises:
            PictureProblem: What the job raises; `PixelWorkDied` when the process died during it.
            WearonError: The job failed in an unexpected way.
        """
        self._keep_processes()
        request = _Request(
            note={"job": job, "args": args},
            data=data,
            need_bytes=min(need_bytes, self._together_bytes),
            answer=asyncio.get_running_loop().create_future(),
        )
        self._open.add(request.answer)
        is_heavy = request.need_bytes > self._together_bytes / 2
        try:
            async with self._heavy if is_heavy else nullcontext():
                await self._queue.put(request)
                note, body = await request.answer
        finally:
            self._open.discard(request.answer)
            request.answer.cancel()
        _raise_what_it_says(job, note)
        return note, body

    async def aclose(self) -> None:
        """End all processes at once. Waiting calls are cancelled."""
        for answer in self._open:
            answer.cancel()
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)
        while self._open:  # wakes callers that wait for a place in the queue: the pool is closed
            with suppress(asyncio.QueueEmpty):
                self._queue.get_nowait()
            await asyncio.sleep(0)

    def _keep_processes(self) -> None:
        self._keepers = [keeper for keeper in self._keepers if not keeper.done()]
        while len(self._keepers) < self._children:
            # In its own context: otherwise it would log the id of the first job.
            keeper = asyncio.create_task(self._keep_one(), context=Context())
            self._keepers.append(keeper)

    async def _keep_one(self) -> None:
        """Run jobs in one process until it dies, then in the next."""
        process: PixelProcess | None = None
        try:
            while True:
                async with self._turn() as request:
                    process = await self._serve(request, process)
        finally:
            if process is not None:
                await self._end(process)

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[_Request]:
        """The next request, with the memory it needs. Requests in the queue keep their order."""
        async with self._next:
            request = await self._queue.get()
            async with self._freed:
                await self._freed.wait_for(lambda: self._free_bytes >= request.need_bytes)
                self._free_bytes -= request.need_bytes
        try:
            yield request
        finally:
            async with self._freed:
                self._free_bytes += request.need_bytes
                self._freed.notify_all()

    async def _serve(self, request: _Request, process: PixelProcess | None) -> PixelProcess | None:
        """Answer a request; returns the process for the next one."""
        beginnings = 0
        while not request.answer.done():
            process = process or await self._start(request)
            if process is None:
                return None
            try:
                answer = await process.work(request.note, request.data, limit_s=self._work_limit_s)
            except (NotBegun, DiedAtWork) as exc:
                exit_code = await self._end(process)
                job = str(request.note["job"])
                emit(PixelProcessDied(job=job, reason=str(exc), exit_code=exit_code))
                process = None
                beginnings += 1
                if isinstance(exc, DiedAtWork) or beginnings == BEGINNINGS:
                    _answer(request, PixelWorkDied(str(exc)))
            except asyncio.CancelledError:
                await self._end(process)
                raise
            else:
                _answer(request, answer)
        return process

    async def _start(self, request: _Request) -> PixelProcess | None:
        """A new process, or None when no request is waiting any more."""
        pause_s = FIRST_PAUSE_S
        while not request.answer.done():
            try:
                process = await PixelProcess.start(memory_bytes=self._child_bytes, jobs=self._jobs)
            except (OSError, EOFError, ValueError) as exc:
                emit(PixelProcessNotStarted(kind=type(exc).__name__, pause_s=pause_s))
                await asyncio.wait({request.answer}, timeout=pause_s)
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
            else:
                self._running.add(process)
                return process
        return None

    async def _end(self, process: PixelProcess) -> int:
        self._running.discard(process)
        return await process.kill()


def _parts(note: dict[str, Any], both: bytes) -> tuple[bytes, bytes]:
    """A picture and its small copy."""
    jpeg_bytes = len(both) - int(note["small_bytes"])
    return both[:jpeg_bytes], both[jpeg_bytes:]


def _answer(request: _Request, answer: tuple[dict[str, Any], bytes] | WearonError) -> None:
    if request.answer.done():
        return  # cancelled meanwhile
    if isinstance(answer, WearonError):
        request.answer.set_exception(answer)
    else:
        request.answer.set_result(answer)


def _raise_what_it_says(job: str, note: dict[str, Any]) -> None:
    if "unexpected" in note:
        kind = str(note["unexpected"])
        emit(PixelWorkFailed(job=job, kind=kind, at=str(note.get("at"))))
        raise WearonError(f"unexpected {kind} while working on a picture")
    if "error" in note:
        kind_of = _PROBLEMS.get(str(note["error"]), PictureUnusable)
        raise kind_of(str(note.get("detail", "")), hint=str(note.get("hint", "")))
