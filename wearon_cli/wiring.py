"""
Builds the adapters from Settings: the one place that knows them all.

Each opener is a context manager: what it opened it closes. Vendor libraries are imported where they
are needed, so that a command pays only for what it uses.
"""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from wearon_cli.adapters.redis_client import Client, connect, require_server
from wearon_cli.adapters.redis_dead_letters import RedisDeadLetters
from wearon_cli.adapters.redis_intake import RedisIntake
from wearon_cli.adapters.redis_journal import RedisJournal
from wearon_cli.core.errors import ConfigError
from wearon_cli.core.jobs.generation import Generation
from wearon_cli.core.jobs.intake import TakeIn
from wearon_cli.core.jobs.recovery import Recovery
from wearon_cli.core.jobs.runner import JobRunner
from wearon_cli.core.jobs.settlement import Settlement
from wearon_cli.core.ports import (
    DeadLetters,
    Intake,
    Journal,
    Ledger,
    Sessions,
    Storage,
    Waker,
)
from wearon_cli.core.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """Rows, credits and files: Supabase, or the local stack."""

    sessions: Sessions
    ledger: Ledger
    storage: Storage


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """What an operator's command works with."""

    sessions: Sessions
    ledger: Ledger
    storage: Storage
    intake: Intake
    journal: Journal
    dead_letters: DeadLetters


@dataclass(frozen=True, slots=True, kw_only=True)
class Consumer:
    """What the `consume` role works with."""

    intake: RedisIntake
    take_in: TakeIn
    recovery: Recovery


@asynccontextmanager
async def open_desk(settings: Settings) -> AsyncIterator[Desk]:
    """Adapters for commands that read, push and mend."""
    async with AsyncExitStack() as stack:
        redis = await _redis(stack, settings)
        store = await _store(stack, settings)
        yield Desk(
            sessions=store.sessions,
            ledger=store.ledger,
            storage=store.storage,
            intake=_intake(stack, redis, settings, wait_s=1.0),
            journal=_journal(redis, settings),
            dead_letters=RedisDeadLetters(redis),
        )


@asynccontextmanager
async def open_consumer(settings: Settings, *, take_wait_s: float) -> AsyncIterator[Consumer]:
    """Adapters and rules of the `consume` role."""
    async with AsyncExitStack() as stack:
        redis = await _redis(stack, settings)
        store = await _store(stack, settings)
        waker = _waker(stack, settings)
        intake = _intake(stack, redis, settings, wait_s=take_wait_s)
        journal = _journal(redis, settings)
        yield Consumer(
            intake=intake,
            take_in=TakeIn(
                intake=intake,
                journal=journal,
                dead_letters=RedisDeadLetters(redis),
                waker=waker,
            ),
            recovery=Recovery(intake=intake, journal=journal, sessions=store.sessions, waker=waker),
        )


@asynccontextmanager
async def open_runner(settings: Settings) -> AsyncIterator[JobRunner]:
    """Adapters and rules of the `celery` role."""
    from wearon_cli.adapters.pixel_threads import PixelThreads
    from wearon_cli.adapters.redis_limiter import RedisLimiter
    from wearon_cli.adapters.redis_locks import RedisBreaker, RedisRefundLock

    async with AsyncExitStack() as stack:
        redis = await _redis(stack, settings)
        store = await _store(stack, settings)
        pixels = PixelThreads()
        stack.callback(pixels.close)
        journal = _journal(redis, settings)
        breaker = RedisBreaker(redis)
        generation = Generation(
            sessions=store.sessions,
            storage=store.storage,
            journal=journal,
            fetcher=await _fetcher(stack, settings),
            generator=await _generator(stack, settings),
            limiter=RedisLimiter(
                redis,
                requests_per_minute=settings.requests_per_minute,
                pictures_per_minute=settings.input_images_per_minute,
            ),
            breaker=breaker,
            pixels=pixels,
            settings=settings,
        )
        settlement = Settlement(
            sessions=store.sessions,
            ledger=store.ledger,
            journal=journal,
            dead_letters=RedisDeadLetters(redis),
            refund_lock=RedisRefundLock(redis),
        )
        yield JobRunner(
            journal=journal,
            sessions=store.sessions,
            generation=generation,
            settlement=settlement,
            breaker=breaker,
            waker=_waker(stack, settings),
            settings=settings,
        )


def redis_url(settings: Settings) -> str:
    """
    The address of Redis.

    Raises:
        ConfigError: It is not set.
    """
    if settings.redis_url is None:
        raise ConfigError("REDIS_URL is not set", hint="set it, or use --local to try it here")
    return settings.redis_url.get_secret_value()


async def _redis(stack: AsyncExitStack, settings: Settings) -> Client:
    redis = connect(redis_url(settings))
    stack.push_async_callback(redis.aclose)
    await require_server(redis)
    return redis


def _journal(redis: Client, settings: Settings) -> RedisJournal:
    return RedisJournal(
        redis,
        lease_s=settings.lease_s,
        requests_per_minute=settings.requests_per_minute,
        pictures_per_minute=settings.input_images_per_minute,
    )


def _intake(
    stack: AsyncExitStack, redis: Client, settings: Settings, *, wait_s: float
) -> RedisIntake:
    intake = RedisIntake(
        redis, url=redis_url(settings), wait_s=wait_s, heartbeat_s=settings.heartbeat_s
    )
    stack.push_async_callback(intake.aclose)
    return intake


def _waker(stack: AsyncExitStack, settings: Settings) -> Waker:
    from wearon_cli.adapters.celery_calls import CeleryWaker, make_celery

    waker = CeleryWaker(make_celery(redis_url(settings)))
    stack.push_async_callback(waker.aclose)
    return waker
