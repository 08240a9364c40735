"""The watchdog over a real Redis: unresponsive means that messages wait while threads idle."""

import threading
from dataclasses import dataclass, replace
from typing import cast

import pytest
from redis import Redis

from devkit.servers.redis_server import RedisServer
from devkit.waiting import until
from wearon_cli.adapters.redis.journal import CELERY_QUEUE
from wearon_cli.runtime.worker.job_loop import JobLoop
from wearon_cli.runtime.worker.watchdog import Watchdog

pytestmark = pytest.mark.slow


@dataclass
class Worker:
    """What the watchdog sees of a worker, and how often it looked."""

    answering: int = 0
    hears: bool = False  # it has answered one more call at each look
    accepts: bool = True
    in_flight: int = 0
    looks: int = 0

    @property
    def answered(self) -> int:
        self.looks += 1
        return self.looks if self.hears else 0


def judged(url: str, worker: Worker) -> bool:
    """Whether the watchdog finds this worker unresponsive before its sixth look."""
    unresponsive = threading.Event()
    dog = Watchdog(
        url,
        cast(JobLoop, worker),
        concurrency=2,
        on_unresponsive=unresponsive.set,
        look_every_s=0.02,
    )
    dog.start()
    try:
        until(lambda: unresponsive.is_set() or worker.looks > 5)
    finally:
        dog.stop()
    return unresponsive.is_set()


def wait_in_the_queue(url: str, calls: int) -> None:
    with Redis.from_url(url) as redis:
        redis.delete(CELERY_QUEUE)
        if calls:
            redis.lpush(CELERY_QUEUE, *["call"] * calls)


def test_calls_that_wait_while_threads_idle_are_unresponsiveness(
    redis_server: RedisServer,
) -> None:
    wait_in_the_queue(redis_server.url, 3)
    assert judged(redis_server.url, Worker())


@pytest.mark.parametrize(
    ("calls", "worker"),
    [
        pytest.param(0, Worker(), id="nothing waits"),
        pytest.param(3, Worker(answering=2), id="all threads have a job or wait for a turn"),
        pytest.param(3, Worker(hears=True), id="calls are being answered"),
        pytest.param(3, Worker(accepts=False), id="the worker drains"),
    ],
)
def test_everything_else_is_not(redis_server: RedisServer, calls: int, worker: Worker) -> None:
    wait_in_the_queue(redis_server.url, calls)
    assert not judged(redis_server.url, replace(worker))


def test_an_outage_of_redis_is_not_unresponsiveness() -> None:
    assert not judged("redis://127.0.0.1:1/0", Worker())
