"""Redis goes away in the middle of a job: the outage does not count against the job."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from devkit.servers.redis_server import RedisServer
from devkit.world import World
from wearon_cli.adapters.redis import keys
from wearon_cli.adapters.redis.client import connect
from wearon_cli.core.errors import QueueUnavailable, RateLimited
from wearon_cli.core.jobs.journal import Claim
from wearon_cli.core.jobs.runner import Outcome
from wearon_cli.core.providers import GeneratedPicture, TryOnRequest
from wearon_cli.core.session import SessionKey, Status

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

USER = "5e2f9c1d-8a47-4c3b-b6d0-9a1e7f4c2b83"
AWAY_S = 2.5


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    folder = tmp_path / "redis"
    folder.mkdir()
    one = RedisServer(folder)
    one.start()
    yield one
    one.stop()


@pytest.fixture
async def world(server: RedisServer, tmp_path: Path) -> AsyncIterator[World]:
    redis = connect(server.url)
    one = World(redis, server.url, tmp_path, lease_s=20.0, lease_renew_s=0.5)
    await one.ledger.add_user(USER, credits=10)
    yield one
    await one.aclose()
    await redis.aclose()


async def sold_and_claimed(world: World) -> tuple[SessionKey, Claim]:
    key = await world.sell(owner_id=USER)
    await world.take_all_in()
    claim = await world.runner().next_job()
    assert claim is not None
    return key, claim


def away_during_the_call(world: World, server: RedisServer) -> None:
    """Redis dies while the picture is drawn, and is back some time after the answer."""
    draw = world.generator.generate

    async def generate(request: TryOnRequest) -> GeneratedPicture:
        server.kill()
        asyncio.get_running_loop().call_later(AWAY_S, server.start)
        return await draw(request)

    world.generator.generate = generate  # type: ignore[method-assign]


async def test_a_picture_that_came_meanwhile_is_finished_and_its_job_closed(
    world: World, server: RedisServer
) -> None:
    key, claim = await sold_and_claimed(world)
    away_during_the_call(world, server)
    assert await world.runner().run(claim) is Outcome.COMPLETED
    assert (await world.row(key)).status is Status.COMPLETED
    assert not await world.journal.is_open(key.session_id)  # without waiting for the lease


async def test_a_job_handed_back_meanwhile_is_not_an_attempt(
    world: World, server: RedisServer
) -> None:
    """Otherwise a Redis that comes and goes would use up every job's attempts."""
    key, claim = await sold_and_claimed(world)
    world.generator.plan = [RateLimited(retry_after_s=0.1)]
    away_during_the_call(world, server)
    assert await world.runner().run(claim) is Outcome.HANDED_BACK
    assert int(await world.redis.hget(keys.job(key.session_id), "attempts")) == 0


async def test_an_entry_of_the_timeline_is_not_worth_a_job(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unheard(*_: Any, **__: Any) -> None:
        raise QueueUnavailable

    monkeypatch.setattr(world.journal, "note", unheard)
    key = await world.sell(owner_id=USER)
    assert await world.run_all() == [Outcome.COMPLETED]
    assert not await world.journal.is_open(key.session_id)
