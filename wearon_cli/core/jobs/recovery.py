"""
Recovery from crashes; runs all the time, in every consumer.

Jobs of dead workers, unclaimed jobs and jobs that are due become ready again; payloads of dead
consumers go back to the list; open rows without a trace in Redis become jobs that are settled. All
of it may run in any number of consumers at once: each piece of work is handed to one of them.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from wearon_cli.core.events import emit
from wearon_cli.core.jobs.events import JobsRecovered, OrphanAdopted, PayloadsReturned
from wearon_cli.core.jobs.intake import Intake
from wearon_cli.core.jobs.journal import Dispatcher, Journal, Lane, NewJob, Recovered
from wearon_cli.core.session import SessionKey, Sessions, utc_now

#: Jobs made ready, and rows checked, in one pass. The jobs of one worker are never divided.
BATCH: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """Single passes, repeated by the consumer's loop."""

    intake: Intake
    journal: Journal
    dispatcher: Dispatcher
    sessions: Sessions
    max_wait_s: float  # how long a job may be held back by a breaker

    async def beat(self) -> int:
        """Record that this consumer is alive, and return the payloads of dead ones."""
        returned = await self.intake.return_dead()
        if returned:
            emit(PayloadsReturned(count=returned))
        return returned

    async def recover_jobs(self) -> Recovered:
        """Make ready the jobs that have to run again."""
        found = await self.dispatcher.recover(limit=BATCH, max_wait_s=self.max_wait_s)
        if found.orphaned or found.expired:
            emit(
                JobsRecovered(
                    orphaned=found.orphaned,
                    expired=found.expired,
                    workers_lost=found.workers_lost,
                )
            )
        return found

    async def adopt_orphans(self, *, age_s: float) -> int:
        """
        Adopts open rows older than `age_s` that have no job: a worker will fail and settle them.

        Reads the places in the order in which payloads move, so that a moving one is seen in at
        least one place.
        """
        rows = await self.sessions.open_before(utc_now() - timedelta(seconds=age_s), limit=BATCH)
        if not rows:
            return 0
        waiting = await self.intake.waiting_sessions()
        adopted = 0
        for row in rows:
            if row.session_id in waiting:
                continue
            if await self.journal.open(orphan_job(row.key, row.owner_id)):
                adopted += 1
                emit(OrphanAdopted(session_id=row.session_id, status=row.status.value))
        return adopted


def orphan_job(key: SessionKey, owner_id: str, *, by: str = "") -> NewJob:
    """A job that only fails an open row and settles its credit. `by`: an operator asked for it."""
    return NewJob(
        key=key,
        payload=b"",
        owner_id=owner_id,
        pictures=0,
        lane=Lane.FREE,
        event="adopted",
        facts={"by": by} if by else None,
    )
