"""Worker processes over Supabase: every kind of credit, an outage, a wrong key."""

import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from redis import Redis

from tests.contract.conftest import skip_or_fail
from tests.servers.image_api import KEY
from tests.servers.image_api_process import ImageApiProcess
from tests.servers.photos import served_photos
from tests.servers.platform import KINDS, WAYS, Job, Platform
from tests.servers.postgres import NotToBeHad
from tests.servers.redis_server import RedisServer
from tests.servers.supabase import ANON_KEY, SERVICE_KEY, SupabaseServer
from wearon_cli.core.contract import TASK_LIST

pytestmark = pytest.mark.slow

WITHIN_S = 60.0


@pytest.fixture(scope="module")
def photos() -> Iterator[str]:
    with served_photos() as origin:
        yield origin


@pytest.fixture(scope="module")
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


def test_four_kinds_of_credit_and_three_ways_to_fail_add_up(
    supabase: SupabaseServer,
    redis: RedisServer,
    api: ImageApiProcess,
    environment: dict[str, str],
    photos: str,
    tmp_path: Path,
) -> None:
    platform = Platform(supabase, photos)
    before = platform.balances()
    jobs = [platform.order(kind, fails) for kind in KINDS for fails in ("", *WAYS)]
    refused = [job.session_id for job in jobs if job.fails == "refused"]
    api.rules(faults=[{"name": "moderation_input", "session": each} for each in refused])
    log = tmp_path / "workers.log"
    with workers(environment, log):
        push(redis, [*jobs, *jobs])  # each of them twice
        statuses = ended(platform, jobs)
        time.sleep(2)  # a refund follows its row
    assert {job.session_id for job in jobs if not job.fails} == {
        session_id for session_id, status in statuses.items() if status == "completed"
    }
    after = platform.balances()
    # One of each kind was completed and cost its owner a credit; what failed came back.
    assert {name: before[name] - after[name] for name in before} == {
        "user": 1,
        "store": 1,
        "shopper's store": 0,
        "shopper": 1,
    }
    assert max(api.book()["purchases"].values()) == 1
    told = supabase.run(
        "SELECT DISTINCT error_message FROM store_generation_sessions WHERE status = 'failed'"
    )
    assert all(line.endswith(".") and "http" not in line for line in told.splitlines())
    text = log.read_text("utf-8")
    assert "token=" not in text
    assert SERVICE_KEY not in text
    assert "@example.test" not in text


def test_an_outage_of_the_store_fails_no_job(
    supabase: SupabaseServer,
    redis: RedisServer,
    api: ImageApiProcess,
    environment: dict[str, str],
    photos: str,
    tmp_path: Path,
) -> None:
    platform = Platform(supabase, photos)
    jobs = [platform.order(KINDS[n % 3], "") for n in range(9)]
    with workers(environment, tmp_path / "workers.log"):
        push(redis, jobs[:3])
        ended(platform, jobs[:3])
        with supabase.door.failing("unavailable"):
            push(redis, jobs[3:6])
            time.sleep(4)
        with supabase.door.failing("html"):
            push(redis, jobs[6:])
            time.sleep(4)
        statuses = ended(platform, jobs)
    assert set(statuses.values()) == {"completed"}
    assert max(api.book()["purchases"].values()) == 1


def test_a_wrong_key_stops_everything_before_a_shopper_meets_it(
    environment: dict[str, str],
) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "wearon_cli", "all", "--port", "0"],
        env={**os.environ, **environment, "SUPABASE_SERVICE_ROLE_KEY": ANON_KEY},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.returncode == 3
    assert "SUPABASE_SERVICE_ROLE_KEY" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert ANON_KEY not in ended.stderr
    assert all(json.loads(line) for line in ended.stderr.splitlines() if line.startswith("{"))
