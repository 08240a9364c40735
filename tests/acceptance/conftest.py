"""Supabase, Redis and the image API, all real and on loopback."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from devkit.servers.image_api import KEY
from devkit.servers.image_api_process import ImageApiProcess
from devkit.servers.photos import served_photos
from devkit.servers.platform import Platform
from devkit.servers.postgres import NotToBeHad
from devkit.servers.redis_server import RedisServer
from devkit.servers.supabase import SERVICE_KEY, SupabaseServer
from devkit.stores import skip_or_fail


@pytest.fixture(scope="session")
def photos() -> Iterator[str]:
    with served_photos() as origin:
        yield origin


@pytest.fixture(scope="session")
def supabase() -> Iterator[SupabaseServer]:
    try:
        server = SupabaseServer()
    except NotToBeHad as exc:
        skip_or_fail(str(exc))
        raise
    with server:
        yield server


@pytest.fixture
def platform(supabase: SupabaseServer, photos: str) -> Platform:
    """The platform in front of that store, with owners of its own."""
    return Platform(supabase, photos)


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def api() -> Iterator[ImageApiProcess]:
    with ImageApiProcess(latency="0.1-0.3") as server:
        yield server


@pytest.fixture
def environment(
    supabase: SupabaseServer, redis: RedisServer, api: ImageApiProcess, photos: str
) -> dict[str, str]:
    supabase.door.clear()
    return {
        "REDIS_URL": redis.url,
        "SUPABASE_URL": supabase.url,
        "SUPABASE_SERVICE_ROLE_KEY": SERVICE_KEY,
        "OPENAI_API_KEY": KEY,
        "OPENAI_BASE_URL": api.base_url,
        "WEARON_FETCH_ORIGINS": photos,
        "WEARON_RECOVERY_INTERVAL_S": "1",
        "WEARON_LOG_FORMAT": "json",
    }
