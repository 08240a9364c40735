"""
Builds the adapters from Settings: the one place that knows them all.

Each opener is a context manager: what it opened it closes. It imports what it opens, and nothing of
that is imported before, so that a command pays only for what it uses: test_quick_commands.py.
"""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from wearon_cli.core.errors import ConfigError
from wearon_cli.core.session_store import SessionStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from wearon_cli.adapters.local.storage import LocalStorage
    from wearon_cli.adapters.pose.mediapipe_pose import MediaPipePose
    from wearon_cli.adapters.redis.client import Client
    from wearon_cli.adapters.redis.intake import RedisIntake
    from wearon_cli.adapters.redis.journal import RedisJournal
    from wearon_cli.core.body.pose import PoseReader
    from wearon_cli.core.credits import Ledger
    from wearon_cli.core.generator import Generator
    from wearon_cli.core.jobs.dead_letters import DeadLetters
    from wearon_cli.core.jobs.dispatch import Waker
    from wearon_cli.core.jobs.intake import Intake, TakeIn
    from wearon_cli.core.jobs.journal import Journal
    from wearon_cli.core.jobs.recovery import Recovery
    from wearon_cli.core.jobs.runner import JobRunner
    from wearon_cli.core.jobs.settlement import Settlement
    from wearon_cli.core.operator.queue_stats import QueueStatsPort
    from wearon_cli.core.pictures.ports import Fetcher
    from wearon_cli.core.session import Sessions
    from wearon_cli.core.settings import Settings
    from wearon_cli.core.storage import Storage


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorTools:
    """What an operator's command works with."""

    sessions: Sessions
    ledger: Ledger
    storage: Storage
    intake: Intake
    journal: Journal
    dead_letters: DeadLetters
    queue_stats: QueueStatsPort
    waker: Waker
    settlement: Settlement


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeAdapters:
    """What the `serve` role works with, besides the pose model."""

    fetcher: Fetcher
    #: Whether Redis answers right now; never raises.
    redis_answers: Callable[[], Awaitable[bool]]
    files: LocalStorage | None  # the local stack's pictures


@dataclass(frozen=True, slots=True, kw_only=True)
class Consumer:
    """What the `consume` role works with."""

    intake: RedisIntake
    take_in: TakeIn
    recovery: Recovery
    queue_stats: QueueStatsPort


@asynccontextmanager
async def open_operator_tools(settings: Settings) -> AsyncIterator[OperatorTools]:
    """Adapters for commands that read, push and fix."""
    from wearon_cli.adapters.redis.dead_letters import RedisDeadLetters
    from wearon_cli.adapters.redis.queue_stats import RedisQueueStats

    async with AsyncExitStack() as stack:
        redis = await _redis(stack, settings)
        store = await _store(stack, settings)
        journal = _journal(redis, settings)
        dead_letters = RedisDeadLetters(redis)
        yield OperatorTools(
            sessions=store.sessions,
            ledger=store.ledger,
            storage=store.storage,
            intake=_intake(stack, redis, settings, wait_s=1.0),
            journal=journal,
            dead_letters=dead_letters,
            queue_stats=RedisQueueStats(redis, heartbeat_s=settings.heartbeat_s),
            waker=_waker(stack, settings),
            settlement=_settlement(redis, store, journal, dead_letters),
        )


@asynccontextmanager
async def open_consumer(settings: Settings, *, take_wait_s: float) -> AsyncIterator[Consumer]:
    """Adapters and rules of the `consume` role."""
    from wearon_cli.adapters.redis.dead_letters import RedisDeadLetters
    from wearon_cli.adapters.redis.queue_stats import RedisQueueStats
    from wearon_cli.core.jobs.intake import TakeIn
    from wearon_cli.core.jobs.recovery import Recovery

    async with AsyncExitStack() as stack:
        redis = await _redis(stack, settings)
        store = await _store(stack, settings, checked=True)
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
            queue_stats=RedisQueueStats(redis, heartbeat_s=settings.heartbeat_s),
        )


@asynccontextmanager
async def open_runner(settings: Settings) -> AsyncIterator[JobRunner]:
    """Adapters and rules of the `celery` role."""
    import asyncio

    from wearon_cli.adapters.pixel_processes import PixelThreads
    from wearon_cli.adapters.redis.dead_letters import RedisDeadLetters
    from wearon_cli.adapters.redis.limiter import RedisLimiter
    from wearon_cli.adapters.redis.locks import RedisBreaker
    from wearon_cli.core.jobs.generation import Generation
    from wearon_cli.core.jobs.runner import JobRunner

    async with AsyncExitStack() as stack:
        redis = await _redis(stack, settings)
        store = await _store(stack, settings, checked=True)
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
            originals=asyncio.Semaphore(settings.pictures_in_memory),
            settings=settings,
        )
        settlement = _settlement(redis, store, journal, RedisDeadLetters(redis))
        yield JobRunner(
            journal=journal,
            sessions=store.sessions,
            generation=generation,
            settlement=settlement,
            breaker=breaker,
            waker=_waker(stack, settings),
            settings=settings,
        )


@asynccontextmanager
async def open_serve(settings: Settings, *, fetch_timeout_s: float) -> AsyncIterator[ServeAdapters]:
    """
    Adapters of the `serve` role. It starts without Redis too: then health is degraded.

    Args:
        settings: The settings.
        fetch_timeout_s: One photo, start to end; a caller waits for the answer.
    """
    async with AsyncExitStack() as stack:
        hurried = settings.model_copy(update={"fetch_timeout_s": fetch_timeout_s})
        yield ServeAdapters(
            fetcher=await _fetcher(stack, hurried),
            redis_answers=_redis_pulse(stack, settings),
            files=local_storage(settings) if settings.is_local else None,
        )


def _redis_pulse(stack: AsyncExitStack, settings: Settings) -> Callable[[], Awaitable[bool]]:
    if settings.redis_url is None:
        return _never
    from wearon_cli.adapters.redis.client import answers, connect

    redis = connect(redis_url(settings), retries=0, answer_timeout_s=2.0)
    stack.push_async_callback(redis.aclose)
    return partial(answers, redis)


async def _never() -> bool:
    return False


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
    from wearon_cli.adapters.redis.client import connect, require_server

    redis = connect(redis_url(settings))
    stack.push_async_callback(redis.aclose)
    await require_server(redis)
    return redis


def _journal(redis: Client, settings: Settings) -> RedisJournal:
    from wearon_cli.adapters.redis.journal import RedisJournal

    return RedisJournal(
        redis,
        lease_s=settings.lease_s,
        requests_per_minute=settings.requests_per_minute,
        pictures_per_minute=settings.input_images_per_minute,
    )


def _settlement(
    redis: Client, store: SessionStore, journal: Journal, dead_letters: DeadLetters
) -> Settlement:
    from wearon_cli.adapters.redis.locks import RedisRefundLock
    from wearon_cli.core.jobs.settlement import Settlement

    return Settlement(
        sessions=store.sessions,
        ledger=store.ledger,
        journal=journal,
        dead_letters=dead_letters,
        refund_lock=RedisRefundLock(redis),
    )


def _intake(
    stack: AsyncExitStack, redis: Client, settings: Settings, *, wait_s: float
) -> RedisIntake:
    from wearon_cli.adapters.redis.intake import RedisIntake

    intake = RedisIntake(
        redis, url=redis_url(settings), wait_s=wait_s, heartbeat_s=settings.heartbeat_s
    )
    stack.push_async_callback(intake.aclose)
    return intake


def _waker(stack: AsyncExitStack, settings: Settings) -> Waker:
    from wearon_cli.adapters.celery_app import CeleryWaker

    waker = CeleryWaker(redis_url(settings))
    stack.push_async_callback(waker.aclose)
    return waker


async def _store(
    stack: AsyncExitStack, settings: Settings, *, checked: bool = False
) -> SessionStore:
    """
    The session store of these settings.

    Args:
        stack: Closes it.
        settings: Which session store.
        checked: Check first that jobs can work with it.
    """
    if settings.local_dir is not None:
        return await _local_store(stack, settings, settings.local_dir)
    from wearon_cli.adapters.supabase.client import connect as connect_supabase
    from wearon_cli.adapters.supabase.store import session_store

    supabase = await stack.enter_async_context(connect_supabase(settings))
    if checked:
        from wearon_cli.adapters.supabase.checks import require_store

        await require_store(supabase, settings)
    return session_store(supabase, settings)


async def _local_store(stack: AsyncExitStack, settings: Settings, folder: Path) -> SessionStore:
    from wearon_cli.adapters.local.accounts import ensure_demo_accounts
    from wearon_cli.adapters.local.ledger import LocalLedger
    from wearon_cli.adapters.local.sessions import LocalSessions

    sessions = LocalSessions(folder / "wearon.db")
    stack.callback(sessions.close)
    ledger = LocalLedger(folder / "wearon.db")
    stack.callback(ledger.close)
    await ensure_demo_accounts(ledger)
    return SessionStore(sessions=sessions, ledger=ledger, storage=local_storage(settings))


def local_storage(settings: Settings) -> LocalStorage:
    """
    The files of the local stack.

    Raises:
        ConfigError: These are not settings of a local stack.
    """
    from wearon_cli.adapters.local.storage import LocalStorage

    if settings.local_dir is None:
        raise ConfigError("there is no local stack", hint="add --local")
    return LocalStorage(
        settings.local_dir / "files",
        base_url=local_origin(settings),
        secret_path=settings.local_dir / "signing-secret",
        bucket=settings.bucket,
    )


def local_origin(settings: Settings) -> str:
    """Where `serve` of the local stack answers, seen from this machine."""
    everywhere = settings.host in {"0.0.0.0", "::"}  # noqa: S104 - compared, not bound
    return f"http://{'127.0.0.1' if everywhere else settings.host}:{settings.port}"


async def _fetcher(stack: AsyncExitStack, settings: Settings) -> Fetcher:
    from wearon_cli.adapters.fetch.guarded_http import GuardedFetcher

    own = local_origin(settings) if settings.is_local else settings.supabase_url
    fetcher = GuardedFetcher(
        trusted_origins=(*settings.fetch_origins, *((own,) if own else ())),
        max_bytes=settings.max_picture_bytes,
        total_timeout_s=settings.fetch_timeout_s,
    )
    stack.push_async_callback(fetcher.aclose)
    return fetcher


async def _generator(stack: AsyncExitStack, settings: Settings) -> Generator:
    if settings.openai_api_key is None and settings.is_local:
        return _preview_generator(stack, settings)
    if settings.openai_api_key is None:
        raise ConfigError("OPENAI_API_KEY is not set", hint="set it, or use --local for previews")
    from wearon_cli.adapters.providers.openai_edits import OpenAIImages, image_api_client

    http = image_api_client(
        base_url=settings.openai_base_url,
        api_key=settings.openai_api_key,
        connections=settings.worker_concurrency,
    )
    stack.push_async_callback(http.aclose)
    return OpenAIImages(
        http,
        models=settings.openai_image_models,
        size=settings.image_size,
        quality=settings.image_quality,
        timeout_s=settings.openai_timeout_s,
    )


def _preview_generator(stack: AsyncExitStack, settings: Settings) -> Generator:
    from wearon_cli.adapters.providers.preview import PreviewImages

    def open_reader() -> PoseReader:
        reader = open_pose_reader(settings)
        stack.callback(reader.close)
        return reader

    return PreviewImages(open_reader)


def open_pose_reader(settings: Settings) -> MediaPipePose:
    """
    Load the pose model. The caller closes it.

    Raises:
        ConfigError: The model file is missing or damaged.
    """
    from wearon_cli.adapters.pose.mediapipe_pose import MediaPipePose
    from wearon_cli.adapters.pose.model_file import require_model

    return MediaPipePose(require_model(settings))
