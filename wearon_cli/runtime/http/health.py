"""
The state behind `GET /health`, updated in the background so that a probe costs nothing.

"degraded" means: it answers, and something that it needs does not. Without the pose model bodies
cannot be measured; without Redis, as seen from here, no job can be taken or done.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, Self

from wearon_cli.core.events import emit
from wearon_cli.runtime.events import RedisConnected, RedisLost
from wearon_cli.runtime.http.measuring import Measuring

#: Time between two checks of Redis.
LOOK_EVERY_S: Final = 15.0
#: The same while it does not answer: its return should show soon.
LOOK_AGAIN_S: Final = 2.0


class Health:
    """State of this process and what it needs. Use it as an async context manager."""

    def __init__(self, measuring: Measuring, redis_answers: Callable[[], Awaitable[bool]]) -> None:
        self._measuring = measuring
        self._redis_answers = redis_answers
        self._redis_connected = False
        self._watching: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._watching = asyncio.create_task(self._watch())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._watching is not None:
            self._watching.cancel()

    @property
    def ready(self) -> bool:
        """Whether requests sent here are answered with measurements."""
        return self._measuring.model_loaded

    def report(self) -> dict[str, object]:
        """The answer of `GET /health`."""
        loaded, connected = self._measuring.model_loaded, self._redis_connected
        return {
            "status": "ok" if loaded and connected else "degraded",
            "model_loaded": loaded,
            "redis_connected": connected,
        }

    async def _watch(self) -> None:
        while True:
            connected = await self._redis_answers()
            if connected != self._redis_connected:
                emit(RedisConnected() if connected else RedisLost())
            self._redis_connected = connected
            await asyncio.sleep(LOOK_EVERY_S if connected else LOOK_AGAIN_S)
