"""Taking payloads from a real Redis list: moved, never popped; those of dead consumers are
returned.
"""

from collections.abc import AsyncIterator

import pytest

from devkit.redis_time import consumers_fall_silent
from devkit.servers.redis_server import RedisServer
from wearon_cli.adapters.redis import keys
from wearon_cli.adapters.redis.client import Client
from wearon_cli.adapters.redis.intake import RedisIntake

pytestmark = pytest.mark.anyio

#: Longest wait for a payload that is there.
WAIT_S = 30.0


@pytest.fixture
async def pair(redis: Client, redis_server: RedisServer) -> AsyncIterator[list[RedisIntake]]:
    """Two consumers of one list."""
    both = [
        RedisIntake(redis, url=redis_server.url, wait_s=WAIT_S, heartbeat_s=10.0) for _ in range(2)
    ]
    yield both
    for intake in both:
        await intake.aclose()


async def test_the_oldest_payload_comes_first(pair: list[RedisIntake]) -> None:
    intake, _ = pair
    for payload in (b"1", b"2", b"3"):
        await intake.push(payload)
    taken = []
    for _ in range(3):
        found = await intake.take(wait_s=WAIT_S)
        assert found is not None
        await intake.done(found)
        taken.append(found)
    assert taken == [b"1", b"2", b"3"]


async def test_nothing_to_take_is_no_error(pair: list[RedisIntake]) -> None:
    assert await pair[0].take(wait_s=0.05) is None


async def test_an_unfinished_payload_is_taken_again(pair: list[RedisIntake]) -> None:
    intake, _ = pair
    await intake.push(b"1")
    await intake.push(b"2")
    assert await intake.take(wait_s=WAIT_S) == b"1"
    assert await intake.take(wait_s=WAIT_S) == b"1"
    await intake.done(b"1")
    assert await intake.take(wait_s=WAIT_S) == b"2"


async def test_a_dead_consumers_payloads_are_returned_oldest_first(
    pair: list[RedisIntake], redis: Client
) -> None:
    dead, alive = pair
    await dead.beat()
    await redis.rpush(keys.intake(dead.consumer_id), b"newer", b"older")
    await alive.push(b"newest")
    await consumers_fall_silent(redis)
    assert await alive.return_dead() == 2
    assert await redis.lrange(keys.TASK_LIST, 0, -1) == [b"newest", b"newer", b"older"]
    assert await redis.zrange(keys.CONSUMERS, 0, -1) == [alive.consumer_id.encode()]


async def test_a_consumer_with_a_heartbeat_keeps_its_payloads(pair: list[RedisIntake]) -> None:
    busy, other = pair
    await busy.beat()
    await busy.push(b"1")
    await busy.take(wait_s=WAIT_S)
    assert await other.return_dead() == 0


async def test_a_consumer_that_leaves_returns_its_payloads(
    pair: list[RedisIntake], redis: Client
) -> None:
    intake, _ = pair
    await intake.beat()
    await intake.push(b"1")
    await intake.take(wait_s=WAIT_S)
    await intake.leave()
    assert await redis.lrange(keys.TASK_LIST, 0, -1) == [b"1"]
    assert not await redis.exists(keys.intake(intake.consumer_id))


async def test_a_payload_moved_to_a_consumer_that_had_left_is_returned(
    pair: list[RedisIntake], redis: Client
) -> None:
    """Redis had not noticed yet that its blocking take had ended."""
    gone, alive = pair
    await gone.beat()
    await gone.leave()
    await redis.lpush(keys.intake(gone.consumer_id), b"1")
    await consumers_fall_silent(redis)
    assert await alive.return_dead() == 1
    assert set(await redis.keys("*")) == {keys.CONSUMERS.encode(), keys.TASK_LIST.encode()}


async def test_a_payload_of_an_unknown_consumer_is_returned(
    pair: list[RedisIntake], redis: Client
) -> None:
    """It was frozen, removed, resumed, took one more payload, and was killed."""
    alive, _ = pair
    await redis.lpush(keys.intake("unknown"), b"1")
    await alive.waiting_sessions()
    assert await alive.return_dead() == 0  # it may live: it has its three heartbeats
    await consumers_fall_silent(redis)
    assert await alive.return_dead() == 1
    assert await redis.lrange(keys.TASK_LIST, 0, -1) == [b"1"]


async def test_every_payload_before_the_journal_is_listed(
    pair: list[RedisIntake], redis: Client
) -> None:
    first, second = "0193a1c0-7b1e-7c4a-9f00-00000000000", "0193a1c0-7b1e-7c4a-9f00-10000000000"
    document = '{{"channel":"b2c","session_id":"{}"}}'
    for n in range(3):
        await redis.lpush(keys.TASK_LIST, document.format(f"{first}{n}"))
    await redis.lpush(keys.intake("somebody"), document.format(f"{second}0"))
    seen = await pair[0].waiting_sessions()
    assert seen == {f"{first}0", f"{first}1", f"{first}2", f"{second}0"}
