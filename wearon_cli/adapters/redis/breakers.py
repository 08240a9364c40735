"""The circuit breakers in Redis: open ones are members of one hash."""

import asyncio
import math
from collections.abc import Sequence
from typing import Final

from wearon_cli.adapters.redis import keys
from wearon_cli.adapters.redis.client import Client, redis_errors
from wearon_cli.adapters.redis.halts import read_halts
from wearon_cli.adapters.redis.job_scripts import JobScripts
from wearon_cli.core.events import emit
from wearon_cli.core.jobs.breakers import Admission, Halt
from wearon_cli.core.jobs.events import BreakerClosed, BreakerOpened

#: While open, one call is let through this often to probe.
PROBE_EVERY_S: Final = 30.0
#: How long "all closed" is cached: shorter than any paid call takes.
LOOK_LASTS_S: Final = 0.5


class RedisBreakers:
    """Implements `Breakers`."""

    def __init__(self, redis: Client) -> None:
        self._redis = redis
        self._scripts = JobScripts(redis)
        self._seen_open: set[str] = set()
        self._closed_at_s = -math.inf  # by the event loop's clock: all of them were

    async def admit(self, name: str) -> Admission:
        if await self._all_closed():
            return Admission()
        answer = await self._scripts.run("admit", name, PROBE_EVERY_S)
        if answer == b"closed":
            return Admission()
        self._seen_open.add(name)
        if answer == b"probe":
            return Admission(is_probe=True)
        return Admission(wait_s=float(answer))

    async def _all_closed(self) -> bool:
        """One read serves consecutive questions about storage and a provider."""
        clock = asyncio.get_running_loop().time
        if clock() - self._closed_at_s < LOOK_LASTS_S:
            return True
        with redis_errors():
            if await self._redis.exists(keys.BREAKERS):
                return False
        self._closed_at_s = clock()
        return True

    async def trip(self, name: str, reason: str, *, retry_after_s: float = 0.0) -> None:
        after_s = retry_after_s or PROBE_EVERY_S
        self._closed_at_s = -math.inf
        opened = await self._scripts.run("trip", name, reason, after_s)
        self._seen_open.add(name)
        if opened:
            emit(BreakerOpened(breaker=name, reason=reason, probe_after_s=after_s))

    async def reset(self, name: str) -> None:
        if name not in self._seen_open:
            return
        closed = await self._scripts.run("reset", name)
        self._seen_open.discard(name)
        if closed:
            emit(BreakerClosed(breaker=name))

    async def halts(self) -> Sequence[Halt]:
        return await read_halts(self._redis)
