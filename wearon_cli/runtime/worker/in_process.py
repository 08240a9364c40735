"""Runs the jobs of given sessions in this process, for when no worker runs."""

import asyncio
import os
import secrets
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Final

from wearon_cli.core.errors import LeaseLost, QueueUnavailable
from wearon_cli.core.events import emit
from wearon_cli.core.jobs.journal import Claim, JobState
from wearon_cli.core.jobs.workers import Worker
from wearon_cli.core.session import utc_now
from wearon_cli.core.settings import Settings
from wearon_cli.runtime.events import JobAwaited
from wearon_cli.runtime.ops.logs import configure_logs
from wearon_cli.wiring.worker import WorkerParts, open_worker

#: Pause before another attempt to claim a job that cannot be claimed yet.
CLAIM_PAUSE_S: Final = 0.5
#: Jobs run at once.
AT_ONCE: Final = 8
#: Jobs made ready in one pass of recovery.
BATCH: Final = 100


@asynccontextmanager
async def working_here(settings: Settings) -> AsyncIterator[Callable[[str], None]]:
    """
    Run only the jobs of the given sessions while the block runs. Unfinished jobs are handed back at
    its end.

    Raises:
        WearonError: What `wearon celery` would refuse to start with.
    """
    configure_logs(settings, "now")  # stdout is reserved for the answer
    async with open_worker(settings) as parts:
        hands = _Hands(parts, _worker(), settings)
        await parts.registry.register(hands.worker)
        keeper = asyncio.create_task(hands.keep_lease())
        try:
            yield hands.take_on
        finally:
            await hands.let_go()
            keeper.cancel()
            with suppress(QueueUnavailable):
                await parts.registry.leave(hands.worker.worker_id)


def _worker() -> Worker:
    """Registered without slots: nothing is released to it, it claims only the given jobs."""
    host, pid = socket.gethostname(), os.getpid()
    name = f"{host}-{pid}-now-{secrets.token_hex(3)}"
    return Worker(worker_id=name, slots=0, host=host, pid=pid)


@dataclass(slots=True)
class _Hands:
    """The jobs that run here."""

    parts: WorkerParts
    worker: Worker
    settings: Settings
    free: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))
    tasks: set["asyncio.Task[None]"] = field(default_factory=set)

    def take_on(self, session_id: str) -> None:
        """Run the job of this session, once it is open."""
        self.tasks.add(asyncio.create_task(self._work_on(session_id)))

    async def let_go(self) -> None:
        """Hand back unfinished jobs."""
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    async def keep_lease(self) -> None:
        while True:
            await asyncio.sleep(self.settings.lease_renew_s)
            with suppress(QueueUnavailable):
                if not await self.parts.registry.renew(self.worker.worker_id):
                    await self.parts.registry.register(self.worker)

    async def _work_on(self, session_id: str) -> None:
        while True:
            try:
                async with self.free:
                    if await self._once(session_id):
                        return
            except (LeaseLost, QueueUnavailable) as exc:
                emit(JobAwaited(session_id=session_id, error=exc.code))
            await asyncio.sleep(CLAIM_PAUSE_S)

    async def _once(self, session_id: str) -> bool:
        """One attempt, if the job can be claimed now. True: the job has ended."""
        entry = await self.parts.reader.entry(session_id)
        if entry is None:
            return True
        if entry.state is JobState.WAITING and entry.due_at and entry.due_at <= utc_now():
            await self.parts.dispatcher.recover(limit=BATCH, max_wait_s=self.settings.max_wait_s)
        claim = await self._claim(session_id)
        if claim is not None:
            await self.parts.runner.run(claim)
        return False

    async def _claim(self, session_id: str) -> Claim | None:
        """
        Retried with the same token while Redis is unavailable: the first try may have succeeded.
        """
        token = secrets.token_hex(8)
        while True:
            try:
                return await self.parts.journal.claim(
                    session_id, worker_id=self.worker.worker_id, token=token
                )
            except QueueUnavailable as exc:
                emit(JobAwaited(session_id=session_id, error=exc.code))
            await asyncio.sleep(CLAIM_PAUSE_S)
