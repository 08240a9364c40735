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

from wearon_cli.core.desk.follow import CreditFate
from wearon_cli.core.desk.story import Place, Teller
from wearon_cli.core.jobs.settlement import Settled, Settlement
from wearon_cli.core.ports import Journal, Ledger, Sessions, Waker
from wearon_cli.core.session import Channel, Session, Status, utc_now

#: Rows whose last change may still be under way are not judged.
YOUNG: Final = timedelta(minutes=2)
#: Rows looked at together.
AT_ONCE: Final = 8


class Trouble(StrEnum):
    """What can be wrong with a session."""

    STUCK = "stuck"  # open, old, and there is no job
    UNREFUNDED = "unrefunded"  # failed, and its credit is still taken
    REFUNDED_TWICE = "refunded_twice"  # more refunds than one for this session
    REFUNDED_AND_COMPLETED = "refunded_and_completed"  # both the credit and the picture
    NO_PICTURE = "no_picture"  # completed, and nothing is stored
    UNUSED_PICTURE = "unused_picture"  # failed, and its picture is stored
    OVERAGE = "overage"  # failed, and charged outside the credits


ADVICE: Final = {
    Trouble.STUCK: "--fix hands it to the workers, who fail it and settle its credit",
    Trouble.UNREFUNDED: "--fix gives the credit back",
    Trouble.REFUNDED_TWICE: "a credit too many was given: take it back by hand, or let it be",
    Trouble.REFUNDED_AND_COMPLETED: "a courtesy run, if its story says `replayed`; else a gift",
    Trouble.NO_PICTURE: "wearon replay-task SESSION --force draws it again",
    Trouble.UNUSED_PICTURE: "wearon replay-task SESSION finishes it at no cost",
    Trouble.OVERAGE: "the charge needs a person: refund it where it was made",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One session that needs looking at."""

    session: Session
    trouble: Trouble
    fixed: str = ""  # what was done about it

    @property
    def advice(self) -> str:
        return ADVICE[self.trouble]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciler:
    """Finds and mends."""

    sessions: Sessions
    ledger: Ledger
    journal: Journal
    waker: Waker
    teller: Teller
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
                cases = [Case(session=row, trouble=each) for each in await self.troubles(row)]
            on_row()
            return cases

        found = await asyncio.gather(*map(judge, rows))
        return len(rows), [case for cases in found for case in cases]

    async def troubles(self, row: Session) -> Sequence[Trouble]:
        """What is wrong with this row; nothing while it may still be moving."""
        age = utc_now() - (row.completed_at or row.created_at)
        if age < YOUNG:
            return ()
        if not row.status.is_final:
            return await self._open_troubles(row, age)
        if await self.teller.place(row) is Place.SETTLING:
            return ()
        found = [await self._refund_trouble(row), await self._picture_trouble(row)]
        return [trouble for trouble in found if trouble]

    async def fix(self, case: Case) -> Case:
        """Mend a case by the workers' own rules; those that need a person are returned as is."""
        row = case.session
        if case.trouble is Trouble.UNREFUNDED:
            settled = await self.settlement.refund(row)
            await self.journal.note(row.session_id, "reconciled", credit=settled.value)
            gave = settled in {Settled.REFUNDED, Settled.ALREADY_REFUNDED}
            word = "credit returned" if gave else f"not returned: {settled.value}"
            return Case(session=row, trouble=case.trouble, fixed=word)
        if case.trouble is Trouble.STUCK:
            await self.journal.open(row.key, b"", owner_id=row.owner_id, pictures=0)
            await self.waker.wake()
            return Case(session=row, trouble=case.trouble, fixed="handed to the workers")
        return case

    async def _open_troubles(self, row: Session, age: timedelta) -> Sequence[Trouble]:
        old = age.total_seconds() > self.orphan_age_s
        return [Trouble.STUCK] if old and await self.teller.place(row) is Place.NOWHERE else []

    async def _refund_trouble(self, row: Session) -> Trouble | None:
        refunds = await self._refunds(row)
        if refunds > 1:
            return Trouble.REFUNDED_TWICE
        if row.status is Status.COMPLETED:
            return Trouble.REFUNDED_AND_COMPLETED if refunds else None
        match await self.teller.credit(row):
            case CreditFate.PENDING:
                return Trouble.UNREFUNDED
            case CreditFate.OVERAGE:
                return Trouble.OVERAGE
        return None

    async def _picture_trouble(self, row: Session) -> Trouble | None:
        stored = await self.teller.is_stored(row)
        if row.status is Status.COMPLETED:
            return None if stored else Trouble.NO_PICTURE
        return Trouble.UNUSED_PICTURE if stored else None

    async def _refunds(self, row: Session) -> int:
        if row.channel is Channel.B2C:
            standing = await self.ledger.user_standing(row.owner_id, row.session_id)
            return standing.session_refunds
        if not row.request_id:
            return 0
        entries = await self.ledger.store_entries(row.owner_id, row.request_id)
        return sum(entry.kind.value == "refund" for entry in entries)
