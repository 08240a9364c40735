"""
Finding what a crash left, all the time, in every consumer.

Jobs whose lease ran out or whose due time came go back in line, and jobs in line that nobody was
called for get a wake-up call; payloads of dead consumers go back
to the list; open rows without a trace in Redis become jobs that are settled. All of it may run in
any number of consumers at once: each piece of work is handed to one of them, and a call too many
is dropped at the claim.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from wearon_cli.core.events import emit
from wearon_cli.core.jobs.dispatch import Waker
from wearon_cli.core.jobs.events import JobsRecovered, OrphanAdopted, PayloadsReturned
from wearon_cli.core.jobs.intake import Intake
from wearon_cli.core.jobs.journal import Journal
from wearon_cli.core.session import Sessions, utc_now

#: Jobs woken, and rows looked at, in one pass.
BATCH: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """Single passes; the consumer's loop repeats them."""

    intake: Intake
    journal: Journal
    sessions: Sessions
    waker: Waker

    async def beat(self) -> int:
        """Say that this consumer is alive, and return dead ones' payloads."""
        returned = await self.intake.return_dead()
        if returned:
            emit(PayloadsReturned(count=returned))
        return returned

    async def wake_due(self) -> int:
        """Call workers for jobs whose lease ran out, or whose time has come."""
        found = await self.journal.recover(limit=BATCH)
        for _ in range(found.uncalled):
            await self.waker.wake()
        if found.moved:
            emit(JobsRecovered(count=found.moved))
        return found.moved

    async def adopt_orphans(self, *, age_s: float) -> int:
        """
        Open rows older than `age_s` that have no job anywhere: a worker will fail and settle them.

        Looks where payloads come from first and where they go last, so that one on its way is
        seen in at least one place.
        """
        rows = await self.sessions.open_before(utc_now() - timedelta(seconds=age_s), limit=BATCH)
        if not rows:
            return 0
        waiting = await self.intake.waiting_sessions()
        adopted = 0
        for row in rows:
            if row.session_id in waiting:
                continue
            if not await self.journal.open(row.key, b"", owner_id=row.owner_id, pictures=0):
                continue
            adopted += 1
            emit(OrphanAdopted(session_id=row.session_id, status=row.status.value))
            await self.waker.wake()
        return adopted
