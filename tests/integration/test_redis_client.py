"""The connections to a real Redis: hundreds of jobs share them, and none is refused."""

import asyncio

import anyio
import pytest

from devkit.servers.redis_server import RedisServer
from wearon_cli.adapters.redis.checks import check_redis
from wearon_cli.adapters.redis.client import MAX_CONNECTIONS, Client, require_server

pytestmark = pytest.mark.anyio


async def test_more_calls_at_once_than_connections_wait_for_a_free_one(redis: Client) -> None:
    """As after a stall of the event loop, when the renewals of all jobs are due."""
    before = (await redis.info("clients"))["connected_clients"]
    answers = await asyncio.gather(*(redis.incr("n") for _ in range(MAX_CONNECTIONS * 8)))
    assert sorted(answers) == list(range(1, MAX_CONNECTIONS * 8 + 1))
    after = (await redis.info("clients"))["connected_clients"]
    assert after - before < MAX_CONNECTIONS  # this client had one of them before


async def test_every_supported_server_is_accepted_and_named(
    redis: Client, redis_server: RedisServer
) -> None:
    await require_server(redis)
    findings = {each.name: each for each in await check_redis(redis, url=redis_server.url)}
    version = findings["redis version"]
    assert version.ok
    said = await anyio.run_process([redis_server.program, "--version"])
    name, _, number = version.detail.rpartition(" ")
    assert f"v={number} ".encode() in said.stdout
    assert name == ("Valkey" if said.stdout.startswith(b"Valkey") else "")
