"""
Everything that is known of one session, read and never changed.

The row says what the shopper sees, the ledger what was paid, the journal's story what the workers
did, the bucket whether there is a picture; and somewhere, or nowhere, there is a job.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from wearon_cli.core.credits import Ledger, LedgerEntry
from wearon_cli.core.errors import ObjectNotFound, SessionNotFound
from wearon_cli.core.jobs.journal import Journal
from wearon_cli.core.operator.follow import CreditFate, credit_fate
from wearon_cli.core.session import Channel, Session, Sessions, Status
from wearon_cli.core.storage import Storage

if TYPE_CHECKING:
    from wearon_cli.core.jobs.intake import Intake

#: A signed address is only asked for to see whether the object is there.
LOOK_LIFE_S: Final = 60


class JobLocation(StrEnum):
    """Where a session's job is now."""

    ENDED = "ended"  # the row is final and nothing is left to do
    SETTLING = "settling"  # the row is final, and a worker still settles or closes it
    QUEUE = "queue"  # in the platform's list, or on its way from there
    JOURNAL = "journal"  # in line, being done, or waiting for a time
    MISSING = "missing"  # an open row without a job: recovery fails and settles it by age


LOCATION_WORDS: Final = {
    JobLocation.ENDED: "ended: nothing is left to do",
    JobLocation.SETTLING: "ended, and a worker is still settling it",
    JobLocation.QUEUE: "waiting in the platform's list: no consumer has taken it yet",
    JobLocation.JOURNAL: "with the workers: in line, being done, or waiting for a time",
    JobLocation.MISSING: "missing: there is no job; recovery fails and settles old rows",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """One session."""

    session: Session
    credit: CreditFate
    entries: Sequence[LedgerEntry]  # b2b: of its request id
    events: Sequence[Mapping[str, object]]  # oldest first; kept for seven days
    location: JobLocation
    is_stored: bool  # its picture is in the bucket

    @property
    def cost_usd(self) -> float:
        """What its paid calls cost, as far as the story remembers: a replay adds to it."""
        told = [event.get("cost_usd") for event in self.events]
        known = [float(cost) for cost in told if isinstance(cost, int | float)]
        return sum(known) if known else (self.session.estimated_cost_usd or 0.0)

    @property
    def calls_lost(self) -> int:
        """Paid calls whose outcome is unknown."""
        return sum(event["event"] == "paid_call_lost" for event in self.events)


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspector:
    """Puts timelines together."""

    sessions: Sessions
    ledger: Ledger
    storage: Storage
    intake: "Intake"
    journal: Journal

    async def inspect(self, session_id: str) -> Inspection:
        """
        Raises:
            SessionNotFound: No such row in either table.
        """
        row = await self.sessions.find(session_id)
        if row is None:
            tables = " and ".join(channel.table for channel in Channel)
            raise SessionNotFound(
                f"there is no session {session_id}",
                hint=f"looked in {tables}; is the id complete?",
            )
        return Inspection(
            session=row,
            credit=await self.credit(row),
            entries=await self._entries(row),
            events=await self.journal.timeline(row.session_id),
            location=await self.location(row),
            is_stored=await self.is_stored(row),
        )

    async def credit(self, row: Session) -> CreditFate:
        """Where its credit is."""
        if row.status is Status.COMPLETED:
            return CreditFate.SPENT
        return await credit_fate(row, self.ledger)

    async def location(self, row: Session) -> JobLocation:
        """Where its job is."""
        is_open = await self.journal.is_open(row.session_id)
        if row.status.is_final:
            return JobLocation.SETTLING if is_open else JobLocation.ENDED
        if is_open:
            return JobLocation.JOURNAL
        waiting = await self.intake.waiting_sessions()
        return JobLocation.QUEUE if row.session_id in waiting else JobLocation.MISSING

    async def is_stored(self, row: Session) -> bool:
        """Whether its picture is in the bucket."""
        try:
            await self.storage.sign(row.result_path, life_s=LOOK_LIFE_S)
        except ObjectNotFound:
            return False
        return True

    async def _entries(self, row: Session) -> Sequence[LedgerEntry]:
        if row.channel is Channel.B2C or not row.request_id:
            return ()
        return await self.ledger.store_entries(row.owner_id, row.request_id)
