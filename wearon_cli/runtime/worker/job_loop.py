"""
One event loop, on a thread of its own, that runs all jobs of a Celery process.

Celery's threads only pass a session id and wait: a job spends forty seconds waiting for a socket,
so hundreds share the loop and its connections. The process has one lease for all its jobs: when it
is lost, other workers may already have the jobs, and their attempts here are cancelled.
"""

import asyncio
import os
import secrets
import socket
import threading
from concurrent.futures import Future
from typing import Final

from wearon_cli.core.errors import Interrupted, LeaseLost, QueueUnavailable
from wearon_cli.core.events import emit
from wearon_cli.core.jobs.journal import Claim
from wearon_cli.core.jobs.runner import LEASE_LOST, Disposition
from wearon_cli.core.jobs.workers import Worker, WorkerRegistry
from wearon_cli.core.settings import Settings
from wearon_cli.runtime.events import ClaimFailed, DrainStarted, JobsHandedBack, WorkerLeaseLost
from wearon_cli.wiring.worker import WorkerParts, open_worker

#: Cancelled jobs are handed back within this time, storing a bought picture included.
HAND_BACK_S: Final = 12.0
#: A renewal or a claim that failed in an outage is retried after this pause, which is shorter than
#: recovery waits to look for dead workers when Redis is back.
RETRY_PAUSE_S: Final = 1.0


class JobLoop:
    """Can be started, run jobs from any thread, be drained and stopped."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.worker = Worker(
            worker_id=f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}",
            slots=settings.worker_concurrency,
            host=socket.gethostname(),
            pid=os.getpid(),
        )
        self._loop = asyncio.new_event_loop()
        self._ready: Future[WorkerParts] = Future()
        self._stopping = asyncio.Event()
        self._jobs: set[asyncio.Task[Disposition]] = set()
        self._accepts = True
        self._thread = threading.Thread(target=self._main, name="jobs", daemon=True)

    def start(self) -> None:
        """
        Open the connections and register the worker.

        Raises:
            WearonError: What `open_worker` raises.
        """
        self._thread.start()
        if self._ready.exception() is not None:
            # A process that ends while its thread closes the loop prints that thread's traceback.
            self._thread.join(timeout=HAND_BACK_S)
        self._ready.result()

    @property
    def in_flight(self) -> int:
        """Jobs running now."""
        return len(self._jobs)

    def do(self, session_id: str) -> Disposition | None:
        """
        Claim a released job and run it; returns its disposition.

        None: there was nothing to claim, or this worker is stopping and the journal releases the
            job again.
        """
        if not self._accepts:
            return None
        return asyncio.run_coroutine_threadsafe(self._answer(session_id), self._loop).result()

    def drain(self, *, within_s: float) -> None:
        """Take no more jobs, let the running ones end, then hand back the rest."""
        self._accepts = False
        asyncio.run_coroutine_threadsafe(self._drain(within_s), self._loop).result()

    def stop(self) -> None:
        """Unregister the worker, close the connections and end the thread."""
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(timeout=HAND_BACK_S)

    async def _answer(self, session_id: str) -> Disposition | None:
        claim = await self._claim(session_id)
        return await self._do(claim) if claim else None

    async def _claim(self, session_id: str) -> Claim | None:
        """
        Retried with the same token while Redis is unavailable: the first try may have succeeded.
        """
        token = secrets.token_hex(8)
        journal = self._ready.result().journal
        while self._accepts:
            try:
                return await journal.claim(session_id, worker_id=self.worker.worker_id, token=token)
            except QueueUnavailable as exc:
                emit(ClaimFailed(error=exc.code))
                await asyncio.sleep(RETRY_PAUSE_S)
        return None

    async def _do(self, claim: Claim) -> Disposition | None:
        job = asyncio.create_task(self._ready.result().runner.run(claim))
        self._jobs.add(job)
        try:
            await asyncio.wait({job})
        finally:
            self._jobs.discard(job)
        if job.cancelled() or isinstance(job.exception(), LeaseLost):
            return Disposition(error=Interrupted.code)  # handed back, or another worker's now
        return job.result()

    async def _drain(self, within_s: float) -> None:
        runner = self._ready.result().runner
        runner.stop_buying()
        if self._jobs:
            emit(DrainStarted(jobs=len(self._jobs), within_s=within_s))
        give_up_s = self._loop.time() + within_s
        # In a loop: a claim that was in progress when the drain began may have become a job.
        while self._jobs and (left_s := give_up_s - self._loop.time()) > 0:
            await asyncio.wait(self._jobs, timeout=left_s)
        await self._hand_all_back()

    async def _hand_all_back(self) -> None:
        for job in list(self._jobs):
            job.cancel()
        if self._jobs:
            emit(JobsHandedBack(jobs=len(self._jobs), error=Interrupted().code))
            await asyncio.wait(self._jobs, timeout=HAND_BACK_S)

    async def _keep_lease(self, registry: WorkerRegistry) -> None:
        """Renew the lease of this process, and register again when it was lost."""
        pause_s = self._settings.lease_renew_s
        while True:
            await asyncio.sleep(pause_s)
            pause_s = self._settings.lease_renew_s
            try:
                if not await registry.renew(self.worker.worker_id):
                    emit(WorkerLeaseLost(jobs=len(self._jobs)))
                    for job in list(self._jobs):
                        job.cancel(LEASE_LOST)
                    await registry.register(self.worker)
            except QueueUnavailable:
                pause_s = min(pause_s, RETRY_PAUSE_S)

    def _main(self) -> None:
        asyncio.set_event_loop(self._loop)
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        try:
            async with open_worker(self._settings) as parts:
                await parts.registry.register(self.worker)
                keeper = asyncio.create_task(self._keep_lease(parts.registry))
                self._ready.set_result(parts)
                await self._stopping.wait()
                keeper.cancel()
                await _leave(parts.registry, self.worker.worker_id)
        except BaseException as exc:
            if self._ready.done():
                raise
            self._ready.set_exception(exc)


async def _leave(registry: WorkerRegistry, worker_id: str) -> None:
    try:
        await registry.leave(worker_id)
    except QueueUnavailable:
        return  # the lease ends by itself
