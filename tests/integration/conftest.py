"""Real servers for the tests of this folder."""

from collections.abc import AsyncIterator, Iterator

import pytest

from devkit.servers.redis_server import RedisServer, server_programs
from wearon_cli.adapters.redis.client import Client, connect


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """The tests of the Redis adapters run against every available kind of server."""
    if (
        metafunc.module.__name__.rpartition(".")[2].startswith("test_redis_")
        and "redis_server" in metafunc.fixturenames
    ):
        metafunc.parametrize("redis_server", server_programs(), indirect=True, scope="session")


@pytest.fixture(scope="session")
def redis_server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RedisServer]:
    """A server of the parameter's kind, otherwise the one that `--local` runs."""
    program = server_programs()[getattr(request, "param", "local")]
    server = RedisServer(tmp_path_factory.mktemp("redis"), program=program)
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
