"""Builds what the `consume` role works with."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from wearon_cli.adapters.celery_app import CelerySender, make_celery
from wearon_cli.adapters.redis.dead_letters import RedisDeadLetters
from wearon_cli.adapters.redis.intake import RedisIntake
from wearon_cli.adapters.redis.queue_stats import RedisQueueStats
from wearon_cli.core.jobs.dispatch import Dispatch
from wearon_cli.core.jobs.intake import TakeIn
from wearon_cli.core.jobs.recovery import Recovery
from wearon_cli.core.operator.queue_stats import QueueStatsPort
from wearon_cli.core.settings import Settings
from wearon_cli.wiring.parts import (
    open_dispatcher,
    open_intake,
    open_journal,
    open_redis,
    open_store,
    redis_url,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Consumer:
    """What the `consume` role needs."""

    intake: RedisIntake
    take_in: TakeIn
    recovery: Recovery
    dispatch: Dispatch
    #: Waits until a job may be ready to be released, or for this many seconds.
    await_signal: Callable[[float], Awaitable[object]]
    queue_stats: QueueStatsPort


@asynccontextmanager
async def open_consumer(settings: Settings, *, take_wait_s: float) -> AsyncIterator[Consumer]:
    """Adapters and rules of the `consume` role."""
    async with AsyncExitStack() as stack:
        redis = await open_redis(stack, settings)
        store = await open_store(stack, settings, checked=True)
        intake = open_intake(stack, redis, settings, wait_s=take_wait_s)
        journal = open_journal(redis, settings)
        dispatcher = open_dispatcher(stack, redis, settings)
        sender = CelerySender(make_celery(redis_url(settings)))
        stack.push_async_callback(sender.aclose)
        dead_letters = RedisDeadLetters(redis)
        dispatch = Dispatch(dispatcher=dispatcher, sender=sender)
        yield Consumer(
            intake=intake,
            take_in=TakeIn(
                intake=intake, jobs=dispatch, dead_letters=dead_letters, bucket=settings.bucket
            ),
            recovery=Recovery(
                intake=intake,
                journal=journal,
                dispatcher=dispatcher,
                sessions=store.sessions,
                max_wait_s=settings.max_wait_s,
            ),
            dispatch=dispatch,
            await_signal=dispatcher.wait,
            queue_stats=RedisQueueStats(redis, heartbeat_s=settings.heartbeat_s),
        )
