"""
The state behind `GET /health`, updated in the background so that probes are cheap.

"degraded" means: it answers, but something that it needs does not. Without the pose model bodies
cannot be measured; without Redis, as seen from here, no job can be taken or done; and while calls
are halted, jobs wait.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Final, Self

from wearon_cli.core.events import emit
from wearon_cli.core.jobs.halts import HaltState
from wearon_cli.runtime.events import RedisConnected, RedisLost
from wearon_cli.runtime.http.measuring import Measuring

#: Time between two checks of Redis.
LOOK_EVERY_S: Final = 15.0
#: The same while it does not answer, so that its return shows soon.
LOOK_AGAIN_S: Final = 2.0


class Health:
    """State of this process and what it needs. Use it as an async context manager."""

    def __init__(
        self, measuring: Measuring, look_for_halts: Callable[[], Awaitable[HaltState | None]]
    ) -> None:
        """
        Args:
            measuring: Has the pose model, or not yet.
            look_for_halts: Tells what is halted; None when Redis does not answer. Never raises.
        """
        self._measuring = measuring
        self._look_for_halts = look_for_halts
        self._halt: HaltState | None = None
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
        loaded, halt = self._measuring.model_loaded, self._halt
        works = loaded and halt is not None and halt.stopped_since is None
        return {
            "status": "ok" if works else "degraded",
            "model_loaded": loaded,
            "redis_connected": halt is not None,
            "halted": [asdict(each) for each in halt.halts] if halt else [],
            "refunds_from": halt.refunds_from if halt else None,
        }

    async def _watch(self) -> None:
        while True:
            halt = await self._look_for_halts()
            if (halt is None) != (self._halt is None):
                emit(RedisLost() if halt is None else RedisConnected())
            self._halt = halt
            await asyncio.sleep(LOOK_AGAIN_S if halt is None else LOOK_EVERY_S)
