"""What several roles and the operator tools are built from."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from wearon_cli.core.errors import ConfigError
from wearon_cli.core.session_store import SessionStore

if TYPE_CHECKING:
    from pathlib import Path

    from wearon_cli.adapters.fetch.guarded_http import GuardedFetcher
    from wearon_cli.adapters.local.storage import LocalStorage
    from wearon_cli.adapters.pose.checks import CheckProcess
    from wearon_cli.adapters.pose.mediapipe_pose import MediaPipePose
    from wearon_cli.adapters.redis.client import Client
    from wearon_cli.adapters.redis.dispatcher import RedisDispatcher
    from wearon_cli.adapters.redis.intake import RedisIntake
    from wearon_cli.adapters.redis.journal import RedisJournal
    from wearon_cli.core.jobs.dead_letters import DeadLetters
    from wearon_cli.core.jobs.settlement import Settlement
    from wearon_cli.core.settings import Settings


def redis_url(settings: Settings) -> str:
    """
    The address of Redis.

    Raises:
        ConfigError: It is not set.
    """
    if settings.redis_url is None:
        raise ConfigError("REDIS_URL is not set", hint="set it, or use --local")
    return settings.redis_url.get_secret_value()


async def open_redis(stack: AsyncExitStack, settings: Settings) -> Client:
    """A client of a checked server. The stack closes it."""
    from wearon_cli.adapters.redis.client import connect, require_server

    redis = connect(redis_url(settings))
    stack.push_async_callback(redis.aclose)
    await require_server(redis)
    return redis


def open_journal(redis: Client, settings: Settings) -> RedisJournal:
    """The journal of these settings."""
    from wearon_cli.adapters.redis.journal import RedisJournal

    return RedisJournal(
        redis,
        requests_per_minute=settings.requests_per_minute,
        pictures_per_minute=settings.input_images_per_minute,
    )


def open_settlement(
    redis: Client, store: SessionStore, journal: RedisJournal, dead_letters: DeadLetters
) -> Settlement:
    """The settlement over these adapters."""
    from wearon_cli.adapters.redis.locks import RedisRefundLock
    from wearon_cli.core.jobs.settlement import Settlement

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
    """The intake of one consumer. The stack closes it."""
    from wearon_cli.adapters.redis.intake import RedisIntake

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
        checked: Check first whether jobs can work with it.
        whole: Check first whether the key sees every row.

    Raises:
        ConfigError: The key is not the service role's, or a check failed.
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
    everywhere = settings.host in {"0.0.0.0", "::"}  # noqa: S104 - told apart, not bound
    return f"http://{'127.0.0.1' if everywhere else settings.host}:{settings.port}"


async def open_fetcher(stack: AsyncExitStack, settings: Settings) -> GuardedFetcher:
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


def open_dispatcher(stack: AsyncExitStack, redis: Client, settings: Settings) -> RedisDispatcher:
    """The dispatcher of these settings."""
    from wearon_cli.adapters.redis.dispatcher import RedisDispatcher
    from wearon_cli.core.jobs.breakers import provider_breaker

    dispatcher = RedisDispatcher(
        redis,
        url=redis_url(settings),
        providers=tuple(map(provider_breaker, settings.provider_names)),
        requests_per_minute=settings.requests_per_minute,
        pictures_per_minute=settings.input_images_per_minute,
    )
    stack.push_async_callback(dispatcher.aclose)
    return dispatcher


def open_checks(stack: AsyncExitStack, settings: Settings) -> CheckProcess:
    """The picture checks. Their process starts at `load` or the first check; the stack ends it."""
    from wearon_cli.adapters.pose.checks import CheckProcess
    from wearon_cli.adapters.pose.model_file import model_path

    checks = CheckProcess(model_path(settings))
    stack.push_async_callback(checks.aclose)
    return checks


def open_pose_reader(settings: Settings) -> MediaPipePose:
    """
    Load the pose model. The caller closes it.

    Raises:
        ConfigError: The model file is missing or damaged.
    """
    from wearon_cli.adapters.pose.mediapipe_pose import MediaPipePose
    from wearon_cli.adapters.pose.model_file import require_model

    return MediaPipePose(require_model(settings))
