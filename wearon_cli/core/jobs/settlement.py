"""
Failing a job and giving its credit back, exactly once.

The order is: write the intent, move the row to failed, refund by what the ledger says; closing the
job clears the intent. Each step can be found half done and finished by anyone who holds the job's
lease. Only who won the move to failed may refund; the ledger, not the payload, says what is owed.
"""

import re
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final, Protocol

from wearon_cli.core.credits import EntryKind, Ledger, LedgerEntry
from wearon_cli.core.errors import StoreUnavailable, WearonError
from wearon_cli.core.events import emit
from wearon_cli.core.jobs.dead_letters import DeadLetters
from wearon_cli.core.jobs.events import CreditNeedsAPerson, JobSettled
from wearon_cli.core.jobs.journal import Claim, Journal, SettlementIntent
from wearon_cli.core.session import Channel, Session, SessionKey, Sessions, Status, fail

#: How the platform ends a deduction's description when the shopper's credit was taken.
_SHOPPER: Final = re.compile(r"\(shopper=(?P<email>[^()\s]+)\)\s*$")


class Settled(StrEnum):
    """What became of the credit of a failed job."""

    REFUNDED = "refunded"  # given back now
    ALREADY_REFUNDED = "already_refunded"  # given back earlier: nothing more is owed
    OVERAGE = "overage"  # charged outside, no credit taken: a person must look
    NOTHING_TAKEN = "nothing_taken"  # the ledger shows no credit taken for this session
    UNACCOUNTED = "unaccounted"  # the row has nothing that ties it to a ledger: a person must look
    NOT_OURS = "not_ours"  # somebody else brought the row to its end
    NO_ROW = "no_row"  # there is no such session

    @property
    def needs_a_person(self) -> bool:
        return self in {Settled.OVERAGE, Settled.UNACCOUNTED, Settled.NO_ROW}


def intent_for(error: WearonError, *, dead_letter: bool = False) -> SettlementIntent:
    """The intent that fails a job for this error."""
    return SettlementIntent(
        error_code=error.code,
        shopper_message=error.shopper_message,
        detail=str(error),
        dead_letter=dead_letter,
    )


class RefundLock(Protocol):
    """One b2c refunder at a time for a session, over all workers."""

    def hold(self, session_id: str) -> AbstractAsyncContextManager[bool]:
        """
        Enter with True when the lock was free.

        Let go at a clean end only: after an error it stays until it has outlived any call made
        under it, so that a refund still on its way lands before the next refunder looks.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """Fails jobs and accounts for their credits."""

    sessions: Sessions
    ledger: Ledger
    journal: Journal
    dead_letters: DeadLetters
    refund_lock: RefundLock

    async def settle(self, claim: Claim, key: SessionKey, intent: SettlementIntent) -> Settled:
        """
        Fail the claimed job and account for its credit; the caller then closes the entry.

        May be repeated, from any point it stopped at and as a whole.

        Raises:
            LeaseLost: Another worker has the job; it will finish this.
            StoreUnavailable, StoreRefused, QueueUnavailable: Not finished; the intent stays.
        """
        if claim.intent is None:
            await self.journal.intend(claim, intent)
        else:
            intent = claim.intent
        row = await self._own_failed_row(claim, key, intent)
        settled = row if isinstance(row, Settled) else await self.refund(row)
        await self._finish(claim, key, intent, settled)
        return settled

    async def _own_failed_row(
        self, claim: Claim, key: SessionKey, intent: SettlementIntent
    ) -> Session | Settled:
        """The row, failed by this job's settlement; or why there is nothing to refund."""
        won = (
            None if intent.swapped else await self.sessions.apply(key, fail(intent.shopper_message))
        )
        if won is not None:
            await self.journal.intend(claim, replace(intent, swapped=True))
            return won
        row = await self.sessions.get(key)
        if row is None:
            return Settled.NO_ROW
        if row.status is not Status.FAILED:
            return Settled.NOT_OURS
        # A crash between the swap and its note leaves our sentence in the row as the witness.
        resumed = claim.intent is not None and row.error_message == intent.shopper_message
        return row if intent.swapped or resumed else Settled.NOT_OURS

    async def refund(self, row: Session) -> Settled:
        """
        Give back what a failed row's owner is owed by the ledger: once, however often it is called.

        Raises:
            StoreUnavailable, StoreRefused, QueueUnavailable: Not known to be done; call it again.
        """
        if row.channel is Channel.B2C:
            return await self._refund_user(row)
        return await self._refund_store(row)

    async def _refund_user(self, row: Session) -> Settled:
        if row.credits_used < 1:
            return Settled.NOTHING_TAKEN
        async with self.refund_lock.hold(row.session_id) as free:
            if not free:
                raise StoreUnavailable("another refund of this session may still be on its way")
            standing = await self.ledger.user_standing(row.owner_id, row.session_id)
            if standing.session_refunds:
                return Settled.ALREADY_REFUNDED
            if standing.refunded >= standing.taken:
                return Settled.NOTHING_TAKEN
            await self.ledger.refund_user(row.owner_id, _description(row))
        return Settled.REFUNDED

    async def _refund_store(self, row: Session) -> Settled:
        if not row.request_id:
            return Settled.UNACCOUNTED
        entries = await self.ledger.store_entries(row.owner_id, row.request_id)
        deduction = _first(entries, EntryKind.DEDUCTION)
        if deduction is None or not await self._paid_for(row, deduction):
            overage = _first(entries, EntryKind.OVERAGE)
            return Settled.OVERAGE if overage else Settled.NOTHING_TAKEN
        if _first(entries, EntryKind.REFUND):
            return Settled.ALREADY_REFUNDED
        shopper = _SHOPPER.search(deduction.description)
        if shopper:
            refunded = await self.ledger.refund_shopper(
                row.owner_id, shopper["email"], row.request_id, _description(row)
            )
        else:
            refunded = await self.ledger.refund_store(
                row.owner_id, row.request_id, _description(row)
            )
        return Settled.REFUNDED if refunded else Settled.ALREADY_REFUNDED

    async def _paid_for(self, row: Session, deduction: LedgerEntry) -> bool:
        """
        Whether this deduction paid for this row. Request ids can be reused by a caller, and the
        ledger takes one deduction for each: it belongs to the first session made after it.
        """
        siblings = await self.sessions.with_request_id(row.owner_id, row.request_id or "")
        if len(siblings) < 2:
            return True
        later = [s for s in siblings if s.created_at >= deduction.created_at] or list(siblings)
        return later[0].session_id == row.session_id

    async def _finish(
        self, claim: Claim, key: SessionKey, intent: SettlementIntent, settled: Settled
    ) -> None:
        if intent.dead_letter or settled is Settled.NO_ROW:
            await self.dead_letters.bury(
                claim.payload,
                reason=intent.detail,
                error_code=intent.error_code,
                attempts=claim.attempts,
                session_id=key.session_id,
            )
        await self.journal.note(
            key.session_id, "settled", credit=settled.value, error=intent.error_code
        )
        emit(
            JobSettled(
                channel=key.channel.value,
                credit=settled.value,
                error=intent.error_code,
                detail=intent.detail,
            )
        )
        if settled.needs_a_person:
            emit(CreditNeedsAPerson(credit=settled.value))


def _description(row: Session) -> str:
    """Names the session: for b2c this is what makes the refund findable."""
    return f"Refund: try-on session {row.session_id} failed"


def _first(entries: Sequence[LedgerEntry], kind: EntryKind) -> LedgerEntry | None:
    return next((entry for entry in entries if entry.kind is kind), None)
