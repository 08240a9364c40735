"""Builds what the `serve` role works with."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wearon_cli.adapters.redis.breakers import RedisBreakers
from wearon_cli.adapters.redis.client import connect
from wearon_cli.core.errors import ConfigError, QueueUnavailable
from wearon_cli.core.jobs.halts import HaltState, halt_state
from wearon_cli.core.settings import Settings
from wearon_cli.wiring.parts import local_storage, open_fetcher, redis_url

if TYPE_CHECKING:
    from wearon_cli.adapters.fetch.guarded_http import GuardedFetcher
    from wearon_cli.adapters.local.storage import LocalStorage


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeAdapters:
    """What the `serve` role works with, beside the pose model."""

    fetcher: "GuardedFetcher"
    #: What is halted right now; None when Redis does not answer. Never raises.
    look_for_halts: Callable[[], Awaitable[HaltState | None]]
    files: "LocalStorage | None"  # the local stack's pictures


@asynccontextmanager
async def open_serve(settings: Settings, *, fetch_timeout_s: float) -> AsyncIterator[ServeAdapters]:
    """
    Adapters of the `serve` role. It starts without Redis too: then health is degraded.

    Args:
        settings: The settings.
        fetch_timeout_s: One photo, start to end; somebody waits for the answer.
    """
    async with AsyncExitStack() as stack:
        hurried = settings.model_copy(update={"fetch_timeout_s": fetch_timeout_s})
        yield ServeAdapters(
            fetcher=await open_fetcher(stack, hurried),
            look_for_halts=_halts_reader(stack, settings),
            files=local_storage(settings) if settings.is_local else None,
        )


def _halts_reader(
    stack: AsyncExitStack, settings: Settings
) -> Callable[[], Awaitable[HaltState | None]]:
    if settings.redis_url is None:
        return _nothing
    redis = connect(redis_url(settings), retries=0, answer_timeout_s=2.0)
    stack.push_async_callback(redis.aclose)
    breakers = RedisBreakers(redis)

    async def look() -> HaltState | None:
        try:
            return halt_state(await breakers.halts(), settings)
        except (QueueUnavailable, ConfigError):
            return None

    return look


async def _nothing() -> None:
    return None
