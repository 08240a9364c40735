"""Real servers for the tests of this folder, and worlds over them."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from devkit.accounts import open_accounts
from devkit.operators import Operators
from devkit.servers.redis_server import RedisServer, server_programs
from devkit.world import MakeWorld, World
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


@pytest.fixture
async def make_world(
    redis: Client, redis_server: RedisServer, tmp_path: Path
) -> AsyncIterator[MakeWorld]:
    """Makes worlds with settings of their own, whose accounts are open."""
    async with AsyncExitStack() as stack:

        async def make(**settings: Any) -> World:
            world = World(redis, redis_server.url, tmp_path, **settings)
            stack.push_async_callback(world.aclose)
            await open_accounts(world)
            return world

        yield make


@pytest.fixture
async def world(make_world: MakeWorld) -> World:
    """One with the settings that worlds have by default."""
    return await make_world()


@pytest.fixture
def operators(world: World) -> Operators:
    """The operator tools of that world."""
    return Operators(world)
