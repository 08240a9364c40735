"""Redis goes down while a worker runs, and workers are replaced under load."""

import signal
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from devkit.servers.image_api_process import ImageApiProcess
from devkit.servers.platform import Platform
from devkit.servers.redis_server import RedisServer
from devkit.waiting import LONGEST_S, until
from devkit.workers import another_worker, ended, push, workers

pytestmark = pytest.mark.slow


def test_workers_continue_after_redis_was_down_for_four_seconds(
    platform: Platform,
    redis: RedisServer,
    api: ImageApiProcess,
    environment: dict[str, str],
    tmp_path: Path,
) -> None:
    """
    Celery 5.7.0 fails this test: its worker exits with an AttributeError. An upgrade of Celery or
    kombu must pass this test.
    """
    jobs = platform.orders(6)
    with workers(environment, tmp_path / "workers.log"):
        push(redis, jobs[:2])
        ended(platform, jobs[:2])
        for more in (jobs[2:4], jobs[4:]):
            redis.kill()
            time.sleep(4)
            redis.start()
            push(redis, more)
            assert set(ended(platform, more).values()) == {"completed"}
    assert max(api.book()["purchases"].values()) == 1
    assert "Unrecoverable" not in (tmp_path / "workers.log").read_text("utf-8")


def test_an_outage_of_redis_longer_than_a_lease_buys_nothing_twice(
    platform: Platform,
    redis: RedisServer,
    api: ImageApiProcess,
    environment: dict[str, str],
    tmp_path: Path,
) -> None:
    """No lease could be renewed meanwhile, but live workers must not count as dead."""
    api.rules(latency="12", gather=9)
    jobs = platform.orders(9)
    quick = {"WEARON_LEASE_S": "6", "WEARON_LEASE_RENEW_S": "1", "WEARON_HEARTBEAT_S": "1"}
    with workers({**environment, **quick}, tmp_path / "workers.log"):
        push(redis, jobs)
        until(lambda: api.book()["in_flight"] == len(jobs))
        redis.kill()
        time.sleep(8)
        redis.start()
        assert set(ended(platform, jobs).values()) == {"completed"}
    assert set(api.book()["purchases"].values()) == {1}
    assert "lease_lost" not in (tmp_path / "workers.log").read_text("utf-8")


def test_a_rolling_restart_under_load_loses_fails_and_buys_nothing(
    platform: Platform,
    redis: RedisServer,
    api: ImageApiProcess,
    environment: dict[str, str],
    tmp_path: Path,
) -> None:
    api.rules(latency="1-3")
    jobs = platform.orders(30)

    with workers(environment, tmp_path / "workers.log"), ExitStack() as stack:
        push(redis, jobs)
        old = another_worker(environment, tmp_path / "0.log", stack)
        for n in range(1, 4):
            fresh = another_worker(environment, tmp_path / f"{n}.log", stack)
            old.send_signal(signal.SIGTERM)
            assert old.wait(timeout=LONGEST_S) == 0
            old = fresh
        statuses = ended(platform, jobs)
    assert set(statuses.values()) == {"completed"}
    assert set(api.book()["purchases"].values()) == {1}
