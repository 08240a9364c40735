"""Two worker processes on one Redis: twice the jobs in flight, one rate limit, nothing twice."""

import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from devkit.servers.image_api_process import ImageApiProcess
from devkit.servers.platform import Platform
from devkit.servers.redis_server import RedisServer
from devkit.workers import another_worker, ended, push, workers
from wearon_cli.core.jobs.events import JobCompleted

pytestmark = pytest.mark.slow

CONCURRENCY = 4


def test_two_processes_run_twice_the_jobs_and_none_twice(
    platform: Platform,
    redis: RedisServer,
    api: ImageApiProcess,
    environment: dict[str, str],
    tmp_path: Path,
) -> None:
    environment |= {
        "WORKER_CONCURRENCY": str(CONCURRENCY),
        "WEARON_REQUESTS_PER_MINUTE": "6000",
    }
    api.rules(gather=2 * CONCURRENCY)  # none is answered before so many are there
    jobs = platform.orders(4 * CONCURRENCY)
    with ExitStack() as stack:
        stack.enter_context(workers(environment, tmp_path / "one.log"))
        another_worker(environment, tmp_path / "two.log", stack)
        push(redis, jobs)
        assert set(ended(platform, jobs).values()) == {"completed"}
    book = api.book()
    assert book["most_in_flight"] == 2 * CONCURRENCY
    assert set(book["purchases"].values()) == {1}
    for name in ("one.log", "two.log"):
        assert JobCompleted.name() in (tmp_path / name).read_text("utf-8")


def test_two_processes_share_one_rate_limit(
    platform: Platform,
    redis: RedisServer,
    api: ImageApiProcess,
    environment: dict[str, str],
    tmp_path: Path,
) -> None:
    environment |= {"WEARON_REQUESTS_PER_MINUTE": "60"}  # one a second
    jobs = platform.orders(10)
    with ExitStack() as stack:
        stack.enter_context(workers(environment, tmp_path / "one.log"))
        another_worker(environment, tmp_path / "two.log", stack)
        pushed_s = time.monotonic()  # the image API reads the same clock
        push(redis, jobs)
        assert set(ended(platform, jobs).values()) == {"completed"}
    at_s = sorted(call["at_s"] for call in api.book(calls=True)["list"])
    assert len(at_s) == len(jobs)
    assert at_s[-1] - pushed_s >= len(jobs) - 1
