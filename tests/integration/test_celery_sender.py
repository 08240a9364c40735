"""Sending the message of a released job: its content, its cost, and outages of Redis."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from devkit.servers.redis_proxy import RedisProxy
from devkit.servers.redis_server import RedisServer
from wearon_cli.adapters.celery_app import GENERATE, CelerySender, make_celery
from wearon_cli.adapters.redis.keys import CELERY_QUEUE
from wearon_cli.core.errors import QueueUnavailable
from wearon_cli.core.jobs.journal import Released
from wearon_cli.core.session import Channel

pytestmark = [pytest.mark.slow, pytest.mark.anyio]

SESSION = "0193a1c0-7b1e-7c4a-9f00-3f2c6f0a9d02"
JOB = Released(session_id=SESSION, channel=Channel.B2B, number=7, request_id="req-1")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    one = RedisServer(tmp_path)
    one.start()
    yield one
    one.stop()


def messages(server: RedisServer) -> list[dict[str, Any]]:
    with Redis.from_url(server.url) as redis:
        return [json.loads(message) for message in redis.lrange(CELERY_QUEUE, 0, -1)]


async def test_a_message_names_its_job_and_release_and_has_no_due_time(server: RedisServer) -> None:
    sender = CelerySender(make_celery(server.url))
    await sender.send(JOB)
    await sender.aclose()
    (message,) = messages(server)
    headers = message["headers"]
    assert (headers["task"], headers["id"]) == (GENERATE, f"{SESSION}.7")
    assert (headers["request_id"], headers["channel"]) == ("req-1", "b2b")
    assert (headers["eta"], headers["expires"], headers["retries"]) == (None, None, 0)
    assert json.loads(base64.b64decode(message["body"]))[:2] == [[SESSION], {}]


async def test_a_message_costs_one_command(server: RedisServer) -> None:
    with RedisProxy(server.port) as proxy:
        sender = CelerySender(make_celery(proxy.url))
        await sender.send(JOB)
        proxy.seen.clear()
        for _ in range(20):
            await sender.send(JOB)
        await sender.aclose()
        assert [words[0] for words in proxy.seen] == [b"LPUSH"] * 20


async def test_a_restart_of_redis_costs_no_message(server: RedisServer) -> None:
    sender = CelerySender(make_celery(server.url))
    await sender.send(JOB)
    server.kill()
    server.start()
    await sender.send(JOB)
    assert len(messages(server)) == 2
    await sender.aclose()


async def test_an_outage_of_redis_ends_when_it_is_back(server: RedisServer) -> None:
    sender = CelerySender(make_celery(server.url))
    server.kill()
    for _ in range(2):
        with pytest.raises(QueueUnavailable):
            await sender.send(JOB)
    server.start()
    await sender.send(JOB)
    await sender.aclose()


async def test_two_senders_of_one_process_do_not_close_each_other(server: RedisServer) -> None:
    one, other = (CelerySender(make_celery(server.url)) for _ in range(2))
    await one.send(JOB)
    await one.aclose()
    await other.send(JOB)
    await other.aclose()


async def test_redis_that_refuses_writes_is_an_outage(server: RedisServer) -> None:
    sender = CelerySender(make_celery(server.url))
    with Redis.from_url(server.url) as redis:
        redis.config_set("maxmemory", "1")
    with pytest.raises(QueueUnavailable):
        await sender.send(JOB)
    await sender.aclose()
