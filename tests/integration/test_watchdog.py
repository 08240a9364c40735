"""The watchdog over a real Redis: unresponsive means that messages wait while slots are free."""

import threading
from dataclasses import dataclass, field, replace

import pytest
from redis import Redis

from devkit.servers.redis_server import RedisServer
from devkit.waiting import until
from wearon_cli.adapters.redis.keys import CELERY_QUEUE
from wearon_cli.runtime.worker.watchdog import Watchdog

pytestmark = pytest.mark.slow


@dataclass
class Worker:
    """What the watchdog sees of a worker, and how often it looked."""

    in_hand: int = 0
    slots: int = 2
    takes: bool = False  # it has taken one more message at each look
    takes_messages: bool = True
    looks: int = 0
    left: threading.Event = field(default_factory=threading.Event)

    @property
    def taken(self) -> int:
        self.looks += 1
        return self.looks if self.takes else 0

    def free_slots(self) -> int:
        return self.slots - self.in_hand

    def leave(self) -> None:
        self.left.set()


def judged(url: str, worker: Worker) -> bool:
    """Whether the watchdog ends this worker before its sixth look."""
    dog = Watchdog(url, worker, look_every_s=0.02)
    dog.start()
    try:
        until(lambda: worker.left.is_set() or worker.looks > 5)
    finally:
        dog.stop()
    return worker.left.is_set()


def wait_in_the_queue(url: str, messages: int) -> None:
    with Redis.from_url(url) as redis:
        redis.delete(CELERY_QUEUE)
        if messages:
            redis.lpush(CELERY_QUEUE, *["message"] * messages)


def test_messages_that_wait_while_slots_are_free_are_unresponsiveness(
    redis_server: RedisServer,
) -> None:
    wait_in_the_queue(redis_server.url, 3)
    assert judged(redis_server.url, Worker())


@pytest.mark.parametrize(
    ("messages", "worker"),
    [
        pytest.param(0, Worker(), id="nothing waits"),
        pytest.param(3, Worker(in_hand=2), id="all slots have a job"),
        pytest.param(3, Worker(takes=True), id="messages are being taken"),
        pytest.param(3, Worker(takes_messages=False), id="the worker drains"),
    ],
)
def test_everything_else_is_not(redis_server: RedisServer, messages: int, worker: Worker) -> None:
    wait_in_the_queue(redis_server.url, messages)
    assert not judged(redis_server.url, replace(worker, left=threading.Event()))


def test_an_outage_of_redis_is_not_unresponsiveness() -> None:
    assert not judged("redis://127.0.0.1:1/0", Worker())
