"""Stopping workers start no more purchases, exit in time, and fail no job."""

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
from wearon_cli.core.cross_checks import HAND_BACK_S

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

DRAIN_S = 3


def test_a_stopping_worker_starts_no_purchase_and_exits_in_time(
    platform: Platform,
    redis: RedisServer,
    api: ImageApiProcess,
    environment: dict[str, str],
    tmp_path: Path,
) -> None:
    """Seen: with 5 input pictures a minute a worker was alive after 60 s, and bought 57 s after the
    signal.
    """
    jobs = platform.orders(6)
    slow = {"WEARON_INPUT_IMAGES_PER_MINUTE": "5", "WEARON_DRAIN_S": str(DRAIN_S)}
    with workers({**environment, **slow}, tmp_path / "roles.log") as (_, worker):
        push(redis, jobs)
        until(lambda: api.book()["calls"] == 2)  # a third one has to wait for its permit
        worker.send_signal(signal.SIGTERM)
        told_s = time.monotonic()
        assert worker.wait(timeout=LONGEST_S) == 0
        took_s = time.monotonic() - told_s
        assert api.book()["calls"] == 2
    assert took_s < DRAIN_S + HAND_BACK_S  # the hard limit, however busy the machine is
    assert set(platform.statuses(jobs).values()) <= {"completed", "queued"}


def test_two_rolling_restarts_with_calls_longer_than_the_drain_fail_no_job(
    platform: Platform,
    redis: RedisServer,
    api: ImageApiProcess,
    environment: dict[str, str],
    tmp_path: Path,
) -> None:
    """Seen: every job was bought twice, and then failed."""
    jobs = platform.orders(6)
    api.rules(latency="12")
    settings = {**environment, "WEARON_DRAIN_S": "1"}
    with ExitStack() as stack:
        consumer = stack.enter_context(workers(settings, tmp_path / "roles.log"))
        old = consumer[1]
        push(redis, jobs)
        for n in range(2):
            until(lambda: api.book()["in_flight"] == len(jobs))
            fresh = another_worker(settings, tmp_path / f"{n}.log", stack)
            old.send_signal(signal.SIGTERM)
            assert old.wait(timeout=LONGEST_S) == 0
            old = fresh
        api.rules(latency="0.2")
        statuses = ended(platform, jobs)
    assert set(statuses.values()) == {"completed"}
    assert max(api.book()["purchases"].values()) <= 3  # the cap
