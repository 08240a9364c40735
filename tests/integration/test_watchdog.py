"""The watchdog over a real Redis: unresponsive means that messages wait while threads idle."""

import threading
import time
from types import SimpleNamespace
from typing import Any, cast

import pytest
from redis import Redis

from devkit.servers.redis_server import RedisServer
from wearon_cli.adapters.redis.journal import CELERY_QUEUE
from wearon_cli.runtime.worker.job_loop import JobLoop
from wearon_cli.runtime.worker.watchdog import Watchdog

pytestmark = pytest.mark.slow

LOOK_S = 0.05


def judged(
    url: str, *, calls: int, answering: int = 0, hears: bool = False, accepts: bool = True
) -> bool:
    """Whether a worker in this state is found unresponsive within ten looks."""
    jobs: Any = SimpleNamespace(answered=0, answering=answering, accepts=accepts, in_flight=0)
    with Redis.from_url(url) as redis:
        redis.delete(CELERY_QUEUE)
        if calls:
            redis.lpush(CELERY_QUEUE, *["call"] * calls)
    unresponsive = threading.Event()
    dog = Watchdog(
        url,
        cast(JobLoop, jobs),
        concurrency=2,
        on_unresponsive=unresponsive.set,
        look_every_s=LOOK_S,
    )
    dog.start()
    try:
        for _ in range(10):
            time.sleep(LOOK_S)
            jobs.answered += hears
    finally:
        dog.stop()
    return unresponsive.is_set()


def test_calls_that_wait_while_threads_idle_are_deafness(redis_server: RedisServer) -> None:
    assert judged(redis_server.url, calls=3)


@pytest.mark.parametrize(
    "state",
    [
        pytest.param({"calls": 0}, id="nothing waits"),
        pytest.param({"calls": 3, "answering": 2}, id="all threads have a job or wait for a turn"),
        pytest.param({"calls": 3, "hears": True}, id="calls are being answered"),
        pytest.param({"calls": 3, "accepts": False}, id="the worker drains"),
    ],
)
def test_everything_else_is_not(redis_server: RedisServer, state: dict[str, Any]) -> None:
    assert not judged(redis_server.url, **state)


def test_an_outage_of_redis_is_not_deafness(redis_server: RedisServer) -> None:
    jobs: Any = SimpleNamespace(answered=0, answering=0, accepts=True, in_flight=0)
    unresponsive = threading.Event()
    dog = Watchdog(
        "redis://127.0.0.1:1/0",
        cast(JobLoop, jobs),
        concurrency=2,
        on_unresponsive=unresponsive.set,
        look_every_s=LOOK_S,
    )
    dog.start()
    time.sleep(LOOK_S * 6)
    dog.stop()
    assert not unresponsive.is_set()
