"""
Builds the adapters from Settings: the one place that knows them all.

Each opener is a context manager: what it opened it closes. Vendor libraries are imported where they
are needed, so that a command pays only for what it uses.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from wearon_cli.adapters.redis.client import Client, connect, require_server
from wearon_cli.adapters.redis.dead_letters import RedisDeadLetters
from wearon_cli.adapters.redis.intake import RedisIntake
from wearon_cli.adapters.redis.journal import RedisJournal
from wearon_cli.adapters.redis.queue_stats import RedisQueueStats
from wearon_cli.core.body.pose import PoseReader
from wearon_cli.core.errors import ConfigError
from wearon_cli.core.generator import Generator
from wearon_cli.core.jobs.breakers import Breakers, provider_breaker
from wearon_cli.core.jobs.dead_letters import DeadLetters
from wearon_cli.core.jobs.dispatch import Dispatch
from wearon_cli.core.jobs.generation import Generation
from wearon_cli.core.jobs.intake import TakeIn
from wearon_cli.core.jobs.journal import Dispatcher, JobReader, Journal, WorkerRegistry
from wearon_cli.core.jobs.keeping import Keeper
from wearon_cli.core.jobs.purchasing import PROVIDER, Buyer, Gate
from wearon_cli.core.jobs.recovery import Recovery
from wearon_cli.core.jobs.runner import JobRunner
from wearon_cli.core.jobs.settlement import Settlement
from wearon_cli.core.operator.queue_stats import QueueStatsPort
from wearon_cli.core.pictures.ports import Fetcher, PixelPool
from wearon_cli.core.session_store import SessionStore
from wearon_cli.core.settings import Settings

if TYPE_CHECKING:
    from wearon_cli.adapters.local.storage import LocalStorage
    from wearon_cli.adapters.pose.mediapipe_pose import MediaPipePose
    from wearon_cli.adapters.redis.dispatcher import RedisDispatcher


@dataclass(frozen=True, slots=True, kw_only=True)
class Consumer:
    """What the `consume` role works with."""

    intake: RedisIntake
    take_in: TakeIn
    recovery: Recovery
    dispatch: Dispatch
    #: Waits until a job may be ready to be released, or for this many seconds.
    await_signal: Callable[[float], Awaitable[object]]
    queue_stats: QueueStatsPort


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerParts:
    """What the `celery` role works with."""

    runner: JobRunner
    journal: Journal
    reader: JobReader
    registry: WorkerRegistry
    dispatcher: Dispatcher  # finds jobs whose time came, where no consumer runs


@asynccontextmanager
async def open_consumer(settings: Settings, *, take_wait_s: float) -> AsyncIterator[Consumer]:
    """Adapters and rules of the `consume` role."""
    from wearon_cli.adapters.celery_app import CelerySender, make_celery

    async with AsyncExitStack() as stack:
        redis = await open_redis(stack, settings)
        store = await open_store(stack, settings, checked=True)
        intake = open_intake(stack, redis, settings, wait_s=take_wait_s)
        journal = open_journal(redis, settings)
        dispatcher = open_dispatcher(stack, redis, settings)
        sender = CelerySender(make_celery(redis_url(settings)))
        stack.push_async_callback(sender.aclose)
        dead_letters = RedisDeadLetters(redis)
        yield Consumer(
            intake=intake,
            take_in=TakeIn(
                intake=intake, journal=journal, dead_letters=dead_letters, bucket=settings.bucket
            ),
            recovery=Recovery(
                intake=intake,
                journal=journal,
                dispatcher=dispatcher,
                sessions=store.sessions,
                max_wait_s=settings.max_wait_s,
            ),
            dispatch=Dispatch(dispatcher=dispatcher, sender=sender),
            await_signal=dispatcher.wait,
            queue_stats=RedisQueueStats(redis, heartbeat_s=settings.heartbeat_s),
        )


@asynccontextmanager
async def open_worker(settings: Settings) -> AsyncIterator[WorkerParts]:
    """Adapters and rules of the `celery` role."""
    from wearon_cli.adapters.pixel_processes import PixelThreads
    from wearon_cli.adapters.redis.breakers import RedisBreakers
    from wearon_cli.adapters.redis.workers import RedisWorkers

    async with AsyncExitStack() as stack:
        redis = await open_redis(stack, settings)
        store = await open_store(stack, settings, checked=True)
        pixels = PixelThreads()
        stack.callback(pixels.close)
        journal, dead_letters = open_journal(redis, settings), RedisDeadLetters(redis)
        runner = job_runner(
            store=store,
            journal=journal,
            dead_letters=dead_letters,
            breakers=RedisBreakers(redis),
            settlement=open_settlement(redis, store, journal, dead_letters),
            fetcher=await open_fetcher(stack, settings),
            generator=await _generator(stack, settings),
            pixels=pixels,
            settings=settings,
        )
        yield WorkerParts(
            runner=runner,
            journal=journal,
            reader=journal,
            registry=RedisWorkers(redis, lease_s=settings.lease_s),
            dispatcher=open_dispatcher(stack, redis, settings),
        )


def open_dispatcher(stack: AsyncExitStack, redis: Client, settings: Settings) -> "RedisDispatcher":
    """The dispatcher of these settings."""
    from wearon_cli.adapters.redis.dispatcher import RedisDispatcher

    dispatcher = RedisDispatcher(
        redis,
        url=redis_url(settings),
        providers=(provider_breaker(PROVIDER),),
        requests_per_minute=settings.requests_per_minute,
        pictures_per_minute=settings.input_images_per_minute,
    )
    stack.push_async_callback(dispatcher.aclose)
    return dispatcher


def job_runner(
    *,
    store: SessionStore,
    journal: Journal,
    dead_letters: DeadLetters,
    breakers: Breakers,
    settlement: Settlement,
    fetcher: Fetcher,
    generator: Generator,
    pixels: PixelPool,
    settings: Settings,
) -> JobRunner:
    """The rules of a worker over these adapters."""
    keeper = Keeper(storage=store.storage, journal=journal, breakers=breakers)
    buyer = Buyer(
        journal=journal,
        generator=generator,
        breakers=breakers,
        pixels=pixels,
        keeper=keeper,
        gate=Gate(),
        settings=settings,
    )
    generation = Generation(
        sessions=store.sessions,
        storage=store.storage,
        journal=journal,
        fetcher=fetcher,
        pixels=pixels,
        buyer=buyer,
        keeper=keeper,
        originals=asyncio.Semaphore(settings.pictures_in_memory),
        settings=settings,
    )
    return JobRunner(
        journal=journal,
        sessions=store.sessions,
        generation=generation,
        settlement=settlement,
        breakers=breakers,
        dead_letters=dead_letters,
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


async def open_redis(stack: AsyncExitStack, settings: Settings) -> Client:
    redis = connect(redis_url(settings))
    stack.push_async_callback(redis.aclose)
    await require_server(redis)
    return redis


def open_journal(redis: Client, settings: Settings) -> RedisJournal:
    """The journal of these settings."""
    return RedisJournal(
        redis,
        requests_per_minute=settings.requests_per_minute,
        pictures_per_minute=settings.input_images_per_minute,
    )


def open_settlement(
    redis: Client, store: SessionStore, journal: RedisJournal, dead_letters: DeadLetters
) -> Settlement:
    from wearon_cli.adapters.redis.locks import RedisRefundLock

    return Settlement(
        sessions=store.sessions,
        ledger=store.ledger,
        journal=journal,
        reader=journal,
        dead_letters=dead_letters,
        refund_lock=RedisRefundLock(redis),
    )


def open_intake(
    stack: AsyncExitStack, redis: Client, settings: Settings, *, wait_s: float
) -> RedisIntake:
    intake = RedisIntake(
        redis, url=redis_url(settings), wait_s=wait_s, heartbeat_s=settings.heartbeat_s
    )
    stack.push_async_callback(intake.aclose)
    return intake


async def open_store(
    stack: AsyncExitStack, settings: Settings, *, checked: bool = False, whole: bool = False
) -> SessionStore:
    """
    The store of these settings.

    Args:
        stack: Closes it.
        settings: Which store.
        checked: Look first whether jobs can work with it.
        whole: Look first whether the key sees every row.

    Raises:
        ConfigError: The key is not the service role's, or a look found a fault.
    """
    if settings.local_dir is not None:
        return await _local_store(stack, settings, settings.local_dir)
    from wearon_cli.adapters.supabase.client import connect as connect_supabase
    from wearon_cli.adapters.supabase.key_role import require_service_role, require_whole_view
    from wearon_cli.adapters.supabase.store import session_store

    require_service_role(settings)
    supabase = await stack.enter_async_context(connect_supabase(settings))
    if whole:
        await require_whole_view(supabase)
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


def local_storage(settings: Settings) -> "LocalStorage":
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
    everywhere = settings.host in {"0.0.0.0", "::"}  # noqa: S104 - told apart, not bound
    return f"http://{'127.0.0.1' if everywhere else settings.host}:{settings.port}"


async def open_fetcher(stack: AsyncExitStack, settings: Settings) -> Fetcher:
    """Fetches input pictures: from our own storage, and from public addresses."""
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


def open_pose_reader(settings: Settings) -> "MediaPipePose":
    """
    Load the pose model. Whoever calls closes it.

    Raises:
        ConfigError: The model file is missing or damaged.
    """
    from wearon_cli.adapters.pose.mediapipe_pose import MediaPipePose
    from wearon_cli.adapters.pose.model_file import require_model

    return MediaPipePose(require_model(settings))
