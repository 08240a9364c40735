"""
The state of a session's credit: the one rule that everything uses.

Settlement, `session`, `replay-task`, `reconcile`, `costs` and the page all ask `credit_of` and
never decide it themselves. It uses the row, the ledger entries that belong to the session, and what
the workers recorded about it. It never sums a user's ledger: completed sessions and goodwill
refunds change such sums without proving anything about this session.

The rules, in order; the first that applies decides.

    row        ledger and journal                                           state
    any        a replay took a credit of its own, and is still running      held
    completed  a replay took one later, and its refund was refused          owed (the replay's)
    completed  a replay took one later, and its outcome is unknown          unclear
    completed  a replay took one, and it was not given back                 charged
    failed     a replay took one, and it was not given back                 owed (the replay's)
    any        b2b without a request id                                     unclear
    any        no credit was taken, and there is an overage entry           overage
    any        no credit was taken for this session                         never taken
    open       a refund belongs to the session                              returned
    failed     a refund belongs to the session                              returned
    completed  a refund belongs to it, and it was replayed                  free
    completed  a refund belongs to it, and it was not replayed              unclear
    open       -                                                            held
    completed  -                                                            spent
    failed     b2b: the deduction of its request id was not refunded        owed
    failed     b2c: this worker failed it                                   owed
    failed     b2c: taken by `try-on`, and no refund may be its own         owed
    failed     b2c: somebody else failed it                                 unclear

A caller may use a b2b request id again. The ledger takes one credit for it, which belongs to the
first session created after the deduction, and so does its refund. A credit that was refunded before
the session was created was not taken for it.

A credit that `try-on` takes names its session. Only this worker, `try-on` itself and the platform's
cron fail such a session, and the cron's refund names it: without one it is owed.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from typing import Final

from wearon_cli.core.ledger import BY_HAND, EntryKind, LedgerEntry, Payer
from wearon_cli.core.session import Channel, Session, Status

#: A user's refund that names no session may belong to one that failed this shortly before it.
#: Source: the platform refunds a queue error within the request that created the session.
UNNAMED_REFUND_WITHIN: Final = timedelta(minutes=15)

#: The row's times are by a worker's clock, the ledger's by its database's: they may differ by this
#: much.
CLOCKS_AGREE_WITHIN: Final = timedelta(minutes=5)

_REPLAY: Final = re.compile(r"\breplay (?P<replay>[0-9a-f]{8}) of session ", re.IGNORECASE)
_REPLAY_KEY: Final = re.compile(r"replay:[0-9a-f-]{36}:(?P<replay>[0-9a-f]{8})", re.IGNORECASE)


class CreditState(StrEnum):
    """Where the credit of a session is."""

    HELD = "held"  # taken, and the session is still open
    SPENT = "spent"  # the session completed, and its credit paid for it
    RETURNED = "returned"  # a refund of this session is in the ledger
    FREE = "free"  # returned earlier, and a replay that took none completed the session
    CHARGED = "charged"  # a replay that took a credit of its own completed the session
    OWED = "owed"  # taken, the session failed, and it is proved that it was not refunded
    OVERAGE = "overage"  # charged outside the credits: a person refunds it where it was charged
    NEVER_TAKEN = "never_taken"  # no credit was taken for this session: none is owed
    UNCLEAR = "unclear"  # the records do not say: a person must look

    @property
    def needs_a_person(self) -> bool:
        """True when a person must decide."""
        return self in {CreditState.OVERAGE, CreditState.UNCLEAR}


class ReturnedBy(StrEnum):
    """Who refunded a credit."""

    WORKER = "worker"
    PLATFORM = "platform"


@dataclass(frozen=True, slots=True, kw_only=True)
class CreditFacts:
    """Everything that `credit_of` reads."""

    session: Session
    entries: Sequence[LedgerEntry]  # `Ledger.entries_of`, oldest first
    #: b2b: every row with this store and request id, including this one, oldest first.
    siblings: Sequence[Session] = ()
    failed_by_us: bool = False  # this worker won the row's move to failed
    was_replayed: bool = False  # an operator ran it again
    replaying: str | None = None  # id of the replay whose job is open
    parked: bool = False  # the ledger refused a refund of it
    #: b2c: refunds of the user around the session's time that may name no session.
    user_refunds: Sequence[LedgerEntry] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Credit:
    """The state of a credit, and the reason."""

    state: CreditState
    reason: str  # one sentence for an operator, without e-mails
    returned_by: ReturnedBy | None = None
    entry: LedgerEntry | None = None  # the ledger entry that decided
    #: Who is owed 1 credit, and the description that makes its refund findable. With OWED only.
    owed_to: Payer | None = None
    refund_text: str = ""
    #: Refunds of the session in excess of the credits taken for it.
    surplus: int = 0
    returned_now: bool = False  # by `Settlement.return_credit`, in this call


def replay_text(session_id: str, replay_id: str) -> str:
    """
    Description of the credit that a replay takes.

    Args:
        session_id: The session.
        replay_id: 8 hex digits.
    """
    return f"Try-on: replay {replay_id} of session {session_id}"


def replay_request_id(session_id: str, replay_id: str) -> str:
    """b2b: the ledger key of the credit that a replay takes."""
    return f"replay:{session_id}:{replay_id}"


def refund_text(session_id: str) -> str:
    """Description of a session's refund: for b2c this is what makes it findable."""
    return f"Refund: try-on session {session_id} failed"


def replay_refund_text(session_id: str, replay_id: str) -> str:
    """Description of the refund of a replay's own credit."""
    return f"Refund: replay {replay_id} of session {session_id} failed"


def replay_id_of(entry: LedgerEntry) -> str | None:
    """The replay that this entry names, in its request id or description; None when it names
    none.
    """
    found = _REPLAY_KEY.fullmatch(entry.request_id or "") or _REPLAY.search(entry.description)
    return found["replay"].lower() if found else None


def replay_payer(session: Session, base: Sequence[LedgerEntry], replay_id: str) -> Payer:
    """
    Who pays for a replay: the payer of the session.

    Args:
        session: The session.
        base: Its ledger entries.
        replay_id: 8 hex digits.
    """
    if session.channel is Channel.B2C:
        return Payer(channel=session.channel, owner_id=session.owner_id)
    emails = [e.shopper_email for e in base if e.is_taking and not replay_id_of(e)]
    return Payer(
        channel=session.channel,
        owner_id=session.owner_id,
        shopper_email=next((email for email in emails if email), None),
        request_id=replay_request_id(session.session_id, replay_id),
    )


def credit_of(facts: CreditFacts) -> Credit:
    """
    Decide the state of a session's credit. Pure: reads only `facts`.

    It implements the table at the top of this module.
    """
    charge = _open_charge(facts)
    credit = _of_charge(facts, charge) if charge else None
    credit = credit or _of_session(facts)
    return replace(credit, surplus=_surplus(facts))


def _of_charge(facts: CreditFacts, charge: LedgerEntry) -> Credit | None:
    """The credit that a replay took and that was not refunded; None when the row's own credit
    counts.
    """
    row = facts.session
    replay_id = str(replay_id_of(charge))
    if replay_id == facts.replaying:
        reason = f"replay {replay_id} took a credit and is still running"
        return Credit(state=CreditState.HELD, reason=reason, entry=charge)
    if row.status is Status.FAILED:
        return _owed_charge(
            row, facts.entries, charge, f"replay {replay_id} took a credit and failed"
        )
    if row.status is not Status.COMPLETED:
        return None
    later = charge.created_at - (row.completed_at or charge.created_at)
    if later > timedelta() and facts.parked:
        reason = f"replay {replay_id} took a credit and failed, and its refund was refused"
        return _owed_charge(row, facts.entries, charge, reason)
    if later > CLOCKS_AGREE_WITHIN:
        reason = f"replay {replay_id} took a credit, and its outcome is unknown"
        return Credit(state=CreditState.UNCLEAR, reason=reason, entry=charge)
    reason = f"replay {replay_id} took a credit of its own"
    return Credit(state=CreditState.CHARGED, reason=reason, entry=charge)


def _of_session(facts: CreditFacts) -> Credit:
    row = facts.session
    if row.channel is Channel.B2B and not row.request_id:
        return Credit(
            state=CreditState.UNCLEAR,
            reason="the row has no request id, so nothing ties it to the ledger",
        )
    taken = _taking(facts)
    if row.channel is Channel.B2B and taken is None:
        return _without_deduction(facts)
    if row.channel is Channel.B2C and row.credits_used < 1:
        return Credit(state=CreditState.NEVER_TAKEN, reason="the row shows that no credit was used")
    refund = next(iter(_refunds(facts)), None)
    if refund is None:
        return _not_returned(facts, taken)
    if taken and refund.created_at < row.created_at:
        reason = "the credit of its request id was returned before the session was created"
        return Credit(state=CreditState.NEVER_TAKEN, reason=reason, entry=refund)
    return _returned(facts, refund)


def _base(facts: CreditFacts) -> list[LedgerEntry]:
    """The entries of the session itself, without those of its replays."""
    mine = [entry for entry in facts.entries if replay_id_of(entry) is None]
    if facts.session.channel is Channel.B2B:
        return [entry for entry in mine if entry.request_id == facts.session.request_id]
    return mine


def _taking(facts: CreditFacts) -> LedgerEntry | None:
    """
    b2b: the deduction that paid for this session; None when there is none, or when it paid for
    another session of the same request id. b2c deductions name no session: always None.
    """
    if facts.session.channel is Channel.B2C:
        return None
    deduction = next((e for e in _base(facts) if e.kind is EntryKind.DEDUCTION), None)
    if deduction is None or len(facts.siblings) < 2:
        return deduction
    later = [s for s in facts.siblings if s.created_at >= deduction.created_at]
    owner = later[0] if later else facts.siblings[0]
    return deduction if owner.session_id == facts.session.session_id else None


def _refunds(facts: CreditFacts) -> list[LedgerEntry]:
    return [entry for entry in _base(facts) if entry.kind is EntryKind.REFUND]


def _surplus(facts: CreditFacts) -> int:
    """b2c: the ledger accepts any number of refunds. A b2b request id has one at most."""
    if facts.session.channel is Channel.B2B:
        return 0
    return max(0, len(_refunds(facts)) - max(0, facts.session.credits_used))


def _open_charge(facts: CreditFacts) -> LedgerEntry | None:
    """The newest credit that a replay took and that was not refunded."""
    charges = {replay_id_of(e): e for e in facts.entries if e.is_taking and replay_id_of(e)}
    for entry in facts.entries:
        if entry.kind is EntryKind.REFUND:
            charges.pop(replay_id_of(entry), None)
    return max(charges.values(), key=lambda e: e.created_at, default=None)


def _owed_charge(
    row: Session, entries: Sequence[LedgerEntry], charge: LedgerEntry, reason: str
) -> Credit:
    replay_id = str(replay_id_of(charge))
    payer = replay_payer(row, entries, replay_id)
    return Credit(
        state=CreditState.OWED,
        reason=reason,
        entry=charge,
        owed_to=replace(payer, shopper_email=charge.shopper_email),
        refund_text=replay_refund_text(row.session_id, replay_id),
    )


def _without_deduction(facts: CreditFacts) -> Credit:
    overage = next((e for e in _base(facts) if e.kind is EntryKind.OVERAGE), None)
    if overage:
        return Credit(
            state=CreditState.OVERAGE,
            reason="it was charged outside the credits",
            entry=overage,
        )
    shared = len(facts.siblings) > 1
    return Credit(
        state=CreditState.NEVER_TAKEN,
        reason=(
            "its request id was used by several sessions, and the credit paid for another one"
            if shared
            else "the ledger has no deduction for its request id"
        ),
    )


def _returned(facts: CreditFacts, refund: LedgerEntry) -> Credit:
    ours = refund.description.startswith(refund_text(facts.session.session_id))
    by = ReturnedBy.WORKER if ours else ReturnedBy.PLATFORM
    if facts.session.status is not Status.COMPLETED:
        reason = "a refund of this session is in the ledger"
        return Credit(state=CreditState.RETURNED, reason=reason, returned_by=by, entry=refund)
    if facts.was_replayed:
        return Credit(
            state=CreditState.FREE,
            reason="its credit was returned before, and a replay completed it without taking one",
            returned_by=by,
            entry=refund,
        )
    return Credit(
        state=CreditState.UNCLEAR,
        reason="it is completed, its credit was returned, and no replay is known",
        returned_by=by,
        entry=refund,
    )


def _not_returned(facts: CreditFacts, taken: LedgerEntry | None) -> Credit:
    row = facts.session
    if row.status is Status.COMPLETED:
        return Credit(state=CreditState.SPENT, reason="it paid for the picture", entry=taken)
    if row.status is not Status.FAILED:
        return Credit(state=CreditState.HELD, reason="the session is still open", entry=taken)
    is_proved = taken is not None or facts.failed_by_us
    if not is_proved and (not _is_taken_by_hand(facts) or _unnamed_refund(facts)):
        return _unclear_failure(facts)
    return Credit(
        state=CreditState.OWED,
        reason="the session failed, and no refund of it is in the ledger",
        entry=taken,
        owed_to=Payer(
            channel=row.channel,
            owner_id=row.owner_id,
            shopper_email=taken.shopper_email if taken else None,
            request_id=row.request_id,
        ),
        refund_text=refund_text(row.session_id),
    )


def _is_taken_by_hand(facts: CreditFacts) -> bool:
    by_hand = f"{BY_HAND}{facts.session.session_id}"
    return any(e.is_taking and e.description.startswith(by_hand) for e in _base(facts))


def _unnamed_refund(facts: CreditFacts) -> LedgerEntry | None:
    """b2c: a refund of the user that names no session, and may be for this one."""
    row = facts.session
    until = (row.completed_at or row.created_at) + UNNAMED_REFUND_WITHIN
    return next(
        (
            entry
            for entry in facts.user_refunds
            if row.created_at - UNNAMED_REFUND_WITHIN <= entry.created_at <= until
            and "session" not in entry.description.lower()
        ),
        None,
    )


def _unclear_failure(facts: CreditFacts) -> Credit:
    """b2c, failed by somebody else: the platform refunds without naming the session."""
    candidate = _unnamed_refund(facts)
    refund = "no refund names it"
    if candidate:
        refund = f"a refund of the user at {candidate.created_at:%H:%M:%S} UTC may be its own"
    return Credit(
        state=CreditState.UNCLEAR,
        reason=f"this worker did not fail it, and {refund}",
        entry=candidate,
    )
