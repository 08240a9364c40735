"""Four ways a credit is taken, and what a failure owes in each: by the ledger, exactly once."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest

from devkit.servers.redis_server import RedisServer
from devkit.world import World
from wearon_cli.adapters.redis.client import Client
from wearon_cli.core.errors import GenerationRefused, StoreUnavailable
from wearon_cli.core.jobs.journal import Claim, SettlementIntent
from wearon_cli.core.jobs.settlement import Settled, intent_for
from wearon_cli.core.session import (
    Channel,
    Completion,
    SessionKey,
    Status,
    complete,
    start,
    utc_now,
)

pytestmark = pytest.mark.anyio

USER = "5e2f9c1d-8a47-4c3b-b6d0-9a1e7f4c2b83"
STORE = "7d4f5f3a-2f1c-4d5e-8a35-7d52a3f1e0b2"
SHOPPER = "shopper@example.test"
INTENT = intent_for(GenerationRefused())


@pytest.fixture
async def world(redis: Client, redis_server: RedisServer, tmp_path: Path) -> AsyncIterator[World]:
    one = World(redis, redis_server.url, tmp_path, lease_s=5.0, lease_renew_s=1.0)
    await one.ledger.add_user(USER, credits=10)
    await one.ledger.add_store(STORE, credits=10)
    await one.ledger.add_shopper(STORE, SHOPPER, credits=10)
    yield one
    await one.aclose()


async def balances(world: World) -> tuple[int, int, int]:
    """Of the user, the store, and the store's shopper."""
    return (
        await world.ledger.user_balance(USER),
        await world.ledger.store_balance(STORE),
        await world.ledger.shopper_balance(STORE, SHOPPER),
    )


async def settle(
    world: World, key: SessionKey, intent: SettlementIntent = INTENT, *, found: bool = False
) -> Settled:
    """Journal, claim and settle, as a worker would; `found`: the intent was left by a crash."""
    await world.journal.open(key, b"job", owner_id="o", pictures=2)
    claim = await world.journal.claim()
    assert isinstance(claim, Claim)
    if found:
        claim = replace(claim, intent=intent)
    settled = await world.runner().settlement.settle(claim, key, intent)
    await world.journal.close(claim)
    return settled


async def overage(world: World) -> SessionKey:
    request_id = f"req-{uuid4()}"
    await world.ledger.add_overage(STORE, request_id)
    return await sold(world, request_id=request_id, take=False)


async def sold(
    world: World,
    *,
    request_id: str | None = None,
    shopper: str | None = None,
    take: bool = True,
) -> SessionKey:
    return await world.sell(
        Channel.B2B, owner_id=STORE, request_id=request_id, shopper=shopper, take=take, push=False
    )


async def test_a_users_credit_goes_back_to_the_user(world: World) -> None:
    key = await world.sell(owner_id=USER, push=False)
    assert await settle(world, key) is Settled.REFUNDED
    assert await balances(world) == (10, 10, 10)


async def test_a_stores_credit_goes_back_to_the_store(world: World) -> None:
    key = await sold(world)
    assert await balances(world) == (10, 9, 10)
    assert await settle(world, key) is Settled.REFUNDED
    assert await balances(world) == (10, 10, 10)


async def test_a_shoppers_credit_goes_back_to_the_shopper(world: World) -> None:
    key = await sold(world, shopper=SHOPPER)
    assert await balances(world) == (10, 10, 9)
    assert await settle(world, key) is Settled.REFUNDED
    assert await balances(world) == (10, 10, 10)


async def test_a_shopper_named_in_absorb_mode_gets_nothing_of_the_stores_credit(
    world: World,
) -> None:
    """The ledger says who paid; the row's e-mail does not."""
    key = await sold(world)
    await world.sessions.apply(key, replace(start(), writes={"shopper_email": SHOPPER}))
    assert await settle(world, key) is Settled.REFUNDED
    assert await balances(world) == (10, 10, 10)


async def test_an_overage_gets_no_credit_and_is_reported(world: World) -> None:
    key = await overage(world)
    assert await settle(world, key) is Settled.OVERAGE
    assert Settled.OVERAGE.needs_a_person
    assert await balances(world) == (10, 10, 10)


async def test_what_was_never_taken_is_not_refunded(world: World) -> None:
    b2b = await sold(world, take=False)
    b2c = await world.sell(owner_id=USER, push=False, take=False)
    assert await settle(world, b2b) is Settled.NOTHING_TAKEN
    assert await settle(world, b2c) is Settled.NOTHING_TAKEN
    assert await balances(world) == (10, 10, 10)


@pytest.mark.parametrize("sale", ["user", "store", "shopper"])
async def test_a_settlement_found_half_done_is_finished_and_not_done_twice(
    world: World, sale: str
) -> None:
    key = (
        await world.sell(owner_id=USER, push=False)
        if sale == "user"
        else await sold(world, shopper=SHOPPER if sale == "shopper" else None)
    )
    assert await settle(world, key) is Settled.REFUNDED
    for intent in (INTENT, replace(INTENT, swapped=True)):
        assert await settle(world, key, intent, found=True) is Settled.ALREADY_REFUNDED
    assert await balances(world) == (10, 10, 10)


async def test_a_row_failed_by_the_platform_is_the_platforms_to_refund(world: World) -> None:
    key = await world.sell(owner_id=USER, push=False)
    row = await world.row(key)
    await world.sessions.apply(
        key, replace(start(), to=Status.FAILED, writes={"error_message": "Push failed"})
    )
    assert await settle(world, key) is Settled.NOT_OURS
    assert await settle(world, key, found=True) is Settled.NOT_OURS
    assert await balances(world) == (9, 10, 10)
    assert row.status is Status.QUEUED


async def test_a_request_id_used_twice_pays_one_session_only(world: World) -> None:
    first = await sold(world, request_id="same")
    await asyncio.sleep(0.002)  # rows differ by when they were made
    second = await sold(world, request_id="same", take=False)
    assert await settle(world, second) is Settled.NOTHING_TAKEN
    assert await balances(world) == (10, 9, 10)
    assert await settle(world, first) is Settled.REFUNDED
    assert await balances(world) == (10, 10, 10)


async def test_a_request_id_used_for_a_credit_and_then_an_overage_keeps_them_apart(
    world: World,
) -> None:
    first = await sold(world, request_id="same")
    await asyncio.sleep(0.002)
    await world.ledger.add_overage(STORE, "same")
    second = await sold(world, request_id="same", take=False)
    assert await settle(world, second) is Settled.OVERAGE
    assert await settle(world, first) is Settled.REFUNDED
    assert await balances(world) == (10, 10, 10)


async def test_eight_settlements_of_one_session_refund_once(world: World) -> None:
    key = await world.sell(owner_id=USER, push=False)
    await world.journal.open(key, b"job", owner_id="o", pictures=2)
    claim = await world.journal.claim()
    assert isinstance(claim, Claim)
    settlement = world.runner().settlement
    answers = await asyncio.gather(
        *(settlement.settle(claim, key, INTENT) for _ in range(8)), return_exceptions=True
    )
    assert answers.count(Settled.REFUNDED) == 1
    assert {type(a) for a in answers if isinstance(a, BaseException)} <= {StoreUnavailable}
    assert await balances(world) == (10, 10, 10)


async def test_completion_and_settlement_race_and_one_wins(world: World) -> None:
    done = Completion(generated_image_url="u", processing_time_ms=1, completed_at=utc_now())
    fates = []
    for _ in range(8):
        key = await world.sell(owner_id=USER, push=False)
        await world.sessions.apply(key, start())
        _, settled = await asyncio.gather(
            world.sessions.apply(key, complete(done)), settle(world, key)
        )
        fates.append(((await world.row(key)).status, settled))
    assert set(fates) <= {
        (Status.COMPLETED, Settled.NOT_OURS),
        (Status.FAILED, Settled.REFUNDED),
    }
    spent = [status for status, _ in fates].count(Status.COMPLETED)
    assert await balances(world) == (10 - spent, 10, 10)


async def test_sixteen_workers_start_one_row_and_one_gets_it(world: World) -> None:
    key = await world.sell(owner_id=USER, push=False)
    answers = await asyncio.gather(*(world.sessions.apply(key, start()) for _ in range(16)))
    assert sum(answer is not None for answer in answers) == 1
