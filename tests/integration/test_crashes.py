"""
The process dies at every step to the outside, before and after it took effect; then others go on.

Afterwards the credit is spent on a picture or returned, never both and never neither, and a picture
was bought at most once more than the crash explains.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from devkit.crashes import (
    CREDITS,
    SALES,
    b2c,
    credits_left,
    let_others_finish,
    open_accounts,
    run_until_crash,
)
from devkit.redis_time import leases_run_out
from devkit.servers.redis_server import RedisServer
from devkit.world import World
from wearon_cli.adapters.redis.client import Client
from wearon_cli.core.errors import GenerationRefused, PictureUnavailable
from wearon_cli.core.jobs.runner import Outcome
from wearon_cli.core.session import SessionKey, Status

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

#: No job takes more steps to the outside than this.
MANY = 60


@pytest.fixture
async def world(redis: Client, redis_server: RedisServer, tmp_path: Path) -> AsyncIterator[World]:
    one = World(redis, redis_server.url, tmp_path)
    yield one
    await one.aclose()


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
        await leases_run_out(world.redis)
        await world.recovery().wake_due()
    assert await world.run_one() is Outcome.SETTLED
    assert world.generator.paid == []
    assert (await world.row(key)).status is Status.FAILED
    assert await credits_left(world) == 3 * CREDITS
