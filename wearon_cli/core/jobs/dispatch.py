"""
Handing ready jobs to the workers: a release from the journal, then a message for each job.

A lost message delays its job until the release expires: the job is then ready again, at the head.
"""

from dataclasses import dataclass
from typing import Final, Protocol

from wearon_cli.core.errors import QueueUnavailable
from wearon_cli.core.events import emit
from wearon_cli.core.jobs.events import JobsUnclaimed, MessageNotSent
from wearon_cli.core.jobs.journal import Dispatcher, NewJob, Release, Released

#: Jobs released in one pass.
BATCH: Final = 16


class Sender(Protocol):
    """Sends the message for a released job; the first free worker takes it."""

    async def send(self, job: Released) -> None:
        """
        Raises:
            QueueUnavailable: It may or may not have been sent; both are harmless.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispatch:
    """Single passes, repeated by every consumer."""

    dispatcher: Dispatcher
    sender: Sender

    async def open(self, job: NewJob) -> bool:
        """
        Open a job as `Journal.open` does. If no other job is ready it is released at once.

        Raises:
            QueueUnavailable: Redis is away.
        """
        opened = await self.dispatcher.open(job, limit=BATCH)
        if opened.release is not None:
            await self._send(opened.release)
        return opened.is_new

    async def release(self) -> float | None:
        """
        Release the jobs that may run now and send their messages.

        Returns:
            Seconds after which another pass may find more; None: only an event can change that.

        Raises:
            QueueUnavailable: Redis is away.
        """
        release = await self.dispatcher.release(limit=BATCH)
        if release.unclaimed:
            emit(JobsUnclaimed(count=release.unclaimed))
        await self._send(release)
        return 0.0 if len(release.jobs) == BATCH else release.wait_s

    async def _send(self, release: Release) -> None:
        for job in release.jobs:
            try:
                await self.sender.send(job)
            except QueueUnavailable as exc:
                emit(MessageNotSent(session_id=job.session_id, error=exc.code))
