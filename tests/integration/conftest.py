"""Real servers for the tests of this folder."""

from collections.abc import AsyncIterator, Iterator

import pytest

from devkit.servers.redis_server import RedisServer
from wearon_cli.adapters.redis.client import Client, connect


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
async def redis(redis_server: RedisServer) -> AsyncIterator[Client]:
    """An empty Redis."""
    client = connect(redis_server.url)
    await client.flushall()
    yield client
    await client.aclose()
