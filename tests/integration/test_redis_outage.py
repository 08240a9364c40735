"""Redis goes down in the middle of a job: the outage does not count against the job."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from devkit.accounts import USER, open_accounts
from devkit.servers.redis_server import RedisServer
from devkit.world import World
from wearon_cli.adapters.redis.client import connect
from wearon_cli.core.errors import RateLimited
from wearon_cli.core.jobs.journal import Claim, Ending, HandBack
from wearon_cli.core.jobs.runner import STOPPING_WAIT_S
from wearon_cli.core.providers import GeneratedPicture, TryOnRequest
from wearon_cli.core.session import SessionKey, Status

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

AWAY_S = 2.5
#: Longer than a stopping worker waits.
LONG_AWAY_S = STOPPING_WAIT_S + 5.0


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
    await open_accounts(one)
    yield one
    await one.aclose()
    await redis.aclose()


async def sold_and_claimed(world: World) -> tuple[SessionKey, Claim]:
    key = await world.sell(owner_id=USER)
    await world.take_all_in()
    await world.registry.register(world.worker)
    claim = await world.claim(key.session_id)
    assert claim is not None
    return key, claim


def away_during_the_call(world: World, server: RedisServer, away_s: float = AWAY_S) -> None:
    """Redis dies while the picture is generated, and returns some time after the answer."""
    draw = world.generator.submit

    async def submit(request: TryOnRequest, *, model: str, marker: str | None) -> GeneratedPicture:
        server.kill()
        asyncio.get_running_loop().call_later(away_s, server.start)
        return await draw(request, model=model, marker=marker)

    world.generator.submit = submit  # type: ignore[method-assign]


@pytest.mark.parametrize("away_s", [AWAY_S, LONG_AWAY_S])
async def test_a_picture_that_arrived_meanwhile_is_stored_and_its_job_closed(
    world: World, server: RedisServer, away_s: float
) -> None:
    """Its worker is alive and keeps the job: no other would ever close it."""
    key, claim = await sold_and_claimed(world)
    away_during_the_call(world, server, away_s)
    disposition = await world.runner().run(claim)
    assert disposition.closing is not None
    assert disposition.closing.ending is Ending.COMPLETED
    assert (await world.row(key)).status is Status.COMPLETED
    assert await world.journal.entry(key.session_id) is None  # without waiting for the lease
    assert len(world.generator.paid) == 1


@pytest.mark.parametrize("away_s", [AWAY_S, LONG_AWAY_S])
async def test_a_job_handed_back_meanwhile_is_not_blamed(
    world: World, server: RedisServer, away_s: float
) -> None:
    """Otherwise an unstable Redis makes every job fail."""
    key, claim = await sold_and_claimed(world)
    world.generator.plan = [RateLimited(retry_after_s=0.1)]
    away_during_the_call(world, server, away_s)
    disposition = await world.runner().run(claim)
    assert (disposition.closing, disposition.why) == (None, HandBack.WAITING)
    await world.pass_time()
    again = await world.claim(key.session_id)
    assert again is not None
    assert (again.faults, again.deaths, again.purchases) == (0, 0, 0)
    await world.runner().run(again)
    assert (await world.row(key)).status is Status.COMPLETED
