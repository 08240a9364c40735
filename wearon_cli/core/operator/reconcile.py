"""
Compares rows, credits, pictures and jobs over a span of time, and mends what is safe to mend.

Young rows are left alone: a refund follows its row within seconds, and a job may be anywhere on its
way. What is mended goes through the workers' own rules, so mending twice does no harm.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from wearon_cli.core.credits import Ledger
from wearon_cli.core.jobs.dispatch import Waker
from wearon_cli.core.jobs.journal import Journal
from wearon_cli.core.jobs.settlement import Settled, Settlement
from wearon_cli.core.operator.follow import CreditFate
from wearon_cli.core.operator.timeline import Inspector, JobLocation
from wearon_cli.core.session import Channel, Session, Sessions, Status, utc_now

#: Rows whose last change may still be under way are not judged.
YOUNG: Final = timedelta(minutes=2)
#: Rows looked at together.
AT_ONCE: Final = 8


class Discrepancy(StrEnum):
    """What can be wrong with a session."""

    STUCK = "stuck"  # open, old, and there is no job
    UNREFUNDED = "unrefunded"  # failed, and its credit is still taken
    REFUNDED_TWICE = "refunded_twice"  # more refunds than one for this session
    REFUNDED_AND_COMPLETED = "refunded_and_completed"  # both the credit and the picture
    NO_PICTURE = "no_picture"  # completed, and nothing is stored
    UNUSED_PICTURE = "unused_picture"  # failed, and its picture is stored
    OVERAGE = "overage"  # failed, and charged outside the credits


HINTS: Final = {
    Discrepancy.STUCK: "--fix hands it to the workers, who fail it and settle its credit",
    Discrepancy.UNREFUNDED: "--fix gives the credit back",
    Discrepancy.REFUNDED_TWICE: "a credit too many was given: take it back by hand, or let it be",
    Discrepancy.REFUNDED_AND_COMPLETED: "a courtesy run, if its story says `replayed`; else a gift",
    Discrepancy.NO_PICTURE: "wearon replay-task SESSION --force draws it again",
    Discrepancy.UNUSED_PICTURE: "wearon replay-task SESSION finishes it at no cost",
    Discrepancy.OVERAGE: "the charge needs a person: refund it where it was made",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One session that needs looking at."""

    session: Session
    discrepancy: Discrepancy
    fixed: str = ""  # what was done about it

    @property
    def hint(self) -> str:
        return HINTS[self.discrepancy]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciler:
    """Finds and mends."""

    sessions: Sessions
    ledger: Ledger
    journal: Journal
    waker: Waker
    inspector: Inspector
    settlement: Settlement
    orphan_age_s: float

    async def find(
        self, since: datetime, *, limit: int, on_row: Callable[[], None] = lambda: None
    ) -> tuple[int, list[Case]]:
        """How many rows were looked at, and the cases among them, newest first."""
        rows = await self.sessions.since(since, limit=limit)
        free = asyncio.Semaphore(AT_ONCE)

        async def judge(row: Session) -> list[Case]:
            async with free:
                cases = [
                    Case(session=row, discrepancy=each) for each in await self.discrepancies(row)
                ]
            on_row()
            return cases

        found = await asyncio.gather(*map(judge, rows))
        return len(rows), [case for cases in found for case in cases]

    async def discrepancies(self, row: Session) -> Sequence[Discrepancy]:
        """What is wrong with this row; nothing while it may still be moving."""
        age = utc_now() - (row.completed_at or row.created_at)
        if age < YOUNG:
            return ()
        if not row.status.is_final:
            return await self._open_discrepancies(row, age)
        if await self.inspector.location(row) is JobLocation.SETTLING:
            return ()
        found = [await self._refund_discrepancy(row), await self._picture_discrepancy(row)]
        return [discrepancy for discrepancy in found if discrepancy]

    async def fix(self, case: Case) -> Case:
        """Mend a case by the workers' own rules; those that need a person are returned as is."""
        row = case.session
        if case.discrepancy is Discrepancy.UNREFUNDED:
            settled = await self.settlement.refund(row)
            await self.journal.note(row.session_id, "reconciled", credit=settled.value)
            gave = settled in {Settled.REFUNDED, Settled.ALREADY_REFUNDED}
            word = "credit returned" if gave else f"not returned: {settled.value}"
            return Case(session=row, discrepancy=case.discrepancy, fixed=word)
        if case.discrepancy is Discrepancy.STUCK:
            await self.journal.open(row.key, b"", owner_id=row.owner_id, pictures=0)
            await self.waker.wake()
            return Case(session=row, discrepancy=case.discrepancy, fixed="handed to the workers")
        return case

    async def _open_discrepancies(self, row: Session, age: timedelta) -> Sequence[Discrepancy]:
        old = age.total_seconds() > self.orphan_age_s
        return (
            [Discrepancy.STUCK]
            if old and await self.inspector.location(row) is JobLocation.MISSING
            else []
        )

    async def _refund_discrepancy(self, row: Session) -> Discrepancy | None:
        refunds = await self._refunds(row)
        if refunds > 1:
            return Discrepancy.REFUNDED_TWICE
        if row.status is Status.COMPLETED:
            return Discrepancy.REFUNDED_AND_COMPLETED if refunds else None
        match await self.inspector.credit(row):
            case CreditFate.PENDING:
                return Discrepancy.UNREFUNDED
            case CreditFate.OVERAGE:
                return Discrepancy.OVERAGE
        return None

    async def _picture_discrepancy(self, row: Session) -> Discrepancy | None:
        stored = await self.inspector.is_stored(row)
        if row.status is Status.COMPLETED:
            return None if stored else Discrepancy.NO_PICTURE
        return Discrepancy.UNUSED_PICTURE if stored else None

    async def _refunds(self, row: Session) -> int:
        if row.channel is Channel.B2C:
            standing = await self.ledger.user_standing(row.owner_id, row.session_id)
            return standing.session_refunds
        if not row.request_id:
            return 0
        entries = await self.ledger.store_entries(row.owner_id, row.request_id)
        return sum(entry.kind.value == "refund" for entry in entries)
