"""Dead letters, the refund lock, the breaker and the limiter on a real Redis."""

import asyncio
import time

import pytest

from wearon_cli.adapters.redis import keys
from wearon_cli.adapters.redis import limiter as redis_limiter
from wearon_cli.adapters.redis.client import Client
from wearon_cli.adapters.redis.dead_letters import RedisDeadLetters
from wearon_cli.adapters.redis.limiter import RedisLimiter
from wearon_cli.adapters.redis.locks import PROBE_EVERY_S, RedisBreaker, RedisRefundLock

pytestmark = pytest.mark.anyio


async def test_a_dead_letter_keeps_its_bytes_and_is_kept_once(redis: Client) -> None:
    letters = RedisDeadLetters(redis)
    raw = b"\xff\x00 not json"
    ids = {
        await letters.bury(raw, reason="r", error_code="task_invalid", attempts=0, session_id=None)
        for _ in range(2)
    }
    (letter,) = await letters.list(limit=10)
    assert ids == {letter.letter_id}
    assert (letter.raw, letter.error_code, letter.session_id) == (raw, "task_invalid", None)
    assert await letters.drop(letter.letter_id)
    assert not await letters.drop(letter.letter_id)
    assert await redis.keys("*") == []


async def test_the_refund_lock_lets_one_in_and_stays_after_an_error(redis: Client) -> None:
    lock = RedisRefundLock(redis)
    async with lock.hold("s1") as first, lock.hold("s1") as second, lock.hold("s2") as other:
        assert (first, second, other) == (True, False, True)

    async def refund_that_fails() -> None:
        async with lock.hold("s1") as free:
            assert free
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await refund_that_fails()
    async with lock.hold("s1") as free:
        assert not free


async def test_an_open_breaker_lets_one_probe_through_and_closes_on_success(
    redis: Client,
) -> None:
    breaker = RedisBreaker(redis)
    assert await breaker.wait_s() == 0
    await breaker.trip("account_blocked")
    assert 0 < await breaker.wait_s() <= PROBE_EVERY_S
    await redis.hset(keys.BREAKER, "probe_at", 1)  # time to probe
    waits = [await breaker.wait_s() for _ in range(4)]
    assert waits.count(0) == 1
    await breaker.reset()
    assert [await breaker.wait_s() for _ in range(3)] == [0, 0, 0]


async def test_no_more_permits_than_the_limit_over_two_limiters(redis: Client) -> None:
    limiters = [
        RedisLimiter(redis, requests_per_minute=5, pictures_per_minute=None) for _ in range(2)
    ]
    granted = await asyncio.gather(
        *(limiters[n % 2].acquire(pictures=2, max_wait_s=0.5) for n in range(12))
    )
    assert sum(granted) == 5


async def test_a_permit_comes_when_the_oldest_leaves_the_window(
    redis: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_limiter, "WINDOW_S", 0.3)
    limiter = RedisLimiter(redis, requests_per_minute=2, pictures_per_minute=None)
    started = time.monotonic()
    granted = [await limiter.acquire(pictures=1, max_wait_s=60) for _ in range(3)]
    assert all(granted)
    assert time.monotonic() - started > 0.25  # and no sooner


async def test_input_pictures_are_counted_too(redis: Client) -> None:
    limiter = RedisLimiter(redis, requests_per_minute=100, pictures_per_minute=7)
    granted = [await limiter.acquire(pictures=3, max_wait_s=0.1) for _ in range(3)]
    assert granted == [True, True, False]


async def test_a_request_larger_than_the_picture_limit_still_goes(redis: Client) -> None:
    limiter = RedisLimiter(redis, requests_per_minute=100, pictures_per_minute=2)
    assert await limiter.acquire(pictures=5, max_wait_s=0.1)
