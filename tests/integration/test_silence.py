"""
Connections to Redis that stop answering without closing: a failover, a lost route. Real processes.

New connections work; a worker that waits forever on an old one is unresponsive although it looks
alive.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from redis import Redis

from devkit.servers.redis_proxy import RedisProxy
from devkit.servers.redis_server import RedisServer
from devkit.waiting import LONGEST_S, until
from wearon_cli.adapters.celery_app import GENERATE, make_celery
from wearon_cli.adapters.redis import keys
from wearon_cli.adapters.redis.keys import CELERY_QUEUE, TASK_LIST
from wearon_cli.core.contract import new_task
from wearon_cli.core.session import Channel, SessionKey
from wearon_cli.runtime.events import ConsumerReady, WorkerReady
from wearon_cli.runtime.worker.controller import EXIT_UNRESPONSIVE

pytestmark = [pytest.mark.slow]

SESSION = "0193a1c0-7b1e-7c4a-9f00-3f2c6f0a9d02"
#: The role, with a watchdog that checks every second.
QUICK_WATCHDOG = """
from wearon_cli.app import main
from wearon_cli.runtime.worker.watchdog import Watchdog
Watchdog.__init__.__kwdefaults__["look_every_s"] = 1.0
main()
"""


@pytest.fixture
def proxy(redis_server: RedisServer) -> Iterator[RedisProxy]:
    with Redis.from_url(redis_server.url) as redis:
        redis.flushall()
    with RedisProxy(redis_server.port) as one:
        yield one


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as one:
        yield one


def started(
    stack: ExitStack, proxy: RedisProxy, folder: Path, *words: str, ready: str
) -> subprocess.Popen[bytes]:
    """A role of the local stack behind the proxy, after it has logged this."""
    environment = {"REDIS_URL": proxy.url, "WEARON_LOCAL_DIR": str(folder)}
    log = folder / "role.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, *words], env={**os.environ, **environment}, stdout=out, stderr=out
        )
    stack.callback(process.wait)
    stack.callback(process.kill)
    until(lambda: ready in log.read_text("utf-8"), found=lambda: log.read_text("utf-8"))
    return process


def test_a_consumer_with_dead_connections_continues_to_take_jobs(
    redis_server: RedisServer, proxy: RedisProxy, stack: ExitStack, tmp_path: Path
) -> None:
    started(stack, proxy, tmp_path, "-m", "wearon_cli", "consume", ready=ConsumerReady.name())
    with Redis.from_url(redis_server.url) as redis:
        first, second = (_payload(f"{SESSION[:-1]}{n}") for n in (0, 1))
        redis.lpush(TASK_LIST, first)
        until(lambda: redis.exists(keys.job(f"{SESSION[:-1]}0")))
        # All of them: the blocking one, and those for short calls.
        assert proxy.fall_silent(b"BLMOVE", b"EVALSHA") >= 2
        redis.lpush(TASK_LIST, second)
        until(lambda: redis.exists(keys.job(f"{SESSION[:-1]}1")))


def test_a_worker_that_gets_no_messages_exits_to_be_restarted(
    redis_server: RedisServer, proxy: RedisProxy, stack: ExitStack, tmp_path: Path
) -> None:
    words = ("-c", QUICK_WATCHDOG, "celery")
    worker = started(stack, proxy, tmp_path, *words, ready=WorkerReady.name())
    with Redis.from_url(redis_server.url) as redis:
        until(lambda: any(seen[0] == b"BRPOP" for seen in proxy.seen))
        assert proxy.fall_silent(b"BRPOP") == 1
        # Redis ends the read whose client is unreachable.
        until(lambda: redis.info("clients")["blocked_clients"] == 0)
        app = make_celery(redis_server.url)
        app.send_task(GENERATE, args=["a session"])
        app.close()
        assert worker.wait(timeout=LONGEST_S) == EXIT_UNRESPONSIVE
        assert redis.llen(CELERY_QUEUE) == 1  # for the next worker


def _payload(session_id: str) -> bytes:
    return new_task(
        key=SessionKey(channel=Channel.B2C, session_id=session_id),
        owner_id=SESSION,
        image_urls=("https://a.test/person.jpg", "https://a.test/garment.jpg"),
        prompt="",
        request_id="r",
    ).to_json()
