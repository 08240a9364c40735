"""
Following a session to its end, and telling what became of its credit.

Reads only: whoever looks changes nothing.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from wearon_cli.core.credits import EntryKind, Ledger, LedgerEntry
from wearon_cli.core.errors import SessionNotFound, SessionRunning
from wearon_cli.core.jobs.journal import Journal
from wearon_cli.core.session import Channel, Session, SessionKey, Sessions, Status

#: How often the row is looked at. A generation takes 40 s; a shopper's screen is pushed to, not us.
LOOK_EVERY_S: Final = 0.5
#: A failed row is settled right after its move to failed; a worker may die in between.
SETTLING_S: Final = 6.0


class CreditFate(StrEnum):
    """Where the credit of an ended session is, as far as the ledger tells."""

    SPENT = "spent"  # the session completed
    RETURNED = "returned"  # a refund for this session is in the ledger
    NOT_TAKEN = "not_taken"  # no credit was taken: nothing to give back
    OVERAGE = "overage"  # charged outside, no credit: for a person to look at
    PENDING = "pending"  # failed, and the refund is not in the ledger yet


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How a session ended."""

    session: Session
    credit: CreditFate
    error_code: str | None = None  # class of error, from the session's story


async def follow(
    sessions: Sessions,
    key: SessionKey,
    *,
    timeout_s: float,
    on_look: Callable[[Session], None],
) -> Session:
    """
    Look at the row until it is final; `on_look` hears every look.

    Raises:
        SessionRunning: Not final within `timeout_s`.
        SessionNotFound: The row went away.
    """
    clock = asyncio.get_running_loop().time
    deadline_s = clock() + timeout_s
    while True:
        row = await sessions.get(key)
        if row is None:
            raise SessionNotFound(f"the row of {key.session_id} is gone")
        on_look(row)
        if row.status.is_final:
            return row
        if clock() >= deadline_s:
            raise SessionRunning(
                f"session {key.session_id} is still {row.status.value} after {timeout_s:g} s",
                hint="it goes on by itself; give it longer with --timeout",
            )
        await asyncio.sleep(LOOK_EVERY_S)


async def ending(
    row: Session, *, ledger: Ledger, journal: Journal, settling_s: float = SETTLING_S
) -> Ending:
    """Tell how a final session ended, waiting a moment for a refund that is under way."""
    if row.status is Status.COMPLETED:
        return Ending(session=row, credit=CreditFate.SPENT)
    clock = asyncio.get_running_loop().time
    deadline_s = clock() + settling_s
    credit = await credit_fate(row, ledger)
    while credit is CreditFate.PENDING and clock() < deadline_s:
        await asyncio.sleep(LOOK_EVERY_S)
        credit = await credit_fate(row, ledger)
    return Ending(session=row, credit=credit, error_code=await _error_code(row.session_id, journal))


async def credit_fate(row: Session, ledger: Ledger) -> CreditFate:
    """Where the credit of a failed session is now."""
    if row.channel is Channel.B2C:
        standing = await ledger.user_standing(row.owner_id, row.session_id)
        if standing.session_refunds:
            return CreditFate.RETURNED
        owed = row.credits_used > 0 and standing.taken > standing.refunded
        return CreditFate.PENDING if owed else CreditFate.NOT_TAKEN
    if not row.request_id:
        return CreditFate.NOT_TAKEN
    return _store_credit(await ledger.store_entries(row.owner_id, row.request_id))


def _store_credit(entries: Sequence[LedgerEntry]) -> CreditFate:
    kinds = {entry.kind for entry in entries}
    if EntryKind.REFUND in kinds:
        return CreditFate.RETURNED
    if EntryKind.DEDUCTION in kinds:
        return CreditFate.PENDING
    return CreditFate.OVERAGE if EntryKind.OVERAGE in kinds else CreditFate.NOT_TAKEN


async def _error_code(session_id: str, journal: Journal) -> str | None:
    """The class of error that settled this session, from its story."""
    told = [line.get("error") for line in await journal.timeline(session_id)]
    return next((str(code) for code in reversed(told) if code), None)
