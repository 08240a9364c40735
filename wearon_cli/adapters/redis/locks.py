"""The refund lock in Redis."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from wearon_cli.adapters.redis import keys
from wearon_cli.adapters.redis.client import Client, redis_errors


class RedisRefundLock:
    """Implements `RefundLock`."""

    def __init__(self, redis: Client) -> None:
        self._redis = redis

    @asynccontextmanager
    async def hold(self, session_id: str) -> AsyncIterator[bool]:
        name = keys.refund_lock(session_id)
        with redis_errors():
            free = bool(await self._redis.set(name, 1, nx=True, ex=keys.REFUND_LOCK_LIFE_S))
        yield free
        if free:
            with redis_errors():
                await self._redis.delete(name)
