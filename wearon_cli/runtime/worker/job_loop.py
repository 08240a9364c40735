"""
One event loop, on a thread of its own, that runs all jobs of a Celery process.

Celery's threads only wait for it: a job is forty seconds of waiting for a socket, so hundreds share
the loop and its connections.
"""

import asyncio
import threading
from concurrent.futures import Future
from typing import Final

from wearon_cli.core.errors import Interrupted, QueueUnavailable
from wearon_cli.core.events import emit
from wearon_cli.core.jobs.runner import JobRunner, Outcome
from wearon_cli.core.settings import Settings
from wearon_cli.runtime.events import ClaimFailed, DrainStarted, JobsHandedBack
from wearon_cli.wiring import open_runner

#: Cancelled jobs are handed back within this time, storing a bought picture included.
HAND_BACK_S: Final = 12.0


class JobLoop:
    """Start it, run jobs from any thread, drain it, stop it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._loop = asyncio.new_event_loop()
        self._ready: Future[JobRunner] = Future()
        self._stopping = asyncio.Event()
        self._claiming = asyncio.Lock()
        self._jobs: set[asyncio.Task[Outcome]] = set()
        self._accepts = True
        #: Celery messages handled so far, and in hand: waiting for a claim, or with a running job.
        self.answered = 0
        self.answering = 0
        self._thread = threading.Thread(target=self._main, name="jobs", daemon=True)

    def start(self) -> None:
        """
        Open the connections.

        Raises:
            WearonError: What `open_runner` raises.
        """
        self._thread.start()
        self._ready.result()

    @property
    def in_flight(self) -> int:
        """Jobs running now."""
        return len(self._jobs)

    @property
    def accepts(self) -> bool:
        """False once a drain has begun."""
        return self._accepts

    def answer(self) -> None:
        """Handle one Celery message; returns when its job has ended or was handed back."""
        if not self._accepts:
            return  # recovery sends another message
        asyncio.run_coroutine_threadsafe(self._answer(), self._loop).result()

    def drain(self, *, within_s: float) -> None:
        """Take no more jobs, let the running ones end, then hand the rest back."""
        self._accepts = False
        asyncio.run_coroutine_threadsafe(self._drain(within_s), self._loop).result()

    def stop(self) -> None:
        """Close the connections and end the thread."""
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(timeout=HAND_BACK_S)

    async def _answer(self) -> None:
        self.answered += 1
        self.answering += 1
        try:
            await self._do_next()
        finally:
            self.answering -= 1

    async def _do_next(self) -> None:
        try:
            async with self._claiming:  # one claim at a time, to spare Redis
                claim = await self._ready.result().next_job() if self._accepts else None
        except QueueUnavailable as exc:
            emit(ClaimFailed(error=exc.code))
            return
        if claim is None:
            return
        job = asyncio.create_task(self._ready.result().run(claim))
        self._jobs.add(job)
        try:
            await asyncio.wait({job})
        finally:
            self._jobs.discard(job)
        if not job.cancelled():
            job.result()

    async def _drain(self, within_s: float) -> None:
        if self._jobs:
            emit(DrainStarted(jobs=len(self._jobs), within_s=within_s))
        give_up_s = self._loop.time() + within_s
        # In a loop: a claim that was under way when the drain began may add a job.
        while self._jobs and (left_s := give_up_s - self._loop.time()) > 0:
            await asyncio.wait(self._jobs, timeout=left_s)
        for job in list(self._jobs):
            job.cancel()
        if self._jobs:
            emit(JobsHandedBack(jobs=len(self._jobs), error=Interrupted().code))
            await asyncio.wait(self._jobs, timeout=HAND_BACK_S)

    def _main(self) -> None:
        asyncio.set_event_loop(self._loop)
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        try:
            async with open_runner(self._settings) as runner:
                self._ready.set_result(runner)
                await self._stopping.wait()
        except BaseException as exc:
            if self._ready.done():
                raise
            self._ready.set_exception(exc)
