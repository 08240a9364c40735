"""
Compares rows, credits, pictures and jobs over a span of time, and corrects what is proved wrong.

`credit_of` decides the state of a credit. Young rows are skipped: a refund follows its row within
seconds, and a job may be between two places. Before anything is written, the row, its ledger and
its job are read again; the write goes through the workers' own settlement.
"""

import asyncio
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from wearon_cli.core.credits import CreditState
from wearon_cli.core.errors import RefundRefused, UpstreamError
from wearon_cli.core.jobs.journal import Journal
from wearon_cli.core.ledger import Taking
from wearon_cli.core.operator.inspector import AT_ONCE, Inspector, JobLocation, SessionReport
from wearon_cli.core.session import Session, Status, utc_now

if TYPE_CHECKING:
    from wearon_cli.core.jobs.settlement import Settlement

#: Rows younger than this are skipped: their last change may still be in progress.
YOUNG: Final = timedelta(minutes=2)
#: Credits of one session that may be owed at once: its own, and those of its replays.
MOST_OWED: Final = 5


class Discrepancy(StrEnum):
    """What can be wrong with a session."""

    STUCK = "stuck"  # open, old, and there is no job
    OWED = "owed"  # a credit was taken, and it is proved that it was not refunded
    REFUND_REFUSED = "refund_refused"  # the same, and the ledger refused the refund
    REFUNDED_TWICE = "refunded_twice"  # more refunds name this session than credits were taken
    CREDIT_UNCLEAR = "credit_unclear"  # the records do not say where the credit is
    OVERAGE = "overage"  # failed, but charged outside the credits
    NO_PICTURE = "no_picture"  # completed, but no picture is stored
    UNUSED_PICTURE = "unused_picture"  # failed, but its picture is stored
    NO_SESSION = "no_session"  # `try-on` took a credit, and was killed before it made the session


HINTS: Final = {
    Discrepancy.STUCK: "--fix hands it to the workers, which fail it and settle its credit",
    Discrepancy.OWED: "--fix returns the credit",
    Discrepancy.REFUND_REFUSED: "--fix tries again; if it fails again, check the owner's account",
    Discrepancy.REFUNDED_TWICE: "take one credit back by hand, or leave it",
    Discrepancy.CREDIT_UNCLEAR: "check the owner's ledger; nothing is refunded automatically",
    Discrepancy.OVERAGE: "a person must refund the charge where it was made",
    Discrepancy.NO_PICTURE: "`wearon replay-task SESSION --force` draws it again",
    Discrepancy.UNUSED_PICTURE: "`wearon replay-task SESSION` completes it at no cost, if wanted",
    Discrepancy.NO_SESSION: "--fix returns the credit",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One discrepancy of a session."""

    session: Session
    discrepancy: Discrepancy
    reason: str = ""  # what shows it
    fixed: str | None = None  # what was done about it
    refused: str | None = None  # why it could not be done

    @property
    def hint(self) -> str:
        return HINTS[self.discrepancy]

    @property
    def is_fixable(self) -> bool:
        """True when `Reconciler.fix` may do something about it."""
        return self.discrepancy in {
            Discrepancy.STUCK,
            Discrepancy.OWED,
            Discrepancy.REFUND_REFUSED,
            Discrepancy.NO_SESSION,
        }

    @property
    def was_created(self) -> bool:
        """False when the row was never written, so that the session has no status."""
        return self.discrepancy is not Discrepancy.NO_SESSION

    @property
    def is_left(self) -> bool:
        """True while someone has to act on it."""
        return self.fixed is None and self.discrepancy is not Discrepancy.UNUSED_PICTURE


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciler:
    """Finds and corrects discrepancies."""

    inspector: Inspector
    journal: Journal
    settlement: "Callable[[], Settlement]"  # built only where it is needed
    orphan_age_s: float

    async def find(
        self, since: datetime, *, limit: int, on_row: Callable[[], None] = lambda: None
    ) -> tuple[int, list[Case]]:
        """The number of rows read, and the cases among them, newest first."""
        rows = await self.inspector.sessions.since(since, limit=limit)
        queued = await self.inspector.intake.waiting_sessions()
        free = asyncio.Semaphore(AT_ONCE)

        async def judge(row: Session) -> Sequence[Case]:
            async with free:
                cases = await self.cases(row, queued=queued)
            on_row()
            return cases

        found = await asyncio.gather(*map(judge, rows))
        missing = await self._never_made(since, limit=limit, rows=rows)
        return len(rows), [*(case for cases in found for case in cases), *missing]

    async def _never_made(
        self, since: datetime, *, limit: int, rows: Sequence[Session]
    ) -> list[Case]:
        """Credits that `try-on` took for sessions that do not exist, and that were not returned."""
        taken = await self.inspector.credits.ledger.taken_by_hand(since=since, limit=limit)
        known = {row.session_id for row in rows}
        found = []
        for each in taken:
            row = _as_row(each)
            if row is None or row.session_id in known or utc_now() - row.created_at < YOUNG:
                continue
            if await self._is_owed_without_row(row):
                reason = "try-on took a credit for it, and it was never created"
                case = Case(session=row, discrepancy=Discrepancy.NO_SESSION, reason=reason)
                found.append(case)
        return found

    async def _is_owed_without_row(self, row: Session) -> bool:
        """A session that had a job once was created, and its row deleted later."""
        if await self.inspector.sessions.get(row.key) is not None:
            return False
        if await self.inspector.jobs.record(row.session_id) is not None:
            return False
        credit = await self.settlement().credit(row, failed_by_us=True)
        return credit.state is CreditState.OWED

    async def cases(self, row: Session, *, queued: Collection[str] | None = None) -> Sequence[Case]:
        """What is wrong with this row; nothing while it may still be changing."""
        age = utc_now() - (row.completed_at or row.created_at)
        if age < YOUNG:
            return ()
        if not row.status.is_final and age.total_seconds() <= self.orphan_age_s:
            return ()
        report = await self.inspector.report(row, queued=queued)
        if report.location is JobLocation.MISSING:
            return [Case(session=row, discrepancy=Discrepancy.STUCK, reason="it has no job")]
        if report.location is not JobLocation.ENDED:
            return ()
        return [*_credit_cases(report), *_picture_cases(report)]

    async def fix(self, case: Case, *, by: str = "") -> Case:
        """
        Correct a case by the workers' own rules; those that need a person are not changed.

        Args:
            case: As found.
            by: The operator, for the timeline.
        """
        try:
            match case.discrepancy:
                case Discrepancy.OWED | Discrepancy.REFUND_REFUSED:
                    return await self._give_back(case, by)
                case Discrepancy.STUCK:
                    return await self._hand_over(case, by)
                case Discrepancy.NO_SESSION:
                    return await self._return_unused(case, by)
        except RefundRefused as exc:
            return replace(case, discrepancy=Discrepancy.REFUND_REFUSED, refused=str(exc))
        except UpstreamError as exc:
            return replace(case, refused=str(exc))
        return case

    async def _fresh(self, case: Case) -> SessionReport | None:
        row = await self.inspector.sessions.get(case.session.key)
        return await self.inspector.report(row) if row else None

    async def _give_back(self, case: Case, by: str) -> Case:
        given = 0
        while given < MOST_OWED:
            report = await self._fresh(case)
            if report is None or report.location is not JobLocation.ENDED:
                return replace(case, fixed="skipped: a worker holds it")
            if report.credit.state is not CreditState.OWED:
                break
            # Settlement reads everything once more under its lock, and decides.
            credit = await self.settlement().return_credit(report.session)
            if not credit.returned_now:
                break
            given += 1
        if not given:
            return replace(case, fixed="nothing left to do")
        return await self._noted(case, given, by)

    async def _noted(self, case: Case, given: int, by: str) -> Case:
        await self.journal.note(
            case.session.session_id, "reconciled", credits_returned=given, by=by or None
        )
        return replace(case, fixed="credit returned" if given == 1 else f"{given} credits returned")

    async def _return_unused(self, case: Case, by: str) -> Case:
        if not await self._is_owed_without_row(case.session):
            return replace(case, fixed="nothing left to do")
        # Settlement looks for the row once more: `try-on` may have been suspended, not killed.
        credit = await self.settlement().return_credit(
            case.session, failed_by_us=True, was_created=False
        )
        if not credit.returned_now:
            return replace(case, fixed="nothing left to do")
        return await self._noted(case, 1, by)

    async def _hand_over(self, case: Case, by: str) -> Case:
        from wearon_cli.core.jobs.recovery import orphan_job  # imports the contract

        report = await self._fresh(case)
        if report is None or report.location is not JobLocation.MISSING:
            return replace(case, fixed="nothing left to do")
        row = report.session
        await self.journal.open(orphan_job(row.key, row.owner_id, by=by))
        return replace(case, fixed="handed to the workers")


def _as_row(taking: Taking) -> Session | None:
    """The session that a credit was taken for, as if it had failed; None: it names none."""
    if taking.session_id is None:
        return None
    return Session(
        session_id=taking.session_id,
        channel=taking.channel,
        owner_id=taking.owner_id,
        status=Status.FAILED,
        created_at=taking.entry.created_at,
        request_id=taking.entry.request_id,
    )


def _credit_cases(report: SessionReport) -> list[Case]:
    row, credit, record = report.session, report.credit, report.record
    found = []
    if credit.surplus:
        reason = f"{credit.surplus} refund(s) too many"
        found.append(Case(session=row, discrepancy=Discrepancy.REFUNDED_TWICE, reason=reason))
    match credit.state:
        case CreditState.OWED if record is not None and record.parked:
            found.append(_case(report, Discrepancy.REFUND_REFUSED))
        case CreditState.OWED:
            found.append(_case(report, Discrepancy.OWED))
        case CreditState.UNCLEAR:
            found.append(_case(report, Discrepancy.CREDIT_UNCLEAR))
        case CreditState.OVERAGE if row.status is Status.FAILED:
            found.append(_case(report, Discrepancy.OVERAGE))
    return found


def _case(report: SessionReport, discrepancy: Discrepancy) -> Case:
    return Case(session=report.session, discrepancy=discrepancy, reason=report.credit.reason)


def _picture_cases(report: SessionReport) -> list[Case]:
    completed = report.session.status is Status.COMPLETED
    forgotten = report.record is not None and report.record.is_forgotten
    if completed is report.is_stored or (forgotten and not report.is_stored):
        return []
    kind = Discrepancy.NO_PICTURE if completed else Discrepancy.UNUSED_PICTURE
    reason = "its picture is not in the bucket" if completed else "its picture is in the bucket"
    return [Case(session=report.session, discrepancy=kind, reason=reason)]
