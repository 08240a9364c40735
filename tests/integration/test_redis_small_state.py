"""Dead letters and the refund lock on a real Redis."""

import pytest

from wearon_cli.adapters.redis.client import Client
from wearon_cli.adapters.redis.dead_letters import RedisDeadLetters
from wearon_cli.adapters.redis.locks import RedisRefundLock

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
