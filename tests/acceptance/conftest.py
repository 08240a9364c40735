"""Worker processes over Supabase, Redis and the image API, all real and on loopback."""

import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from redis import Redis

from tests.contract.conftest import skip_or_fail
from tests.servers.image_api import KEY
from tests.servers.image_api_process import ImageApiProcess
from tests.servers.photos import served_photos
from tests.servers.platform import Job, Platform
from tests.servers.postgres import NotToBeHad
from tests.servers.redis_server import RedisServer
from tests.servers.supabase import SERVICE_KEY, SupabaseServer
from wearon_cli.core.contract import TASK_LIST

WITHIN_S = 60.0


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


@contextmanager
def workers(environment: dict[str, str], log: Path) -> Iterator[None]:
    with log.open("wb") as out:
        processes = [
            subprocess.Popen(
                [sys.executable, "-m", "wearon_cli", role],
                env={**os.environ, **environment},
                stdout=out,
                stderr=out,
            )
            for role in ("consume", "celery")
        ]
        try:
            yield
        finally:
            for process in processes:
                process.terminate()
            for process in processes:
                assert process.wait(timeout=30) == 0, log.read_text("utf-8")


def push(redis: RedisServer, jobs: Sequence[Job]) -> None:
    with Redis.from_url(redis.url) as queue:
        for job in jobs:
            queue.lpush(TASK_LIST, job.payload)


def ended(platform: Platform, jobs: Sequence[Job]) -> dict[str, str]:
    give_up_s = time.monotonic() + WITHIN_S
    while time.monotonic() < give_up_s:
        statuses = platform.statuses(list(jobs))
        if set(statuses.values()) <= {"completed", "failed"}:
            return statuses
        time.sleep(0.2)
    raise AssertionError(Counter(statuses.values()))


def another_worker(
    environment: dict[str, str], log: Path, stack: ExitStack
) -> subprocess.Popen[bytes]:
    """One more worker, ready; ended with the stack."""
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "wearon_cli", "celery"],
            env={**os.environ, **environment},
            stdout=out,
            stderr=out,
        )
    stack.callback(process.wait)
    stack.callback(process.terminate)
    give_up_s = time.monotonic() + 30
    while "worker_ready" not in log.read_text("utf-8"):
        assert time.monotonic() < give_up_s, log.read_text("utf-8")
        time.sleep(0.1)
    return process
