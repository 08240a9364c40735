"""
Checks everything the worker needs. Safe in production: nothing is changed or paid for.

Each part has its own time limit: one that hangs does not hide the others.
"""

import asyncio
import shutil
import socket
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, date, datetime
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Final

from wearon_cli.adapters.redis.client import connect
from wearon_cli.core.errors import WearonError
from wearon_cli.core.jobs.halts import HaltState, halt_state
from wearon_cli.core.operator.checks import Finding
from wearon_cli.core.operator.roles import start_command
from wearon_cli.core.settings import Settings
from wearon_cli.runtime.ops.certificate_checks import check_certificate
from wearon_cli.runtime.ops.platform_checks import check_platform_fit
from wearon_cli.runtime.ops.provider_checks import check_providers
from wearon_cli.wiring.parts import open_pose_reader, redis_url

PART_TIMEOUT_S: Final = 8.0
LEAST_DISK_BYTES: Final = 1_000_000_000
#: Wait for Celery workers to answer a ping.
PING_S: Final = 1.5
LOCAL_HOSTS: Final = frozenset({"127.0.0.1", "::1", "localhost"})


async def examine(settings: Settings, *, today: date | None = None) -> list[Finding]:
    """
    All findings, in the order to fix them.

    Args:
        settings: Of production, or of a local stack that runs.
        today: The day for retirement dates; None: today (UTC).
    """
    day = today or datetime.now(UTC).date()
    parts: list[tuple[str, Callable[[Settings], Awaitable[Sequence[Finding]]]]] = [
        ("settings", _settings),
        ("redis", _redis),
        ("workers", _workers),
        ("supabase", _store),
        ("image providers", partial(check_providers, today=day)),
        ("C2PA certificate", partial(check_certificate, today=day)),
        ("pose model", _pose_model),
        ("this machine", _machine),
    ]
    found = await asyncio.gather(*(_within(name, look, settings) for name, look in parts))
    return [finding for findings in found for finding in findings]


async def _within(
    name: str, look: Callable[[Settings], Awaitable[Sequence[Finding]]], settings: Settings
) -> Sequence[Finding]:
    try:
        async with asyncio.timeout(PART_TIMEOUT_S):
            return await look(settings)
    except TimeoutError:
        detail = f"no answer within {PART_TIMEOUT_S:g} s"
        return [
            Finding(
                name=name,
                ok=False,
                detail=detail,
                hint="check whether the network is slow or blocked",
            )
        ]
    except WearonError as exc:
        return [Finding(name=name, ok=False, detail=str(exc), hint=exc.hint)]


async def _settings(settings: Settings) -> Sequence[Finding]:
    """Always passes: they were validated when they were read."""
    found = [Finding(name="settings", ok=True, detail="valid and consistent")]
    if settings.is_local:
        return found
    try:
        settings.require_production()
    except WearonError as exc:
        return [Finding(name="settings", ok=False, detail=str(exc), hint=exc.hint)]
    detail = f"{', '.join(settings.production_names)} are set"
    names = Finding(name="production settings", ok=True, detail=detail)
    return [*found, names, _stopping(settings), *check_platform_fit(settings)]


def _stopping(settings: Settings) -> Finding:
    """What happens to a running paid call when a worker is told to stop."""
    detail = f"running jobs get {settings.drain_s:g} s, as long as any paid call"
    if not settings.drain_holds_a_call:
        detail = (
            f"running jobs get {settings.drain_s:g} s; a paid call may take "
            f"{settings.openai_timeout_s:g} s, and is then fetched later, or counted as lost"
        )
    return Finding(name="stopping", ok=True, detail=detail)


async def _redis(settings: Settings) -> Sequence[Finding]:
    from wearon_cli.adapters.redis.checks import check_redis

    url = redis_url(settings)
    redis = connect(url, retries=0)
    try:
        return await check_redis(redis, url=url)
    finally:
        await redis.aclose()


async def _workers(settings: Settings) -> Sequence[Finding]:
    from wearon_cli.adapters.celery_app import make_celery
    from wearon_cli.adapters.redis.queue_stats import RedisQueueStats

    url = redis_url(settings)
    redis = connect(url, retries=0)
    try:
        stats = await RedisQueueStats(redis, heartbeat_s=settings.heartbeat_s).look()
    finally:
        await redis.aclose()
    celery = make_celery(url)
    try:
        answers = await asyncio.to_thread(celery.control.ping, timeout=PING_S)
    finally:
        celery.close()
    start = partial(start_command, is_local=settings.is_local)
    return [
        _count("consumers", stats.consumers, start("consume")),
        _count("celery workers", len(answers), start("celery")),
        _purchases(halt_state(stats.halts, settings)),
    ]


def _purchases(state: HaltState) -> Finding:
    return Finding(
        name="purchases",
        ok=state.stopped_since is None,
        detail="; ".join(state.lines()) or "accepting calls: no breaker is open",
        hint="see 'Calls are halted' in docs/operators.md" if state.halts else "",
        warning=state.stopped_since is None and bool(state.halts),
    )


def _count(name: str, count: int, command: str) -> Finding:
    detail = f"{count} answering" if count else "none answers"
    hint = "" if count else f"start `{command}`"
    return Finding(name=name, ok=count > 0, detail=detail, hint=hint)


async def _store(settings: Settings) -> Sequence[Finding]:
    if settings.is_local:
        return [Finding(name="store", ok=True, detail="rows, credits and files of the local stack")]
    from wearon_cli.adapters.supabase.checks import check_store
    from wearon_cli.adapters.supabase.client import connect as connect_supabase

    async with connect_supabase(settings) as supabase:
        return await check_store(supabase, settings)


async def _pose_model(settings: Settings) -> Sequence[Finding]:
    return [await asyncio.to_thread(_read_sample, settings)]


def _read_sample(settings: Settings) -> Finding:
    from wearon_cli.core.body.photo import read_photo

    photo = read_photo(files("wearon_cli.assets").joinpath("person.jpg").read_bytes())
    with open_pose_reader(settings) as reader:
        people = len(reader.read(photo))
    if people != 1:
        return Finding(
            name="pose model",
            ok=False,
            detail=f"finds {people} people in the bundled photo of one person",
            hint="run `wearon model pull --again`",
        )
    return Finding(name="pose model", ok=True, detail="finds the person in the bundled photo")


async def _machine(settings: Settings) -> Sequence[Finding]:
    folder = settings.local_dir or Path.cwd()
    free = shutil.disk_usage(folder).free
    disk = Finding(
        name="disk",
        ok=free > LEAST_DISK_BYTES,
        detail=f"{free / 1e9:.1f} GB free",
        hint="" if free > LEAST_DISK_BYTES else "free some disk space: logs and pictures need it",
    )
    return [disk, _port(settings), *_public_port(settings)]


def _port(settings: Settings) -> Finding:
    """Passes when the port is free, or a `serve` answers on it."""
    name = f"port {settings.port}"
    host = settings.host if settings.host in LOCAL_HOSTS else "127.0.0.1"
    try:
        ours = _answers_live(host, settings.port)
    except ConnectionRefusedError:
        return Finding(name=name, ok=True, detail="free")
    if ours:
        return Finding(name=name, ok=True, detail="`wearon serve` answers there")
    return Finding(
        name=name, ok=False, detail="another program uses it", hint="set WEARON_PORT to a free one"
    )


def _answers_live(host: str, port: int) -> bool:
    """
    Raises:
        ConnectionRefusedError: Nothing listens there.
    """
    with socket.create_connection((host, port), timeout=1) as connection:
        try:
            connection.settimeout(2)
            connection.sendall(b"GET /health/live HTTP/1.0\r\n\r\n")
            return b"200" in connection.recv(64)
        except OSError:
            return False


def _public_port(settings: Settings) -> Sequence[Finding]:
    if settings.http_token is not None or settings.host in LOCAL_HOSTS:
        return ()
    return [
        Finding(
            name="HTTP",
            ok=True,
            warning=True,
            detail="the endpoint is unauthenticated: only the network in front of the port "
            "protects it",
            hint="set WEARON_HTTP_TOKEN, or let only the platform's addresses through "
            "(WEARON_ALLOWED_IPS in deploy/.env)",
        )
    ]
