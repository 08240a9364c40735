"""The credit ledgers of both channels: their entries, and the port to read and write them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final, Protocol

from wearon_cli.core.session import Channel, NewSession, Session

#: How `try-on` begins the description of a credit that it takes; the session's id follows.
BY_HAND: Final = "Try-on by hand: session "
_BY_HAND: Final = re.compile(BY_HAND + r"(?P<session>[0-9a-f-]{36})\b")
#: How the platform ends a deduction's description when the shopper's credit was taken.
_SHOPPER: Final = re.compile(r"\(shopper=(?P<email>[^()\s]+)\)\s*$")


class EntryKind(StrEnum):
    """Kind of a ledger row (`type` in both ledgers)."""

    GENERATION = "generation"  # b2c: a credit taken
    DEDUCTION = "deduction"  # b2b: a credit taken, from the store or from its shopper
    OVERAGE = "overage"  # b2b: charged outside the credits, no credit taken
    REFUND = "refund"  # a credit refunded
    OTHER = "other"  # purchase, subscription, signup_bonus


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerEntry:
    """One row of a credit ledger."""

    kind: EntryKind
    amount: int  # credits; negative when taken
    description: str
    created_at: datetime
    request_id: str | None = None  # b2b

    @property
    def is_taking(self) -> bool:
        """True when it took a credit."""
        return self.kind in {EntryKind.GENERATION, EntryKind.DEDUCTION}

    @property
    def shopper_email(self) -> str | None:
        """The shopper whose credit it took; None when the store's or a user's."""
        found = _SHOPPER.search(self.description)
        return found["email"] if found else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Payer:
    """Whose credit is taken, and who gets it back."""

    channel: Channel
    owner_id: str  # user (b2c) or merchant store (b2b)
    shopper_email: str | None = None  # b2b resell: the store's shopper instead of the store
    #: b2b: the key under which the ledger takes and returns at most one credit.
    request_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Taking:
    """A credit that `try-on` took, and of whom."""

    channel: Channel
    owner_id: str
    entry: LedgerEntry

    @property
    def session_id(self) -> str | None:
        """The session that it was taken for."""
        found = _BY_HAND.match(self.entry.description)
        return found["session"] if found else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A user or merchant store that has credits."""

    channel: Channel
    owner_id: str
    credits: int  # left
    shop_domain: str = ""  # b2b
    shoppers_pay: bool = False  # b2b: resell mode
    is_active: bool = True  # b2b: the store has the app installed


def payer_for(new: NewSession, *, shopper_pays: bool = False) -> Payer:
    """Who pays for a session that is about to be created."""
    return Payer(
        channel=new.channel,
        owner_id=new.owner_id,
        shopper_email=new.shopper_email if shopper_pays else None,
        request_id=new.request_id,
    )


class Ledger(Protocol):
    """
    The credit ledgers of both channels, over the platform's own functions.

    b2b: at most one credit is taken and one returned for each (store, request id): the ledger's
    constraint. b2c: neither is idempotent. Callers must check first, under the `RefundLock`.

    Raises `StoreUnavailable` when the store does not answer (the write may or may not have
    happened) and `StoreRefused` when it refuses.
    """

    async def entries_of(self, session: Session) -> Sequence[LedgerEntry]:
        """
        Every entry that belongs to this session, oldest first.

        b2c: those whose description names the session. b2b: those of its request id (which other
        sessions may share), and those of its replays (`replay:SESSION_ID:...`).
        """

    async def account(self, channel: Channel, name: str) -> Account | None:
        """
        The account of this name: an id, a user's e-mail (b2c), a store's domain (b2b).

        Raises:
            InputError: Users cannot be found by e-mail here.
        """

    async def user_refunds(
        self, user_id: str, *, since: datetime, until: datetime
    ) -> Sequence[LedgerEntry]:
        """Refunds of a b2c user in a span of time, whatever session they name: the first 100."""

    async def taken_by_hand(self, *, since: datetime, limit: int) -> Sequence[Taking]:
        """Credits of both channels that `try-on` took (`BY_HAND`), newest first."""

    async def refund(self, payer: Payer, description: str) -> bool:
        """
        Return 1 credit. False: this request id was refunded before (b2b only).

        Raises:
            StoreRefused: The ledger refuses: no such shopper, function or owner.
        """

    async def take(self, payer: Payer, description: str) -> bool:
        """
        Take 1 credit. False: this request id took one before (b2b only).

        Raises:
            NoCreditLeft: The owner has none, or is unknown.
        """
