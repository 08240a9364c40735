"""The credit ledgers: their entries, and what the rules need from them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from wearon_cli.core.session import NewSession


class EntryKind(StrEnum):
    """Kind of a ledger row (`type` in both ledgers)."""

    GENERATION = "generation"  # b2c: a credit taken
    DEDUCTION = "deduction"  # b2b: a credit taken, from the store or from its shopper
    OVERAGE = "overage"  # b2b: charged outside, no credit taken
    REFUND = "refund"  # a credit given back
    OTHER = "other"  # purchase, subscription, signup_bonus


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerEntry:
    """One row of a credit ledger."""

    kind: EntryKind
    amount: int  # credits; negative when taken
    description: str
    created_at: datetime
    request_id: str | None = None  # b2b


@dataclass(frozen=True, slots=True, kw_only=True)
class UserStanding:
    """A b2c user's ledger, as far as one session's refund needs it."""

    taken: int  # credits taken for generations, ever
    refunded: int  # credits given back, ever
    session_refunds: int  # refund rows whose description names the session


class Ledger(Protocol):
    """
    The credit ledgers of both channels, over the platform's own functions.

    The b2b refunds are exactly-once by the ledger's constraint. The b2c refund is not: only
    `wearon_cli.core.jobs.settlement` may call it, after looking, one refunder at a time.
    """

    async def store_entries(self, store_id: str, request_id: str) -> Sequence[LedgerEntry]:
        """Ledger rows of one (store, request id), oldest first."""

    async def user_standing(self, user_id: str, session_id: str) -> UserStanding:
        """Sums over a user's ledger, and the refunds that name this session."""

    async def refund_store(self, store_id: str, request_id: str, description: str) -> bool:
        """Return 1 credit to the store. False: this request id was refunded before."""

    async def refund_shopper(
        self, store_id: str, email: str, request_id: str, description: str
    ) -> bool:
        """Return 1 credit to the store's shopper. False: refunded before."""

    async def refund_user(self, user_id: str, description: str) -> None:
        """Return 1 credit to the user. NOT idempotent."""

    async def take(
        self, new: NewSession, *, shopper_pays: bool = False, description: str = "Try-on"
    ) -> None:
        """
        Take 1 credit for a session about to be made, as the platform does before its push:
        from the user, the store, or (`shopper_pays`) the store's shopper.

        Raises:
            StoreRefused: There is no credit left, or no such owner.
        """
