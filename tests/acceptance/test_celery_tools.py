"""
Operators steer jobs with Celery's own tools. Whatever they do to messages, it costs a job at most
the deadline of its release, and never a second purchase.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from devkit.processes import celery as celery_command
from devkit.processes import started
from devkit.servers.image_api_process import ImageApiProcess
from devkit.servers.platform import Platform
from devkit.servers.redis_server import RedisServer
from devkit.waiting import LONGEST_S, until
from devkit.workers import another_worker, ended, push
from wearon_cli.adapters.celery_app import GENERATE
from wearon_cli.adapters.redis.keys import CELERY_QUEUE

pytestmark = [pytest.mark.slow]


@pytest.fixture
def queue(redis: RedisServer) -> Iterator[Any]:
    with Redis.from_url(redis.url) as one:
        yield one


@pytest.fixture
def celery(environment: dict[str, str]) -> Callable[..., str]:
    """Celery's own command, as an operator calls it."""

    def run(*words: str) -> str:
        done = celery_command(*words, environment=environment)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


@pytest.fixture
def running(environment: dict[str, str], tmp_path: Path) -> Iterator[None]:
    """A consumer and a worker with two slots."""
    environment["WORKER_CONCURRENCY"] = "2"
    with ExitStack() as stack:
        _consumer(environment, tmp_path, stack)
        another_worker(environment, tmp_path / "worker.log", stack)
        yield


def purge(_queue: Any, celery: Callable[..., str]) -> None:
    assert "Purged 1 message" in celery("purge", "-f")


def lose(queue: Any, _celery: Callable[..., str]) -> None:
    assert queue.rpop(CELERY_QUEUE)


def double(queue: Any, _celery: Callable[..., str]) -> None:
    (message,) = queue.lrange(CELERY_QUEUE, 0, -1)
    queue.lpush(CELERY_QUEUE, message, message)


def nothing(_queue: Any, _celery: Callable[..., str]) -> None:
    """The worker comes back later than the deadline."""
    time.sleep(12)


@pytest.mark.parametrize("harm", [purge, lose, double, nothing])
@pytest.mark.usefixtures("running")
def test_a_lost_duplicate_or_late_message_costs_one_purchase(
    redis: RedisServer,
    queue: Any,
    api: ImageApiProcess,
    celery: Callable[..., str],
    platform: Platform,
    harm: Callable[[Any, Callable[..., str]], None],
) -> None:
    celery("control", "cancel_consumer", CELERY_QUEUE)
    job = platform.order("b2c", "")
    push(redis, [job])
    until(lambda: queue.llen(CELERY_QUEUE) == 1)
    harm(queue, celery)
    celery("control", "add_consumer", CELERY_QUEUE)
    assert ended(platform, [job]) == {job.session_id: "completed"}
    assert set(api.book()["purchases"].values()) == {1}


@pytest.mark.usefixtures("running")
def test_a_revoked_release_is_followed_by_another(
    redis: RedisServer, api: ImageApiProcess, celery: Callable[..., str], platform: Platform
) -> None:
    job = platform.order("absorb", "")
    celery("control", "revoke", f"{job.session_id}.1")
    push(redis, [job])
    assert ended(platform, [job]) == {job.session_id: "completed"}
    assert set(api.book()["purchases"].values()) == {1}


@pytest.mark.usefixtures("running")
def test_inspect_shows_the_running_sessions(
    redis: RedisServer, api: ImageApiProcess, celery: Callable[..., str], platform: Platform
) -> None:
    api.rules(latency="5")
    jobs = [platform.order("b2c", "") for _ in range(3)]
    push(redis, jobs)
    until(lambda: api.book()["most_in_flight"] == 2)
    shown = celery("inspect", "active")
    assert shown.count(GENERATE) == 2 * 2  # name and type of each
    assert sum(f"'id': '{job.session_id}.1'" in shown for job in jobs) == 2
    assert set(ended(platform, jobs).values()) == {"completed"}


def test_control_shutdown_drains(
    redis: RedisServer,
    api: ImageApiProcess,
    environment: dict[str, str],
    celery: Callable[..., str],
    platform: Platform,
    tmp_path: Path,
) -> None:
    api.rules(latency="4")
    with ExitStack() as stack:
        _consumer(environment, tmp_path, stack)
        worker = another_worker(environment, tmp_path / "worker.log", stack)
        job = platform.order("resell", "")
        push(redis, [job])
        until(lambda: api.book()["most_in_flight"] == 1)
        celery("control", "shutdown")
        assert worker.wait(timeout=LONGEST_S) == 0
        assert platform.statuses([job]) == {job.session_id: "completed"}
    assert set(api.book()["purchases"].values()) == {1}


def _consumer(environment: dict[str, str], folder: Path, stack: ExitStack) -> None:
    process = started("consume", environment=environment, log=folder / "consumer.log")
    stack.callback(process.wait)
    stack.callback(process.terminate)
