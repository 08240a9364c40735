"""
Fails a job and refunds its credit, exactly once.

The order is: write the intent, move the row to failed, refund what `credit_of` says is owed;
closing the job clears the intent. Any worker that has the job can find a step half done and finish
it. Only the winner of the move to failed owes the refund. A refund that the ledger refuses is
parked for a person: a dead letter, and the session's record.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Final

from wearon_cli.core.contract import Task
from wearon_cli.core.credit_facts import CreditNotes, CreditReader
from wearon_cli.core.credits import (
    Credit,
    CreditState,
    credit_of,
    replay_id_of,
    replay_payer,
    replay_refund_text,
    replay_text,
)
from wearon_cli.core.cross_checks import PLATFORM_CRON_S
from wearon_cli.core.errors import (
    NoCreditLeft,
    RefundRefused,
    StoreRefused,
    StoreUnavailable,
    WearonError,
)
from wearon_cli.core.events import emit
from wearon_cli.core.jobs.dead_letters import DeadLetters
from wearon_cli.core.jobs.events import CreditNeedsAPerson, JobSettled, RefundParked
from wearon_cli.core.jobs.journal import (
    Claim,
    Closing,
    Ending,
    JobReader,
    Journal,
    SessionRecord,
    SettlementIntent,
)
from wearon_cli.core.ledger import EntryKind, Ledger, LedgerEntry, Payer
from wearon_cli.core.locks import RefundLock
from wearon_cli.core.session import Channel, Session, SessionKey, Sessions, Status, fail, utc_now

#: The platform's cron may have read its rows this long before it writes the last of them.
CRON_MARGIN_S: Final = 30.0
#: Another that failed a b2c row has refunded it after this time, or will not.
OTHERS_REFUND_S: Final = 90.0


def intent_for(error: WearonError, *, dead_letter: bool = False) -> SettlementIntent:
    """The intent that fails a job for this error."""
    return SettlementIntent(
        error_code=error.code,
        shopper_message=error.shopper_message,
        detail=str(error),
        dead_letter=dead_letter,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """Fails jobs and accounts for their credits."""

    sessions: Sessions
    ledger: Ledger
    journal: Journal
    reader: JobReader
    dead_letters: DeadLetters
    refund_lock: RefundLock

    # ------------------------------------------------------------------ by a job

    async def settle(self, claim: Claim, intent: SettlementIntent, task: Task | None) -> Closing:
        """
        Fail the claimed job and account for its credit; the caller then closes the entry.

        May be repeated, whole or from any point where it stopped. The row of a replayed session
        that had already ended is not changed.

        Raises:
            LeaseLost: The job is another worker's now; it will finish this.
            StoreUnavailable, QueueUnavailable: Not finished; the intent stays.
        """
        if claim.intent is None:
            await self.journal.intend(claim, intent)
        else:
            intent = claim.intent
        closing = Closing(ending=Ending.FAILED, error_code=intent.error_code)
        try:
            credit = await self._account(claim, intent, task)
        except RefundRefused as exc:
            return await self._park(claim, closing, exc)
        if intent.dead_letter or credit is None:
            await self._bury(claim, intent.detail, intent.error_code)
        state = credit.state.value if credit else "no_row"
        self._tell(claim, intent, state)
        if credit is None or credit.state.needs_a_person:
            emit(CreditNeedsAPerson(credit=state))
        return replace(closing, credit=state)

    async def _account(
        self, claim: Claim, intent: SettlementIntent, task: Task | None
    ) -> Credit | None:
        """Fail the row and return what is owed. None: there is no such row."""
        key = SessionKey(channel=claim.channel, session_id=claim.session_id)
        if task and task.replay and task.replay.from_status.is_final:
            return await self._end_replay(key, task)
        row, ours = await self._fail_row(claim, key, intent)
        if row is None:
            return None
        if ours and not intent.swapped and _cron_may_act(row):
            raise StoreUnavailable("the platform may be refunding this session right now")
        if not ours and _is_just_failed(row):
            raise StoreUnavailable("who failed this session may be refunding it right now")
        return await self.return_credit(row, failed_by_us=ours or None)

    async def _fail_row(
        self, claim: Claim, key: SessionKey, intent: SettlementIntent
    ) -> tuple[Session | None, bool]:
        """The row as it is now, and whether it was this job that failed it."""
        won = (
            None if intent.swapped else await self.sessions.apply(key, fail(intent.shopper_message))
        )
        row = won or await self.sessions.get(key)
        if row is None or row.status is not Status.FAILED:
            return row, False
        # After a crash between the swap and its record, our sentence in the row proves that it was
        # ours. Others may write the same sentence, but they also write when.
        same = row.completed_at is None and row.error_message == intent.shopper_message
        resumed = claim.intent is not None and same
        ours = won is not None or intent.swapped or resumed
        if ours and not intent.swapped:
            await self.journal.intend(claim, replace(intent, swapped=True))
        return row, ours

    async def _end_replay(self, key: SessionKey, task: Task) -> Credit | None:
        row = await self.sessions.get(key)
        if row is None or task.replay is None:
            return None
        await self.return_charge(row, task.replay.replay_id)
        return await self.return_credit(row)

    async def _park(self, claim: Claim, closing: Closing, refusal: RefundRefused) -> Closing:
        await self._bury(claim, str(refusal), refusal.code)
        emit(RefundParked(detail=str(refusal)))
        return replace(closing, ending=Ending.PARKED, credit=CreditState.OWED.value)

    def _tell(self, claim: Claim, intent: SettlementIntent, credit: str) -> None:
        emit(
            JobSettled(
                channel=claim.channel.value,
                credit=credit,
                error=intent.error_code,
                detail=intent.detail,
            )
        )

    async def _bury(self, claim: Claim, reason: str, error_code: str) -> None:
        await self.dead_letters.bury(
            claim.payload,
            reason=reason,
            error_code=error_code,
            attempts=claim.attempt,
            session_id=claim.session_id,
        )

    # ------------------------------------------------------------------ a session's own credit

    async def credit(self, row: Session, *, failed_by_us: bool | None = None) -> Credit:
        """
        The state of this session's credit. Reads only.

        Args:
            row: The session, just read.
            failed_by_us: This worker failed it; None: read from the session's record.
        """
        record = await self.reader.record(row.session_id) or SessionRecord()
        marks = CreditNotes(
            failed_by_us=record.failed_by_us if failed_by_us is None else failed_by_us,
            was_replayed=record.replays > 0,
            parked=record.parked,
        )
        reader = CreditReader(sessions=self.sessions, ledger=self.ledger)
        return credit_of(await reader.facts(row, marks))

    async def return_credit(
        self, row: Session, *, failed_by_us: bool | None = None, was_created: bool = True
    ) -> Credit:
        """
        Refund what a session's owner is owed: once, however often it is called.

        Args:
            row: The session, just read.
            failed_by_us: As `credit`.
            was_created: False when there was no row. If there is one by now, nothing is returned:
                who makes it is still at work.

        Raises:
            RefundRefused: The ledger refuses.
            StoreUnavailable, QueueUnavailable: Not known to be done; call it again.
        """
        credit = await self.credit(row, failed_by_us=failed_by_us)
        if credit.state is not CreditState.OWED:
            return credit
        async with self._only_writer(row):
            fresh = await self.sessions.get(row.key)
            if fresh is not None and not was_created:
                return await self.credit(fresh)
            credit = await self.credit(fresh or row, failed_by_us=failed_by_us)
            if credit.state is CreditState.OWED and credit.owed_to is not None:
                await self._refund(credit.owed_to, credit.refund_text)
                return replace(
                    credit, state=CreditState.RETURNED, reason="returned now", returned_now=True
                )
        return credit

    # ------------------------------------------------------------------ a replay's own credit

    async def charge(self, row: Session, replay_id: str) -> None:
        """
        Take the credit of a replay, once, however often it is called.

        Raises:
            NoCreditLeft: The owner has none: nothing was taken.
            StoreUnavailable, QueueUnavailable: Not known to be done; call it again.
        """
        async with self._only_writer(row):
            entries = await self.ledger.entries_of(row)
            if _charge(entries, replay_id) is None:
                payer = replay_payer(row, entries, replay_id)
                await self.ledger.take(payer, replay_text(row.session_id, replay_id))

    async def return_charge(self, row: Session, replay_id: str) -> None:
        """
        Refund the credit that a replay took, if it took one; once, however often it is called.

        Raises:
            RefundRefused: The ledger refuses.
            StoreUnavailable, QueueUnavailable: Not known to be done; call it again.
        """
        async with self._only_writer(row):
            entries = await self.ledger.entries_of(row)
            charge = _charge(entries, replay_id)
            if charge is None or _charge_refund(entries, replay_id):
                return
            payer = replay_payer(row, entries, replay_id)
            await self._refund(
                replace(payer, shopper_email=charge.shopper_email),
                replay_refund_text(row.session_id, replay_id),
            )

    async def _refund(self, payer: Payer, description: str) -> None:
        try:
            await self.ledger.refund(payer, description)
        except StoreRefused as exc:
            raise RefundRefused(
                f"the ledger refuses the refund: {exc}", vendor_code=exc.vendor_code
            ) from exc

    @asynccontextmanager
    async def _only_writer(self, row: Session) -> AsyncIterator[None]:
        """Hold the lock. A definite refusal by the ledger releases it: then no write is in
        flight.
        """
        refusal: WearonError | None = None
        async with self.refund_lock.hold(row.session_id) as free:
            if not free:
                raise StoreUnavailable("another refund of this session may still be in progress")
            try:
                yield
            except (RefundRefused, NoCreditLeft) as exc:
                refusal = exc
        if refusal is not None:
            raise refusal


def _cron_may_act(row: Session) -> bool:
    """
    True when the platform's cron may have read this row as open just before it was failed here.

    It refunds before it writes the row, so the ledger is read again later.
    """
    age_s = (utc_now() - row.created_at).total_seconds()
    return row.channel is Channel.B2C and age_s > PLATFORM_CRON_S - CRON_MARGIN_S


def _is_just_failed(row: Session) -> bool:
    """`try-on` fails the row first, and refunds within a minute (`core.operator.try_on`)."""
    if row.channel is Channel.B2B or row.status is not Status.FAILED or row.completed_at is None:
        return False
    return (utc_now() - row.completed_at).total_seconds() < OTHERS_REFUND_S


def _charge(entries: Sequence[LedgerEntry], replay_id: str) -> LedgerEntry | None:
    return next((e for e in entries if e.is_taking and replay_id_of(e) == replay_id), None)


def _charge_refund(entries: Sequence[LedgerEntry], replay_id: str) -> bool:
    return any(e.kind is EntryKind.REFUND and replay_id_of(e) == replay_id for e in entries)
