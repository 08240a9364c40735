"""Credits: every session store behaves as the platform does."""

import asyncio
from uuid import uuid4

import pytest

from devkit.stores import SHOPPER, StoreUnderTest
from wearon_cli.core.credits import EntryKind
from wearon_cli.core.errors import StoreRefused
from wearon_cli.core.session import Channel

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


async def test_a_users_credit_is_taken_and_returned(store: StoreUnderTest) -> None:
    new = store.new(Channel.B2C)
    await store.ledger.take(new)
    assert await store.accounts.user_balance(store.user_id) == 4
    standing = await store.ledger.user_standing(store.user_id, new.session_id)
    assert (standing.taken, standing.refunded, standing.session_refunds) == (1, 0, 0)
    await store.ledger.refund_user(store.user_id, f"Refund: try-on session {new.session_id}")
    assert await store.accounts.user_balance(store.user_id) == 5
    standing = await store.ledger.user_standing(store.user_id, new.session_id)
    assert (standing.taken, standing.refunded, standing.session_refunds) == (1, 1, 1)
    other = await store.ledger.user_standing(store.user_id, str(uuid4()))
    assert (other.refunded, other.session_refunds) == (1, 0)


async def test_a_users_refund_is_not_idempotent(store: StoreUnderTest) -> None:
    for _ in range(2):
        await store.ledger.refund_user(store.user_id, "Refund: the same words")
    assert await store.accounts.user_balance(store.user_id) == 7


async def test_a_stores_credit_is_taken_and_returned_once(store: StoreUnderTest) -> None:
    new = store.new(Channel.B2B)
    assert new.request_id
    await store.ledger.take(new)
    assert await store.accounts.store_balance(store.store_id) == 4
    (taken,) = await store.ledger.store_entries(store.store_id, new.request_id)
    assert (taken.kind, taken.amount) == (EntryKind.DEDUCTION, -1)
    assert await store.ledger.refund_store(store.store_id, new.request_id, "Refund") is True
    assert await store.ledger.refund_store(store.store_id, new.request_id, "Refund") is False
    assert await store.accounts.store_balance(store.store_id) == 5
    kinds = [e.kind for e in await store.ledger.store_entries(store.store_id, new.request_id)]
    assert kinds == [EntryKind.DEDUCTION, EntryKind.REFUND]


async def test_a_shoppers_credit_is_taken_and_returned_once(store: StoreUnderTest) -> None:
    new = store.new(Channel.B2B)
    assert new.request_id
    await store.ledger.take(new, shopper_pays=True)
    assert await store.accounts.shopper_balance(store.store_id, SHOPPER) == 4
    assert await store.accounts.store_balance(store.store_id) == 5
    (taken,) = await store.ledger.store_entries(store.store_id, new.request_id)
    assert taken.description.endswith(f"(shopper={SHOPPER})")
    mail = f"  {SHOPPER.upper()} "
    give = store.ledger.refund_shopper
    assert await give(store.store_id, mail, new.request_id, "Refund") is True
    assert await give(store.store_id, mail, new.request_id, "Refund") is False
    assert await store.accounts.shopper_balance(store.store_id, SHOPPER) == 5
    # One ledger: a credit returned to the shopper is not returned to the store too.
    assert await store.ledger.refund_store(store.store_id, new.request_id, "Refund") is False
    assert await store.accounts.store_balance(store.store_id) == 5


async def test_of_eight_refunds_at_once_one_counts(store: StoreUnderTest) -> None:
    new = store.new(Channel.B2B)
    request_id = str(new.request_id)
    await store.ledger.take(new)
    given = await asyncio.gather(
        *(store.ledger.refund_store(store.store_id, request_id, "Refund") for _ in range(8))
    )
    assert sum(given) == 1
    assert await store.accounts.store_balance(store.store_id) == 5


async def test_an_overage_is_seen_and_is_no_deduction(store: StoreUnderTest) -> None:
    await store.accounts.add_overage(store.store_id, "req-over")
    (entry,) = await store.ledger.store_entries(store.store_id, "req-over")
    assert entry.kind is EntryKind.OVERAGE


async def test_entries_of_other_stores_and_requests_are_not_seen(store: StoreUnderTest) -> None:
    await store.ledger.take(store.new(Channel.B2B))
    assert await store.ledger.store_entries(store.store_id, "req-other") == []
    assert await store.ledger.store_entries(str(uuid4()), "req-other") == []


@pytest.mark.parametrize("request_id", ["", "  "])
async def test_a_store_refund_without_a_request_id_is_never_sent(
    store: StoreUnderTest, request_id: str
) -> None:
    with pytest.raises(StoreRefused, match="request id"):
        await store.ledger.refund_store(store.store_id, request_id, "Refund")
    with pytest.raises(StoreRefused, match="request id"):
        await store.ledger.refund_shopper(store.store_id, SHOPPER, request_id, "Refund")
    assert await store.accounts.store_balance(store.store_id) == 5


async def test_an_unknown_shopper_gets_nothing(store: StoreUnderTest) -> None:
    with pytest.raises(StoreRefused) as refusal:
        await store.ledger.refund_shopper(store.store_id, "who@example.test", "req", "Refund")
    assert refusal.value.vendor_code == "P0001"
    assert "who@example.test" not in str(refusal.value)
    assert await store.ledger.store_entries(store.store_id, "req") == []


async def test_an_unknown_owner_gets_nothing(store: StoreUnderTest) -> None:
    for refund in (
        store.ledger.refund_store(str(uuid4()), "req", "Refund"),
        store.ledger.refund_user(str(uuid4()), "Refund"),
    ):
        with pytest.raises(StoreRefused) as refusal:
            await refund
        assert refusal.value.vendor_code == "23503"


async def test_without_credits_nothing_is_taken(store: StoreUnderTest) -> None:
    for _ in range(5):
        await store.ledger.take(store.new(Channel.B2C))
        await store.ledger.take(store.new(Channel.B2B))
        await store.ledger.take(store.new(Channel.B2B), shopper_pays=True)
    for channel, pays in ((Channel.B2C, False), (Channel.B2B, False), (Channel.B2B, True)):
        with pytest.raises(StoreRefused):
            await store.ledger.take(store.new(channel), shopper_pays=pays)
    assert await store.accounts.user_balance(store.user_id) == 0
    assert await store.accounts.store_balance(store.store_id) == 0
    assert await store.accounts.shopper_balance(store.store_id, SHOPPER) == 0


async def test_a_request_id_takes_one_credit_however_often_it_is_used(
    store: StoreUnderTest,
) -> None:
    new = store.new(Channel.B2B)
    await store.ledger.take(new)
    with pytest.raises(StoreRefused) as refusal:
        await store.ledger.take(new)
    assert refusal.value.vendor_code == "23505"
    assert await store.accounts.store_balance(store.store_id) == 4
