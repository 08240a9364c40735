"""
The process dies at every step to the outside, before and after it took effect; then others go on.

Afterwards the credit is spent on a picture or returned, never both and never neither, and a picture
was bought at most once more than the crash explains.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from uuid import uuid4

import pytest

from tests.integration.world import Crash, World
from tests.servers.redis_server import RedisServer
from wearon_cli.adapters.redis_client import Client
from wearon_cli.core.errors import GenerationRefused, PictureUnavailable
from wearon_cli.core.jobs.runner import Outcome
from wearon_cli.core.session import Channel, SessionKey, Status

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

#: No way of a job has more steps than this to the outside.
MANY = 60
CREDITS = 100
USER = "5e2f9c1d-8a47-4c3b-b6d0-9a1e7f4c2b83"
STORE = "7d4f5f3a-2f1c-4d5e-8a35-7d52a3f1e0b2"
SHOPPER = "shopper@example.test"


@pytest.fixture
async def world(redis: Client, redis_server: RedisServer, tmp_path: Path) -> AsyncIterator[World]:
    one = World(redis, redis_server.url, tmp_path)
    yield one
    await one.aclose()


async def b2c(world: World) -> SessionKey:
    return await world.sell(owner_id=USER)


async def absorb(world: World) -> SessionKey:
    return await world.sell(Channel.B2B, owner_id=STORE, shopper=None)


async def resell(world: World) -> SessionKey:
    return await world.sell(Channel.B2B, owner_id=STORE, shopper=SHOPPER)


async def overage(world: World) -> SessionKey:
    request_id = f"req-{uuid4()}"
    await world.ledger.add_overage(STORE, request_id)
    return await world.sell(Channel.B2B, owner_id=STORE, request_id=request_id, take=False)


SALES: list[Callable[[World], Awaitable[SessionKey]]] = [b2c, absorb, resell, overage]


async def credits_left(world: World) -> int:
    return (
        await world.ledger.user_balance(USER)
        + await world.ledger.store_balance(STORE)
        + await world.ledger.shopper_balance(STORE, SHOPPER)
    )


async def open_accounts(world: World) -> None:
    await world.ledger.add_user(USER, credits=CREDITS)
    await world.ledger.add_store(STORE, credits=CREDITS)
    await world.ledger.add_shopper(STORE, SHOPPER, credits=CREDITS)


async def run_until_crash(world: World) -> bool:
    """Take in and do everything. True when the fuse burnt through on the way."""
    try:
        await world.run_all()
    except Crash:
        return True
    return False


async def let_others_finish(world: World) -> None:
    """What recovery does in the minute after a crash, with the waiting left out."""
    world.fuse.crash_at = None
    for _ in range(6):
        if await world.is_at_rest():
            return
        await asyncio.sleep(world.settings.lease_s + 0.01)
        async for name in world.redis.scan_iter("wearon:refund:*"):
            await world.redis.delete(name)
        for job in await world.redis.zrange("wearon:jobs:wake", 0, -1):
            lease = await world.redis.hexists(b"wearon:job:" + job, "lease_until")
            if not lease:
                await world.redis.zadd("wearon:jobs:wake", {job: 0})
        await world.recovery().wake_due()
        await world.run_all()


async def crash_everywhere(
    world: World, sale: Callable[[World], Awaitable[SessionKey]], fate: str, *, after: bool
) -> int:
    """One sale for each step that can be the last. Returns how many steps there were."""
    for step in range(1, MANY):
        before = await credits_left(world)
        key = await sale(world)
        taken = before - await credits_left(world)
        world.generator.paid.clear()
        world.generator.plan = [GenerationRefused()] * 3 if fate == "refused" else []
        world.fetcher.plan = [PictureUnavailable()] * 6 if fate == "no picture" else []
        world.fuse.steps, world.fuse.crash_at, world.fuse.after = 0, step, after
        crashed = await run_until_crash(world)
        await let_others_finish(world)
        where = f"{sale.__name__}, {fate}, step {step}, {'after' if after else 'before'}"
        row = await world.row(key)
        wanted = Status.COMPLETED if fate == "picture" else Status.FAILED
        owed = 0 if fate == "picture" else taken
        assert row.status is wanted, where
        assert await credits_left(world) == before - taken + owed, where
        assert len(world.generator.paid) <= (2 if fate == "picture" else 0), where
        assert not await world.journal.is_open(key.session_id), where
        assert await world.is_at_rest(), where
        if not crashed:
            assert len(world.generator.paid) == (1 if fate == "picture" else 0), where
            return step
    raise AssertionError("the way of a job has more steps than this test looks at")


@pytest.mark.parametrize("after", [False, True], ids=["before the step", "after the step"])
@pytest.mark.parametrize("fate", ["picture", "refused", "no picture"])
@pytest.mark.parametrize("sale", SALES, ids=lambda sale: sale.__name__)
async def test_a_crash_at_any_step_loses_nothing(
    world: World, sale: Callable[[World], Awaitable[SessionKey]], fate: str, after: bool
) -> None:
    await open_accounts(world)
    steps = await crash_everywhere(world, sale, fate, after=after)
    assert steps > 10  # it did crash in many places


async def test_a_crash_before_a_paid_call_left_buys_once_and_one_during_it_twice(
    world: World,
) -> None:
    """The one repeat of an ambiguous call, and no other."""
    await open_accounts(world)
    key = await b2c(world)
    await world.take_all_in()
    runner = world.runner()
    claim = await runner.next_job()
    assert claim is not None
    await world.journal.call_started(claim, "gpt-image-1.5")
    world.generator.paid.append(key.session_id)  # it left, and the worker died
    await let_others_finish(world)
    assert (await world.row(key)).status is Status.COMPLETED
    assert len(world.generator.paid) == 2
    assert (await world.events(key)).count("paid_call_lost") == 1


async def test_two_paid_calls_lost_with_their_workers_are_not_followed_by_a_third(
    world: World,
) -> None:
    await open_accounts(world)
    key = await b2c(world)
    await world.take_all_in()
    for _ in range(2):
        claim = await world.runner().next_job()
        assert claim is not None
        if claim.open_call:
            await world.journal.call_lost(claim)
        await world.journal.call_started(claim, "gpt-image-1.5")
        await asyncio.sleep(world.settings.lease_s + 0.01)
        await world.recovery().wake_due()
    assert await world.run_one() is Outcome.SETTLED
    assert world.generator.paid == []
    assert (await world.row(key)).status is Status.FAILED
    assert await credits_left(world) == 3 * CREDITS
