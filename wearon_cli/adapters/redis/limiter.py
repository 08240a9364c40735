"""The rate limit over all workers, in Redis: two moving windows kept as logs."""

import asyncio
import secrets
from typing import Final

from wearon_cli.adapters.redis import keys
from wearon_cli.adapters.redis.client import Client, Scripts

#: A minute, and a second for what requests may lag or lead on their way from the permit to the
#: API's own clock. It costs 1.6 % of the limit; with half of it 302 of 300 were seen in a minute.
WINDOW_S: Final = 61.0


class RedisLimiter:
    """Implements `Limiter`."""

    def __init__(
        self, redis: Client, *, requests_per_minute: int, pictures_per_minute: int | None
    ) -> None:
        self._scripts = Scripts(redis)
        self._requests_per_minute = requests_per_minute
        self._pictures_per_minute = pictures_per_minute or 0

    async def acquire(self, *, pictures: int, max_wait_s: float) -> bool:
        clock = asyncio.get_running_loop().time
        give_up_s = clock() + max_wait_s
        # A request with more pictures than a minute allows goes when it has the minute to itself.
        counted = min(pictures, self._pictures_per_minute)
        while (wait_s := await self._ask(counted)) > 0:
            if clock() + wait_s > give_up_s:
                return False
            await asyncio.sleep(wait_s)
        return True

    async def _ask(self, pictures: int) -> float:
        answer = await self._scripts.run(
            "permit",
            keys=(keys.REQUESTS, keys.PICTURES),
            args=(
                secrets.token_hex(8),
                WINDOW_S,
                self._requests_per_minute,
                pictures,
                self._pictures_per_minute,
                keys.LIMIT_LIFE_S,
            ),
        )
        return float(answer)
