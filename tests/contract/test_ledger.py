"""Credits: every session store behaves as the platform does."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest

from devkit.stores import SHOPPER, StoreUnderTest
from wearon_cli.core.credits import refund_text, replay_request_id, replay_text
from wearon_cli.core.errors import NoCreditLeft, StoreRefused
from wearon_cli.core.ledger import BY_HAND, EntryKind, LedgerEntry, Payer, payer_for
from wearon_cli.core.session import Channel, NewSession, Session, utc_now

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


async def sold(
    store: StoreUnderTest, channel: Channel, *, shopper_pays: bool = False, **changes: object
) -> tuple[NewSession, Payer, Session]:
    """A session whose credit was taken."""
    new = store.new(channel, **changes)
    payer = payer_for(new, shopper_pays=shopper_pays)
    assert await store.ledger.take(payer, "Try-on") is True
    return new, payer, await store.sessions.insert(new)


async def kinds(store: StoreUnderTest, row: Session) -> list[EntryKind]:
    return [entry.kind for entry in await store.ledger.entries_of(row)]


async def test_a_users_credit_is_taken_and_returned(store: StoreUnderTest) -> None:
    new, payer, row = await sold(store, Channel.B2C)
    assert await store.accounts.user_balance(store.user_id) == 4
    assert await kinds(store, row) == []  # the platform's deductions name no session
    assert await store.ledger.refund(payer, refund_text(new.session_id)) is True
    assert await store.accounts.user_balance(store.user_id) == 5
    assert await kinds(store, row) == [EntryKind.REFUND]
    _, _, other = await sold(store, Channel.B2C)
    assert await kinds(store, other) == []


async def test_a_session_id_is_found_in_any_description(store: StoreUnderTest) -> None:
    new, payer, row = await sold(store, Channel.B2C)
    by_cron = f"Stuck job recovery: session {new.session_id.upper()} timed out after 10 minutes"
    await store.ledger.refund(payer, by_cron)
    (entry,) = await store.ledger.entries_of(row)
    assert (entry.kind, entry.description) == (EntryKind.REFUND, by_cron)


@pytest.mark.parametrize("channel", list(Channel))
@pytest.mark.parametrize("shopper_pays", [False, True], ids=["owner pays", "shopper pays"])
async def test_a_credit_taken_by_hand_tells_its_session(
    store: StoreUnderTest, channel: Channel, shopper_pays: bool
) -> None:
    begun = utc_now() - timedelta(minutes=1)
    new = store.new(channel, **({"shopper_email": SHOPPER} if channel is Channel.B2B else {}))
    payer = payer_for(new, shopper_pays=shopper_pays and channel is Channel.B2B)
    await store.ledger.take(payer, f"{BY_HAND}{new.session_id}")
    await sold(store, channel)  # by the platform
    found = await store.ledger.taken_by_hand(since=begun, limit=100)
    (taken,) = [each for each in found if each.owner_id == new.owner_id]  # others share the store
    assert (taken.session_id, taken.channel) == (new.session_id, channel)
    assert taken.entry.request_id == new.request_id
    assert await store.ledger.taken_by_hand(since=utc_now(), limit=10) == []
    assert await store.ledger.taken_by_hand(since=begun, limit=0) == []


async def test_a_users_refund_is_not_idempotent(store: StoreUnderTest) -> None:
    payer = Payer(channel=Channel.B2C, owner_id=store.user_id)
    for _ in range(2):
        await store.ledger.refund(payer, "Refund: the same words")
    assert await store.accounts.user_balance(store.user_id) == 7


async def test_refunds_of_a_user_are_found_by_time(store: StoreUnderTest) -> None:
    payer = Payer(channel=Channel.B2C, owner_id=store.user_id)
    before = utc_now() - timedelta(minutes=1)
    await store.ledger.take(payer, "Virtual try-on generation")
    await store.ledger.refund(payer, "Queue error - refund")
    until = utc_now() + timedelta(minutes=1)
    found = await store.ledger.user_refunds(store.user_id, since=before, until=until)
    assert [entry.description for entry in found] == ["Queue error - refund"]
    assert not await store.ledger.user_refunds(store.user_id, since=before, until=before)


async def test_a_stores_credit_is_taken_and_returned_once(store: StoreUnderTest) -> None:
    _, payer, row = await sold(store, Channel.B2B)
    assert await store.accounts.store_balance(store.store_id) == 4
    (taken,) = await store.ledger.entries_of(row)
    assert (taken.kind, taken.amount, taken.is_taking) == (EntryKind.DEDUCTION, -1, True)
    assert await store.ledger.refund(payer, "Refund") is True
    assert await store.ledger.refund(payer, "Refund") is False
    assert await store.accounts.store_balance(store.store_id) == 5
    assert await kinds(store, row) == [EntryKind.DEDUCTION, EntryKind.REFUND]


async def test_a_shoppers_credit_is_taken_and_returned_once(store: StoreUnderTest) -> None:
    _, payer, row = await sold(store, Channel.B2B, shopper_pays=True)
    assert await store.accounts.shopper_balance(store.store_id, SHOPPER) == 4
    assert await store.accounts.store_balance(store.store_id) == 5
    (taken,) = await store.ledger.entries_of(row)
    assert taken.shopper_email == SHOPPER
    spelled = replace(payer, shopper_email=f"  {SHOPPER.upper()} ")
    assert await store.ledger.refund(spelled, "Refund") is True
    assert await store.ledger.refund(spelled, "Refund") is False
    assert await store.accounts.shopper_balance(store.store_id, SHOPPER) == 5
    # One ledger: the store cannot get a refund that the shopper already got.
    assert await store.ledger.refund(replace(payer, shopper_email=None), "Refund") is False
    assert await store.accounts.store_balance(store.store_id) == 5


async def test_of_eight_refunds_at_once_one_counts(store: StoreUnderTest) -> None:
    _, payer, _ = await sold(store, Channel.B2B)
    given = await asyncio.gather(*(store.ledger.refund(payer, "Refund") for _ in range(8)))
    assert sum(given) == 1
    assert await store.accounts.store_balance(store.store_id) == 5


async def test_an_overage_is_read_and_is_not_a_deduction(store: StoreUnderTest) -> None:
    row = await store.sessions.insert(store.new(Channel.B2B))
    await store.accounts.add_overage(store.store_id, str(row.request_id))
    assert await kinds(store, row) == [EntryKind.OVERAGE]


@pytest.mark.parametrize("request_id", ["a,b", 'say "hi"', "back\\slash", "x*y%z", "(a)", "café"])
async def test_entries_of_other_stores_and_requests_are_not_seen(
    store: StoreUnderTest, request_id: str
) -> None:
    _, _, row = await sold(store, Channel.B2B, request_id=request_id)
    await sold(store, Channel.B2B)
    assert await kinds(store, row) == [EntryKind.DEDUCTION]
    assert await kinds(store, replace(row, owner_id=str(uuid4()))) == []
    assert await kinds(store, replace(row, request_id="req-other")) == []
    assert await kinds(store, replace(row, request_id=None)) == []


@pytest.mark.parametrize("channel", [Channel.B2C, Channel.B2B])
async def test_entries_of_replays_belong_to_their_session(
    store: StoreUnderTest, channel: Channel
) -> None:
    new, payer, row = await sold(store, channel)
    sid = new.session_id
    key = replay_request_id(sid, "0badcafe") if channel is Channel.B2B else None
    assert await store.ledger.take(replace(payer, request_id=key), replay_text(sid, "0badcafe"))
    found = [e for e in await store.ledger.entries_of(row) if "0badcafe" in e.description]
    assert [entry.is_taking for entry in found] == [True]
    _, _, other = await sold(store, channel)
    assert not [e for e in await store.ledger.entries_of(other) if "0badcafe" in e.description]


@pytest.mark.parametrize("request_id", ["", "  ", None])
async def test_a_store_refund_without_a_request_id_is_never_sent(
    store: StoreUnderTest, request_id: str | None
) -> None:
    for email in (None, SHOPPER):
        payer = Payer(
            channel=Channel.B2B,
            owner_id=store.store_id,
            shopper_email=email,
            request_id=request_id,
        )
        with pytest.raises(StoreRefused, match="request id"):
            await store.ledger.refund(payer, "Refund")
    assert await store.accounts.store_balance(store.store_id) == 5


async def test_an_unknown_shopper_gets_nothing(store: StoreUnderTest) -> None:
    row = await store.sessions.insert(store.new(Channel.B2B))
    payer = Payer(
        channel=Channel.B2B,
        owner_id=store.store_id,
        shopper_email="who@example.test",
        request_id=row.request_id,
    )
    with pytest.raises(StoreRefused) as refusal:
        await store.ledger.refund(payer, "Refund")
    assert refusal.value.vendor_code == "P0001"
    assert "who@example.test" not in str(refusal.value)
    assert await kinds(store, row) == []


async def test_an_unknown_owner_gets_nothing(store: StoreUnderTest) -> None:
    for payer in (
        Payer(channel=Channel.B2B, owner_id=str(uuid4()), request_id="req"),
        Payer(channel=Channel.B2C, owner_id=str(uuid4())),
    ):
        with pytest.raises(StoreRefused) as refusal:
            await store.ledger.refund(payer, "Refund")
        assert refusal.value.vendor_code == "23503"
        with pytest.raises(NoCreditLeft):
            await store.ledger.take(payer, "Try-on")


@pytest.mark.parametrize(
    ("channel", "shopper_pays"),
    [(Channel.B2C, False), (Channel.B2B, False), (Channel.B2B, True)],
    ids=["user", "store", "shopper"],
)
async def test_without_credits_nothing_is_taken_and_no_entry_is_written(
    store: StoreUnderTest, channel: Channel, shopper_pays: bool
) -> None:
    """The platform's functions answer false with HTTP 200 then."""
    for _ in range(5):
        await sold(store, channel, shopper_pays=shopper_pays)
    row = await store.sessions.insert(store.new(channel))
    new = store.new(channel, session_id=row.session_id, request_id=row.request_id)
    payer = payer_for(new, shopper_pays=shopper_pays)
    with pytest.raises(NoCreditLeft):
        await store.ledger.take(payer, replay_text(row.session_id, "0badcafe"))
    assert await kinds(store, row) == []
    balances = (
        await store.accounts.user_balance(store.user_id),
        await store.accounts.store_balance(store.store_id),
        await store.accounts.shopper_balance(store.store_id, SHOPPER),
    )
    assert sorted(balances) == [0, 5, 5]


async def test_a_request_id_takes_one_credit_however_often_it_is_used(
    store: StoreUnderTest,
) -> None:
    _, payer, row = await sold(store, Channel.B2B)
    assert await store.ledger.take(payer, "Try-on") is False
    assert await store.accounts.store_balance(store.store_id) == 4
    entries: list[LedgerEntry] = list(await store.ledger.entries_of(row))
    assert len(entries) == 1
