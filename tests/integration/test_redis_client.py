"""The connection to a real Redis: hundreds of jobs share it, and none is refused."""

import asyncio

import pytest

from wearon_cli.adapters.redis.client import MAX_CONNECTIONS, Client

pytestmark = pytest.mark.anyio


async def test_more_calls_at_once_than_connections_wait_for_a_free_one(redis: Client) -> None:
    """As when a stalled event loop finds the renewals of all its jobs due."""
    before = (await redis.info("clients"))["connected_clients"]
    answers = await asyncio.gather(*(redis.incr("n") for _ in range(MAX_CONNECTIONS * 8)))
    assert sorted(answers) == list(range(1, MAX_CONNECTIONS * 8 + 1))
    after = (await redis.info("clients"))["connected_clients"]
    assert after - before < MAX_CONNECTIONS  # this client had one of them before
