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
    """Implements the watchdog's `Watched`, and counts how often it is checked."""

    in_hand: int = 0
    takes_one_each_look: bool = False
    takes_messages: bool = True
    looks: int = 0
    left: threading.Event = field(default_factory=threading.Event)

    @property
    def taken(self) -> int:
        self.looks += 1
        return self.looks if self.takes_one_each_look else 0

    def free_slots(self) -> int:
        return 2 - self.in_hand

    def leave(self) -> None:
        self.left.set()


def ended(url: str, worker: Worker) -> bool:
    """Whether the watchdog finds this worker unresponsive before its sixth check."""
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


def test_a_worker_that_takes_no_message_though_it_has_slots_is_ended(
    redis_server: RedisServer,
) -> None:
    wait_in_the_queue(redis_server.url, 3)
    assert ended(redis_server.url, Worker())


@pytest.mark.parametrize(
    ("messages", "worker"),
    [
        pytest.param(0, Worker(), id="nothing waits"),
        pytest.param(3, Worker(in_hand=2), id="all slots are taken"),
        pytest.param(3, Worker(takes_one_each_look=True), id="messages are being taken"),
        pytest.param(3, Worker(takes_messages=False), id="it drains, or was told to leave"),
    ],
)
def test_every_other_worker_keeps_running(
    redis_server: RedisServer, messages: int, worker: Worker
) -> None:
    wait_in_the_queue(redis_server.url, messages)
    assert not ended(redis_server.url, replace(worker))


def test_an_outage_of_redis_is_not_unresponsiveness() -> None:
    assert not ended("redis://127.0.0.1:1/0", Worker())
