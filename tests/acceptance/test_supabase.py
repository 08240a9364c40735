"""Worker processes over Supabase: every kind of credit, an outage, a wrong key."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from devkit.servers.image_api_process import ImageApiProcess
from devkit.servers.platform import KINDS, WAYS, Platform
from devkit.servers.redis_server import RedisServer
from devkit.servers.supabase import ANON_KEY, SERVICE_KEY, SupabaseServer
from devkit.waiting import LONGEST_S, until
from devkit.workers import ended, none_open, push, workers

pytestmark = pytest.mark.slow


def test_four_kinds_of_credit_and_three_ways_to_fail_add_up(
    platform: Platform,
    supabase: SupabaseServer,
    redis: RedisServer,
    api: ImageApiProcess,
    environment: dict[str, str],
    tmp_path: Path,
) -> None:
    before = platform.balances()
    jobs = [platform.order(kind, fails) for kind in KINDS for fails in ("", *WAYS)]
    refused = [job.session_id for job in jobs if job.fails == "refused"]
    api.rules(faults=[{"name": "moderation_input", "session": each} for each in refused])
    log = tmp_path / "workers.log"
    with workers(environment, log):
        push(redis, [*jobs, *jobs])  # each of them twice
        statuses = ended(platform, jobs)
        until(lambda: none_open(redis))  # a refund follows its row
    assert {job.session_id for job in jobs if not job.fails} == {
        session_id for session_id, status in statuses.items() if status == "completed"
    }
    after = platform.balances()
    # One of each kind was completed and cost its owner a credit; the failed ones were refunded.
    assert {name: before[name] - after[name] for name in before} == {
        "user": 1,
        "store": 1,
        "shopper's store": 0,
        "shopper": 1,
    }
    assert max(api.book()["purchases"].values()) == 1
    messages = supabase.run(
        "SELECT DISTINCT error_message FROM store_generation_sessions WHERE status = 'failed'"
    )
    assert all(line.endswith(".") and "http" not in line for line in messages.splitlines())
    text = log.read_text("utf-8")
    assert "token=" not in text
    assert SERVICE_KEY not in text
    assert "@example.test" not in text


def test_an_outage_of_the_store_fails_no_job(
    platform: Platform,
    supabase: SupabaseServer,
    redis: RedisServer,
    api: ImageApiProcess,
    environment: dict[str, str],
    tmp_path: Path,
) -> None:
    jobs = platform.orders(9)
    with workers(environment, tmp_path / "workers.log"):
        push(redis, jobs[:3])
        ended(platform, jobs[:3])
        with supabase.door.failing("unavailable"):
            push(redis, jobs[3:6])
            calls_refused(supabase, 6)
        with supabase.door.failing("html"):
            push(redis, jobs[6:])
            calls_refused(supabase, 6)
        statuses = ended(platform, jobs)
    assert set(statuses.values()) == {"completed"}
    assert max(api.book()["purchases"].values()) == 1


def calls_refused(supabase: SupabaseServer, number: int) -> None:
    """While every call fails, wait for this many calls."""
    before = len(supabase.door.seen)
    until(lambda: len(supabase.door.seen) >= before + number)


def test_a_wrong_key_stops_everything_before_a_shopper_meets_it(
    environment: dict[str, str],
) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "wearon_cli", "all", "--port", "0"],
        env={**os.environ, **environment, "SUPABASE_SERVICE_ROLE_KEY": ANON_KEY},
        capture_output=True,
        text=True,
        timeout=LONGEST_S,
    )
    assert ended.returncode == 3
    assert "SUPABASE_SERVICE_ROLE_KEY" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert ANON_KEY not in ended.stderr
    assert all(json.loads(line) for line in ended.stderr.splitlines() if line.startswith("{"))
