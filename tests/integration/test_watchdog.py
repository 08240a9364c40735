"""The watchdog over a real Redis: unresponsive means that messages wait while slots are free."""

import threading
import time
from dataclasses import dataclass, field

import pytest
from redis import Redis

from devkit.servers.redis_server import RedisServer
from wearon_cli.adapters.redis.keys import CELERY_QUEUE
from wearon_cli.runtime.worker.watchdog import Watchdog

pytestmark = pytest.mark.slow

LOOK_S = 0.05


@dataclass
class Worker:
    """Implements the watchdog's `Watched`."""

    slots: int = 2
    in_hand: int = 0
    taken: int = 0
    takes_messages: bool = True
    left: threading.Event = field(default_factory=threading.Event)

    def free_slots(self) -> int:
        return self.slots - self.in_hand

    def leave(self) -> None:
        self.left.set()


def watched(url: str, worker: Worker, *, looks: int) -> bool:
    """Whether the worker is found unresponsive within so many looks."""
    dog = Watchdog(url, worker, look_every_s=LOOK_S)
    dog.start()
    try:
        return worker.left.wait(looks * LOOK_S)
    finally:
        dog.stop()


def queue(url: str, *, messages: int) -> None:
    with Redis.from_url(url) as redis:
        redis.delete(CELERY_QUEUE)
        if messages:
            redis.lpush(CELERY_QUEUE, *["message"] * messages)


def test_a_worker_that_takes_no_message_though_it_has_slots_is_ended(
    redis_server: RedisServer,
) -> None:
    queue(redis_server.url, messages=3)
    assert watched(redis_server.url, Worker(), looks=200)


@pytest.mark.parametrize(
    ("messages", "worker"),
    [
        pytest.param(0, Worker(), id="nothing waits"),
        pytest.param(3, Worker(in_hand=2), id="all slots are taken"),
        pytest.param(3, Worker(takes_messages=False), id="it drains, or was told to leave"),
    ],
)
def test_everything_else_is_left_alone(
    redis_server: RedisServer, messages: int, worker: Worker
) -> None:
    queue(redis_server.url, messages=messages)
    assert not watched(redis_server.url, worker, looks=10)


def test_a_worker_that_takes_messages_is_left_alone_while_more_wait(
    redis_server: RedisServer,
) -> None:
    queue(redis_server.url, messages=3)
    worker = Worker(slots=10_000)
    dog = Watchdog(redis_server.url, worker, look_every_s=LOOK_S)
    over = threading.Event()

    def take() -> None:
        while not over.wait(LOOK_S / 50):
            worker.taken += 1

    taking = threading.Thread(target=take)
    taking.start()
    dog.start()
    time.sleep(LOOK_S * 10)
    dog.stop()
    over.set()
    taking.join()
    assert not worker.left.is_set()


def test_an_outage_of_redis_is_not_unresponsiveness() -> None:
    assert not watched("redis://127.0.0.1:1/0", Worker(), looks=6)
