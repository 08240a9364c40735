"""The rule of credits, row by row, and over random histories of ledgers."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wearon_cli.core.credits import (
    Credit,
    CreditFacts,
    CreditState,
    ReturnedBy,
    credit_of,
    refund_text,
    replay_payer,
    replay_refund_text,
    replay_request_id,
    replay_text,
)
from wearon_cli.core.ledger import BY_HAND, EntryKind, LedgerEntry
from wearon_cli.core.session import Channel, Session, Status

OWNER = "7d4f5f3a-2f1c-4d5e-8a35-7d52a3f1e0b2"
SESSION = "0193a1c0-7b1e-7c4a-9f00-3f2c6f0a9d01"
OTHER = "0193a1c0-7b1e-7c4a-9f00-3f2c6f0a9d02"
REPLAY = "0a1b2c3d"
WHEN = datetime(2026, 2, 9, 14, 30, tzinfo=UTC)
REQUEST = "req_1"
MAIL = "ada@example.test"


def at(seconds: float) -> datetime:
    return WHEN + timedelta(seconds=seconds)


def row(
    status: Status = Status.QUEUED,
    *,
    channel: Channel = Channel.B2C,
    session_id: str = SESSION,
    made_s: float = 0,
    **more: object,
) -> Session:
    values: dict[str, object] = {
        "session_id": session_id,
        "channel": channel,
        "owner_id": OWNER,
        "status": status,
        "created_at": at(made_s),
        "request_id": REQUEST if channel is Channel.B2B else None,
    }
    return Session(**values | more)  # type: ignore[arg-type]


def entry(
    kind: EntryKind, text: str = "", *, s: float = 0, request_id: str | None = None
) -> LedgerEntry:
    amount = {EntryKind.REFUND: 1, EntryKind.OVERAGE: 0}.get(kind, -1)
    return LedgerEntry(
        kind=kind, amount=amount, description=text, created_at=at(s), request_id=request_id
    )


def deduction(text: str = "Try-on", *, s: float = -1) -> LedgerEntry:
    return entry(EntryKind.DEDUCTION, text, s=s, request_id=REQUEST)


def store_refund(text: str = "Refund", *, s: float = 60) -> LedgerEntry:
    return entry(EntryKind.REFUND, text, s=s, request_id=REQUEST)


def overage() -> LedgerEntry:
    return entry(EntryKind.OVERAGE, s=-1, request_id=REQUEST)


CRON = f"Stuck job recovery: session {SESSION} timed out after 10 minutes"
OURS = refund_text(SESSION)
TAKEN_BY_HAND = entry(EntryKind.GENERATION, f"{BY_HAND}{SESSION}", s=-1)
CHARGE = entry(EntryKind.GENERATION, replay_text(SESSION, REPLAY), s=100)
CHARGE_BACK = entry(EntryKind.REFUND, replay_refund_text(SESSION, REPLAY), s=200)


def of(session: Session, *entries: LedgerEntry, **facts: object) -> Credit:
    return credit_of(CreditFacts(session=session, entries=entries, **facts))  # type: ignore[arg-type]


B2B = Channel.B2B
DONE_BEFORE = row(Status.COMPLETED, completed_at=at(50))  # a charge is taken at 100 s
DONE_AFTER = row(Status.COMPLETED, completed_at=at(140))
DONE_LONG_BEFORE = row(Status.COMPLETED, completed_at=at(-900), made_s=-1000)
OPEN, DONE, FAILED = row(), row(Status.COMPLETED), row(Status.FAILED)
STORE_OPEN = row(channel=B2B)
STORE_DONE = row(Status.COMPLETED, channel=B2B)
STORE_FAILED = row(Status.FAILED, channel=B2B)
ALONE = (STORE_FAILED,)
FIRST = row(Status.FAILED, channel=B2B, session_id=OTHER, made_s=0)
SECOND = row(Status.FAILED, channel=B2B, made_s=30)

#: The table at the top of core/credits.py, with the ledger that each line needs.
LAW = [
    # a replay's own credit
    pytest.param(FAILED, [CHARGE], {"replaying": REPLAY}, "held", id="a charged replay at work"),
    pytest.param(DONE, [CHARGE], {"replaying": REPLAY}, "held", id="a charged redraw at work, b2c"),
    pytest.param(
        DONE_BEFORE,
        [CHARGE],
        {"parked": True},
        "owed",
        id="a charged redraw failed, refund refused",
    ),
    pytest.param(
        DONE_AFTER, [CHARGE], {"parked": True}, "charged", id="another's refund was refused"
    ),
    pytest.param(DONE_LONG_BEFORE, [CHARGE], {}, "unclear", id="a charged redraw without an end"),
    pytest.param(DONE, [CHARGE], {"was_replayed": True}, "charged", id="a charged replay is done"),
    pytest.param(FAILED, [CHARGE], {}, "owed", id="a charged replay failed"),
    pytest.param(
        FAILED,
        [entry(EntryKind.REFUND, CRON), CHARGE, CHARGE_BACK],
        {"was_replayed": True},
        "returned",
        id="a charged replay failed, and its credit is back",
    ),
    pytest.param(
        DONE,
        [entry(EntryKind.REFUND, CRON), CHARGE, CHARGE_BACK],
        {"was_replayed": True},
        "free",
        id="a charged replay failed, a later one was free",
    ),
    # nothing links it to the ledger
    pytest.param(
        replace(STORE_FAILED, request_id=None), [], {}, "unclear", id="b2b without a request id"
    ),
    # nothing was taken
    pytest.param(STORE_FAILED, [overage()], {}, "overage", id="overage"),
    pytest.param(STORE_DONE, [overage()], {}, "overage", id="overage, completed"),
    pytest.param(STORE_FAILED, [], {}, "never_taken", id="b2b, no entry"),
    pytest.param(
        SECOND,
        [deduction()],
        {"siblings": (FIRST, SECOND)},
        "never_taken",
        id="a request id used again: the credit paid for the first",
    ),
    pytest.param(
        SECOND,
        [deduction(), store_refund()],
        {"siblings": (FIRST, SECOND)},
        "never_taken",
        id="a request id used again: so does the refund",
    ),
    pytest.param(
        STORE_OPEN,
        [deduction(s=-60), store_refund(s=-59)],
        {"siblings": (STORE_OPEN,)},
        "never_taken",
        id="given back before the session was made",
    ),
    pytest.param(row(Status.FAILED, credits_used=0), [], {}, "never_taken", id="b2c, none used"),
    # given back
    pytest.param(OPEN, [entry(EntryKind.REFUND, CRON)], {}, "returned", id="open, the cron's"),
    pytest.param(FAILED, [entry(EntryKind.REFUND, CRON)], {}, "returned", id="failed, the cron's"),
    pytest.param(FAILED, [entry(EntryKind.REFUND, OURS)], {}, "returned", id="failed, ours"),
    pytest.param(
        STORE_FAILED, [deduction(), store_refund()], {}, "returned", id="failed, the store's"
    ),
    pytest.param(
        DONE, [entry(EntryKind.REFUND, OURS)], {"was_replayed": True}, "free", id="a free replay"
    ),
    pytest.param(
        DONE, [entry(EntryKind.REFUND, CRON)], {}, "unclear", id="completed, and nobody replayed it"
    ),
    # not given back
    pytest.param(OPEN, [], {}, "held", id="open, b2c"),
    pytest.param(STORE_OPEN, [deduction()], {}, "held", id="open, b2b"),
    pytest.param(DONE, [], {}, "spent", id="completed, b2c"),
    pytest.param(STORE_DONE, [deduction()], {}, "spent", id="completed, b2b"),
    pytest.param(STORE_FAILED, [deduction()], {}, "owed", id="b2b failed by anyone"),
    pytest.param(FAILED, [], {"failed_by_us": True}, "owed", id="b2c failed by this worker"),
    pytest.param(FAILED, [TAKEN_BY_HAND], {}, "owed", id="b2c taken by try-on"),
    pytest.param(
        FAILED,
        [TAKEN_BY_HAND],
        {"user_refunds": (entry(EntryKind.REFUND, "Queue error - refund"),)},
        "unclear",
        id="b2c taken by try-on, and a refund may be its own",
    ),
    pytest.param(
        FAILED,
        [entry(EntryKind.GENERATION, f"{BY_HAND}{OTHER}: not session {SESSION}")],
        {},
        "unclear",
        id="b2c, taken by try-on for another session",
    ),
    pytest.param(FAILED, [], {}, "unclear", id="b2c failed by somebody else"),
]


@pytest.mark.parametrize(("session", "entries", "facts", "state"), LAW)
def test_each_state_follows_from_its_facts(
    session: Session, entries: list[LedgerEntry], facts: dict[str, object], state: str
) -> None:
    assert of(session, *entries, **facts).state == state


@pytest.mark.parametrize(("session", "entries", "facts", "state"), LAW)
def test_only_what_is_owed_has_an_owner_to_give_it_to(
    session: Session, entries: list[LedgerEntry], facts: dict[str, object], state: str
) -> None:
    credit = of(session, *entries, **facts)
    assert (credit.owed_to is not None) == bool(credit.refund_text) == (state == "owed")
    assert credit.reason


def test_the_refunder_is_reported() -> None:
    assert of(FAILED, entry(EntryKind.REFUND, OURS)).returned_by is ReturnedBy.WORKER
    assert of(FAILED, entry(EntryKind.REFUND, CRON)).returned_by is ReturnedBy.PLATFORM


def test_a_shopper_who_paid_is_owed_the_refund_and_not_the_store() -> None:
    credit = of(STORE_FAILED, deduction(f"Try-on (shopper={MAIL})"))
    assert credit.owed_to is not None
    assert credit.owed_to.shopper_email == MAIL
    assert MAIL not in credit.reason


def test_a_shoppers_charged_replay_is_paid_by_the_shopper_and_owed_to_them() -> None:
    taken = deduction(f"Try-on (shopper={MAIL})")
    payer = replay_payer(STORE_FAILED, [taken], REPLAY)
    assert payer.shopper_email == MAIL
    text = f"{replay_text(SESSION, REPLAY)} (shopper={MAIL})"
    charge = entry(EntryKind.DEDUCTION, text, s=9, request_id=payer.request_id)
    credit = of(STORE_FAILED, taken, store_refund(), charge, siblings=ALONE)
    assert credit.state is CreditState.OWED
    assert credit.owed_to == payer


def test_a_replays_refund_is_known_by_its_request_id_whatever_its_words() -> None:
    key = replay_request_id(SESSION, REPLAY)
    charge = entry(EntryKind.DEDUCTION, replay_text(SESSION, REPLAY), s=9, request_id=key)
    by_hand = entry(EntryKind.REFUND, "goodwill", s=10, request_id=key)
    credit = of(STORE_FAILED, deduction(), store_refund(), charge, by_hand, siblings=ALONE)
    assert credit.state is CreditState.RETURNED


def test_an_unnamed_refund_nearby_proves_nothing_but_is_reported() -> None:
    queue_error = entry(EntryKind.REFUND, "Queue error - refund", s=2)
    credit = of(FAILED, user_refunds=(queue_error,))
    assert credit.state is CreditState.UNCLEAR
    assert credit.entry == queue_error
    assert "14:30:02" in credit.reason


def test_a_goodwill_refund_does_not_replace_the_refund_of_a_failure() -> None:
    goodwill = entry(EntryKind.REFUND, "Sorry!", s=1)
    assert of(FAILED, failed_by_us=True, user_refunds=(goodwill,)).state is CreditState.OWED


def test_an_extra_refund_is_counted() -> None:
    twice = [entry(EntryKind.REFUND, CRON), entry(EntryKind.REFUND, OURS, s=5)]
    assert [of(FAILED, *twice[:n]).surplus for n in range(3)] == [0, 0, 1]


# ------------------------------------------------------------------ random histories


@dataclass
class History:
    """
    One b2c or b2b session and its ledger, with other events of its owner. Any process may refund
    what `credit_of` calls owed, any number of times.
    """

    channel: Channel
    session: Session = field(init=False)
    entries: list[LedgerEntry] = field(default_factory=list)
    unnamed: list[LedgerEntry] = field(default_factory=list)
    siblings: list[Session] = field(default_factory=list)
    failed_by_us: bool = False
    parked: bool = False
    replays: int = 0
    replaying: str | None = None
    clock: count = field(default_factory=lambda: count(1))  # type: ignore[type-arg]

    def __post_init__(self) -> None:
        self.session = row(channel=self.channel, made_s=next(self.clock))
        if self.channel is B2B:
            self.add(EntryKind.DEDUCTION, "Try-on", request_id=REQUEST, s=0)
            self.siblings = [self.session]

    def add(self, kind: EntryKind, text: str, **more: object) -> None:
        values = {"s": float(next(self.clock))} | more
        self.entries.append(entry(kind, text, **values))  # type: ignore[arg-type]

    def move(self, status: Status) -> None:
        done = at(next(self.clock)) if status is Status.COMPLETED else None
        self.session = replace(self.session, status=status, completed_at=done)
        self.siblings = [self.session if s.session_id == SESSION else s for s in self.siblings]

    @property
    def credit(self) -> Credit:
        return credit_of(
            CreditFacts(
                session=self.session,
                entries=self.entries,
                siblings=self.siblings,
                failed_by_us=self.failed_by_us,
                was_replayed=self.replays > 0,
                replaying=self.replaying,
                parked=self.parked,
                user_refunds=self.unnamed,
            )
        )

    # what can happen to it

    def we_fail_it(self) -> None:
        if not self.session.status.is_final:
            self.move(Status.FAILED)
            self.failed_by_us = True

    def we_complete_it(self) -> None:
        if not self.session.status.is_final:
            self.move(Status.COMPLETED)

    def the_platform_fails_it(self) -> None:
        if self.session.status.is_final:
            return
        if self.channel is Channel.B2C:
            self.add(EntryKind.REFUND, CRON)
        self.move(Status.FAILED)

    def goodwill(self) -> None:
        self.unnamed.append(entry(EntryKind.REFUND, "Sorry!", s=next(self.clock)))

    def the_request_id_is_used_again(self) -> None:
        if self.channel is B2B:
            again = row(channel=B2B, session_id=OTHER, made_s=next(self.clock))
            self.siblings.append(again)

    def replay(self, *, charge: bool, ends_well: bool, refused: bool = False) -> None:
        if not self.session.status.is_final:
            return
        self.parked = refused  # closing a job records this, or clears it
        self.replays += 1
        self.replaying = f"{self.replays:08x}"
        payer = replay_payer(self.session, self.entries, self.replaying)
        taking = EntryKind.GENERATION if self.channel is Channel.B2C else EntryKind.DEDUCTION
        if charge:
            text = replay_text(SESSION, self.replaying)
            self.add(taking, text, request_id=payer.request_id)
            assert self.credit.state is CreditState.HELD
        if ends_well:
            self.move(Status.COMPLETED)
        elif charge and not refused:  # settlement refunds it under its claim
            text = replay_refund_text(SESSION, self.replaying)
            self.add(EntryKind.REFUND, text, request_id=payer.request_id)
        self.replaying = None

    def somebody_gives_back_what_is_owed(self) -> None:
        credit = self.credit
        if credit.owed_to:
            self.add(EntryKind.REFUND, credit.refund_text, request_id=credit.owed_to.request_id)

    @property
    def taken(self) -> int:
        """Credits of this session and its replays that were taken and not refunded."""
        base = 1 if self.channel is Channel.B2C else 0
        return base - sum(each.amount for each in self.entries)


EVENTS = st.sampled_from(
    [
        History.we_fail_it,
        History.we_complete_it,
        History.the_platform_fails_it,
        History.goodwill,
        History.the_request_id_is_used_again,
        History.somebody_gives_back_what_is_owed,
        lambda h: h.replay(charge=False, ends_well=True),
        lambda h: h.replay(charge=False, ends_well=False),
        lambda h: h.replay(charge=True, ends_well=True),
        lambda h: h.replay(charge=True, ends_well=False),
        lambda h: h.replay(charge=True, ends_well=False, refused=True),
    ]
)


def played(channel: Channel, events: list[object]) -> History:
    history = History(channel)
    for event in events:
        event(history)  # type: ignore[operator]
    return history


@given(channel=st.sampled_from(Channel), events=st.lists(EVENTS, max_size=12))
def test_refunding_what_is_owed_never_refunds_more_than_was_taken(
    channel: Channel, events: list[object]
) -> None:
    history = played(channel, events)
    for _ in range(history.replays + 2):  # each replay and the session, and once without effect
        history.somebody_gives_back_what_is_owed()
    assert history.taken >= 0
    assert history.credit.surplus == 0
    assert history.credit.state is not CreditState.OWED


@given(channel=st.sampled_from(Channel), events=st.lists(EVENTS, max_size=12))
def test_the_state_and_the_ledger_say_the_same(channel: Channel, events: list[object]) -> None:
    history = played(channel, events)
    status, taken, state = history.session.status, history.taken, history.credit.state
    if state in {CreditState.HELD, CreditState.SPENT}:
        assert taken == 1
    if state in {CreditState.RETURNED, CreditState.FREE}:
        assert taken == 0
    if state in {CreditState.CHARGED, CreditState.OWED}:
        assert taken >= 1
    if state is CreditState.UNCLEAR:
        assert status is not Status.COMPLETED or history.replays == 0
    assert (state is CreditState.HELD) == (not status.is_final)


@given(
    channel=st.sampled_from(Channel),
    events=st.lists(EVENTS, max_size=12),
    others=st.lists(st.sampled_from([History.goodwill, History.the_request_id_is_used_again])),
)
def test_other_events_of_the_owner_change_no_state(
    channel: Channel, events: list[object], others: list[object]
) -> None:
    history = played(channel, events)
    before = history.credit.state
    for event in others:
        event(history)  # type: ignore[operator]
    assert history.credit.state is before
