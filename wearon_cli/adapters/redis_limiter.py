"""The rate limit over all workers, in Redis, as moving windows of one minute."""

import asyncio
import random
import time
from typing import Final

from limits import RateLimitItemPerMinute
from limits.aio.storage import RedisStorage
from limits.aio.strategies import MovingWindowRateLimiter

from wearon_cli.adapters.redis_client import PREFIX, redis_errors

#: Shortest and longest pause between two looks at a full window.
SHORTEST_PAUSE_S: Final = 0.05
LONGEST_PAUSE_S: Final = 2.0


class RedisLimiter:
    """Implements `Limiter`."""

    def __init__(
        self, url: str, *, requests_per_minute: int, pictures_per_minute: int | None
    ) -> None:
        storage = RedisStorage(
            f"async+{url}", implementation="redispy", key_prefix=f"{PREFIX}limit"
        )
        self._windows = MovingWindowRateLimiter(storage)
        self._requests = RateLimitItemPerMinute(requests_per_minute)
        self._pictures = (
            RateLimitItemPerMinute(pictures_per_minute) if pictures_per_minute else None
        )

    async def acquire(self, owner_id: str, *, pictures: int, patience_s: float) -> bool:
        del owner_id  # first come, first served: no owner is preferred yet
        clock = asyncio.get_running_loop().time
        give_up_s = clock() + patience_s
        while not await self._take(pictures):
            left_s = give_up_s - clock()
            if left_s <= 0:
                return False
            await asyncio.sleep(min(await self._pause_s(), left_s))
        return True

    async def _take(self, pictures: int) -> bool:
        with redis_errors():
            if self._pictures and not await self._windows.test(
                self._pictures, "pictures", cost=pictures
            ):
                return False
            if not await self._windows.hit(self._requests, "requests"):
                return False
            if self._pictures:
                await self._windows.hit(self._pictures, "pictures", cost=pictures)
        return True

    async def _pause_s(self) -> float:
        """Until the oldest request leaves the window, spread so that not all look at once."""
        with redis_errors():
            window = await self._windows.get_window_stats(self._requests, "requests")
        left_s = window.reset_time - time.time()
        pause_s = min(max(left_s, SHORTEST_PAUSE_S), LONGEST_PAUSE_S)
        return pause_s * (0.5 + random.random())  # noqa: S311 - spreads load
