"""The refund lock in Redis."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

from wearon_cli.adapters.redis import keys
from wearon_cli.adapters.redis.client import Client, redis_errors
from wearon_cli.core.errors import QueueUnavailable, StoreUnavailable

#: Work under the lock is stopped after this time: its last call may then arrive for as long as a
#: call may take, which is at most a quarter of the lock's life (`cross_checks`).
MOST_HELD_S: Final = 0.75 * keys.REFUND_LOCK_LIFE_S
#: A process that was suspended must not delete the lock that another has by now.
_RELEASE: Final = """
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
"""


class RedisRefundLock:
    """Implements `RefundLock`."""

    def __init__(self, redis: Client) -> None:
        self._redis = redis
        self._release = redis.register_script(_RELEASE)

    @asynccontextmanager
    async def hold(self, session_id: str) -> AsyncIterator[bool]:
        name, token = keys.refund_lock(session_id), secrets.token_hex(8)
        limit = asyncio.timeout(MOST_HELD_S)
        try:
            async with limit:
                with redis_errors():
                    free = bool(
                        await self._redis.set(name, token, nx=True, ex=keys.REFUND_LOCK_LIFE_S)
                    )
                yield free
        except TimeoutError as exc:
            if not limit.expired():
                raise
            raise StoreUnavailable("work under the lock of a session took too long") from exc
        if free:
            with suppress(QueueUnavailable), redis_errors():  # the work is done; the lock runs out
                await self._release(keys=[name], args=[token])
