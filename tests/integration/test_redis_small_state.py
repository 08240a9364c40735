"""Dead letters and the refund lock on a real Redis."""

import asyncio

import pytest

from wearon_cli.adapters.redis import keys, locks
from wearon_cli.adapters.redis.client import Client
from wearon_cli.adapters.redis.dead_letters import RedisDeadLetters
from wearon_cli.adapters.redis.locks import RedisRefundLock
from wearon_cli.core.errors import StoreUnavailable

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


async def test_who_outlasts_the_refund_lock_does_not_release_the_next_holders(
    redis: Client,
) -> None:
    """Seen: it deleted the lock of another, and a third one took it as well."""
    lock = RedisRefundLock(redis)
    async with lock.hold("s1"):
        await redis.delete(keys.refund_lock("s1"))  # the process was suspended, and it ran out
        next_one = lock.hold("s1")
        assert await next_one.__aenter__()
    async with lock.hold("s1") as free:
        assert not free
    await next_one.__aexit__(None, None, None)
    async with lock.hold("s1") as free:
        assert free


async def test_work_under_the_refund_lock_is_stopped_before_the_lock_runs_out(
    redis: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen: an undo in slow storage went on for more than a minute, and a redraw began beside it.
    The lock stays, since the last call may still arrive.
    """
    assert locks.MOST_HELD_S < keys.REFUND_LOCK_LIFE_S
    monkeypatch.setattr(locks, "MOST_HELD_S", 0.05)
    lock = RedisRefundLock(redis)

    async def slow_work() -> None:
        async with lock.hold("s1") as free:
            assert free
            await asyncio.sleep(60)

    with pytest.raises(StoreUnavailable, match="took too long"):
        async with asyncio.timeout(30):
            await slow_work()
    async with lock.hold("s1") as free:
        assert not free


async def test_a_time_limit_of_the_work_itself_is_not_taken_for_the_locks(redis: Client) -> None:
    with pytest.raises(TimeoutError):
        async with RedisRefundLock(redis).hold("s1"):
            raise TimeoutError
