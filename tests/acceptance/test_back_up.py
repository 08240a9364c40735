"""The steps of docs/back-up.md: a restored Redis, and a restored database, buy nothing twice."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from redis.exceptions import RedisError

from devkit.servers.image_api_process import ImageApiProcess
from devkit.servers.platform import Platform
from devkit.servers.postgres import Postgres, find_binaries
from devkit.servers.redis_server import RedisServer
from devkit.servers.supabase import SupabaseServer
from devkit.waiting import LONGEST_S, until
from devkit.workers import ended, none_open, push, workers

pytestmark = pytest.mark.slow


def test_a_restored_redis_runs_no_job_again_that_has_ended(
    supabase: SupabaseServer,
    redis: RedisServer,
    api: ImageApiProcess,
    environment: dict[str, str],
    photos: str,
    tmp_path: Path,
) -> None:
    platform = Platform(supabase, photos)
    jobs = [platform.order("b2c", ""), platform.order("absorb", "")]
    log, copy = tmp_path / "workers.log", tmp_path / "copy.rdb"
    api.rules(latency="10")  # long enough to copy Redis meanwhile on a busy machine
    with workers(environment, log):
        push(redis, jobs)
        until(lambda: len(api.book(calls=True)["list"]) == len(jobs))
        back_up(redis, tmp_path, copy)
        assert set(ended(platform, jobs).values()) == {"completed"}
        until(lambda: none_open(redis))
    redis.kill()
    restore(redis, tmp_path, copy)
    assert not none_open(redis)
    with workers(environment, log):
        until(lambda: none_open(redis))
    assert set(ended(platform, jobs).values()) == {"completed"}
    assert list(api.book()["purchases"].values()) == [1, 1]


def back_up(redis: RedisServer, folder: Path, copy: Path) -> None:
    with Redis.from_url(redis.url) as admin:
        before = admin.lastsave()
        admin.bgsave()
        until(lambda: admin.lastsave() > before)
    shutil.copy(folder / "dump.rdb", copy)


def restore(redis: RedisServer, folder: Path, copy: Path) -> None:
    """As the page says: with `appendonly yes`, Redis would ignore the copy and start empty."""
    shutil.rmtree(folder / "appendonlydir")
    shutil.copy(copy, folder / "dump.rdb")
    words = ("--port", str(redis.port), "--bind", "127.0.0.1", "--dir", str(folder))
    loading = subprocess.Popen(
        [redis.program, *words, "--appendonly", "no"], stdout=subprocess.DEVNULL
    )
    with Redis.from_url(redis.url) as admin:
        until(lambda: answers(admin))
        admin.config_set("appendonly", "yes")
        until(lambda: admin.info("persistence")["aof_rewrite_in_progress"] == 0)
        until(lambda: admin.info("persistence")["aof_last_bgrewrite_status"] == "ok")
        admin.shutdown(save=True)
    assert loading.wait(timeout=LONGEST_S) == 0
    redis.start()


def answers(admin: Redis) -> bool:
    try:
        return bool(admin.ping())
    except RedisError:
        return False


def test_a_database_restored_to_an_earlier_time_is_completed_without_buying(
    supabase: SupabaseServer,
    redis: RedisServer,
    api: ImageApiProcess,
    environment: dict[str, str],
    photos: str,
    tmp_path: Path,
) -> None:
    platform = Platform(supabase, photos)
    job = platform.order("absorb", "")
    balance = platform.balances()["store"]
    dump = pg_dump(supabase.postgres)
    with workers(environment, tmp_path / "workers.log"):
        push(redis, [job])
        ended(platform, [job])
        until(lambda: none_open(redis))
    pg_restore(supabase.postgres, dump)
    assert platform.statuses([job]) == {job.session_id: "queued"}
    supabase.run(  # twenty minutes pass
        "UPDATE store_generation_sessions SET created_at = created_at - interval '30 minutes' "
        f"WHERE id = '{job.session_id}'"
    )
    with workers(environment, tmp_path / "workers.log"):
        assert ended(platform, [job]) == {job.session_id: "failed"}
        until(lambda: none_open(redis))
        assert platform.balances()["store"] == balance + 1
        found = wearon(environment, "reconcile", "--since", "1d", code=None)["data"]
        assert found_kinds(found, job.session_id) == ["unused_picture"]
        wearon(environment, "replay-task", job.session_id, "--yes")
    assert platform.statuses([job]) == {job.session_id: "completed"}
    assert list(api.book()["purchases"].values()) == [1]


def pg_dump(server: Postgres) -> bytes:
    program = find_binaries()["pg_dump"]
    done = subprocess.run(
        [program, "--data-only", "--format=custom", server.uri()],
        capture_output=True,
        check=True,
    )
    return done.stdout


def pg_restore(server: Postgres, dump: bytes) -> None:
    names = "SELECT string_agg(tablename, ', ') FROM pg_tables WHERE schemaname = 'public'"
    tables = server.run(names)
    server.run(f"TRUNCATE {tables.strip()}")
    words = ("--data-only", "--disable-triggers", "--dbname", server.uri())
    subprocess.run([find_binaries()["pg_restore"], *words], input=dump, check=True)


def found_kinds(data: dict[str, Any], session_id: str) -> list[str]:
    return [each["discrepancy"] for each in data["cases"] if each["session_id"] == session_id]


def wearon(environment: dict[str, str], *words: str, code: int | None = 0) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "wearon_cli", *words, "--json"],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=LONGEST_S,
    )
    assert code in (None, done.returncode), done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer
