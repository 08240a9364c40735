"""
Intake: moves jobs from the producer's list into the journal.

The next place is written before the previous one is cleared, so a crash between any two lines loses
nothing. At worst the same payload is taken twice, which the journal notices.
"""

from dataclasses import dataclass
from typing import Protocol

import structlog

from wearon_cli.core.contract import Task, parse_task
from wearon_cli.core.errors import TaskInvalid
from wearon_cli.core.events import emit
from wearon_cli.core.jobs.dead_letters import DeadLetters
from wearon_cli.core.jobs.events import DuplicateJobDropped, JobRefused, JobTaken
from wearon_cli.core.jobs.journal import Lane, NewJob
from wearon_cli.core.payloads import salvage
from wearon_cli.core.storage import stored_path


class Intake(Protocol):
    """This consumer's own end of the producer's list."""

    async def take(self, *, wait_s: float) -> bytes | None:
        """Move the oldest payload to this consumer's intake list; None when none arrived in
        time.
        """

    async def done(self, payload: bytes) -> None:
        """Drop it from the intake list: it is stored elsewhere."""

    async def push(self, payload: bytes) -> None:
        """Queue a payload, as the platform does."""

    async def beat(self) -> None:
        """Record that this consumer is alive."""

    async def return_dead(self) -> int:
        """
        Put the payloads of consumers without a heartbeat back, oldest first. Returns how many.
        """

    async def waiting_sessions(self) -> frozenset[str]:
        """
        Session ids of all payloads still before the journal: in the producer's list or in any
        consumer's intake list. Reads in the order in which payloads move, so that none is missed,
        and returns the intake lists of consumers that are no longer registered.
        """


class JobOpener(Protocol):
    """Where a payload becomes a job: the journal, or the dispatch in front of it."""

    async def open(self, job: NewJob) -> bool:
        """See `Journal.open`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeIn:
    """Takes payloads in, one at a time."""

    intake: Intake
    jobs: JobOpener
    dead_letters: DeadLetters
    bucket: str  # paths of input pictures in it are kept with the session's record

    async def one(self, *, wait_s: float) -> bool:
        """
        Take one payload if there is one.

        Raises:
            QueueUnavailable: Redis does not answer; the payload is where it was, or in the intake
                list.
        """

        payload = await self.intake.take(wait_s=wait_s)
        if payload is None:
            return False
        try:
            task = parse_task(payload)
        except TaskInvalid as error:
            await self._refuse(payload, error)
        else:
            with structlog.contextvars.bound_contextvars(
                request_id=task.request_id,
                session_id=task.key.session_id,
                channel=task.channel.value,
            ):
                opened = await self.jobs.open(new_job(task, payload, bucket=self.bucket))
                emit(JobTaken() if opened else DuplicateJobDropped())
        await self.intake.done(payload)
        return True

    async def _refuse(self, payload: bytes, error: TaskInvalid) -> None:
        """Keep the invalid payload. If its row is known, a worker fails it and settles its
        credit.
        """
        key = salvage(payload)
        letter_id = await self.dead_letters.bury(
            payload,
            reason=str(error),
            error_code=error.code,
            attempts=0,
            session_id=key.session_id if key else None,
        )
        emit(JobRefused(letter_id=letter_id, reason=str(error)))
        if key:  # an open entry is a valid job of the same session, and is not changed
            await self.jobs.open(
                NewJob(key=key, payload=payload, owner_id="", pictures=0, lane=Lane.FREE)
            )


def new_job(task: Task, payload: bytes, *, bucket: str) -> NewJob:
    """The journal entry of a payload."""
    paths = (stored_path(url, bucket=bucket) for url in task.image_urls)
    return NewJob(
        key=task.key,
        payload=payload,
        owner_id=task.owner_id,
        pictures=len(task.image_urls),
        request_id=task.request_id,
        input_paths=tuple(path for path in paths if path),
    )
