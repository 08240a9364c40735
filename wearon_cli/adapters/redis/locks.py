"""Small shared state of the workers in Redis: the refund lock and the circuit breaker."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from wearon_cli.adapters.redis import keys
from wearon_cli.adapters.redis.client import Client, Scripts, redis_errors
from wearon_cli.core.events import emit
from wearon_cli.core.jobs.events import BreakerClosed, BreakerOpened

#: While open, one call is let through this often to probe.
PROBE_EVERY_S: Final = 30.0


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


class RedisBreaker:
    """Implements `Breaker`."""

    def __init__(self, redis: Client) -> None:
        self._redis = redis
        self._scripts = Scripts(redis)
        self._seen_open = False

    async def wait_s(self) -> float:
        answer = await self._scripts.run("breaker", keys=(keys.BREAKER,), args=(PROBE_EVERY_S,))
        if answer == b"closed":
            return 0.0
        self._seen_open = True
        return 0.0 if answer == b"probe" else float(answer)

    async def trip(self, reason: str) -> None:
        with redis_errors():
            opened = await self._redis.hsetnx(keys.BREAKER, "reason", reason)
            seconds, micros = await self._redis.time()
            probe_at = seconds + micros / 1e6 + PROBE_EVERY_S
            await self._redis.hset(keys.BREAKER, "probe_at", str(probe_at))
            if opened:
                await self._redis.hset(keys.BREAKER, "opened_at", str(seconds))
            await self._redis.expire(keys.BREAKER, keys.BREAKER_LIFE_S)
        self._seen_open = True
        if opened:
            emit(BreakerOpened(reason=reason, probe_every_s=PROBE_EVERY_S))

    async def reset(self) -> None:
        if not self._seen_open:
            return
        with redis_errors():
            closed = await self._redis.delete(keys.BREAKER)
        self._seen_open = False
        if closed:
            emit(BreakerClosed())
