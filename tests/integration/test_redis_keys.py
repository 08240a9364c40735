"""The keys in Redis while jobs run match the table of adapters/redis/keys.py."""

import re
from collections.abc import AsyncIterator
from fnmatch import fnmatch
from pathlib import Path

import pytest
from wearon_cli.adapters.redis.limiter import RedisLimiter

from devkit.servers.redis_server import RedisServer
from devkit.world import World
from wearon_cli.adapters.celery_app import CeleryWaker
from wearon_cli.adapters.redis import keys
from wearon_cli.adapters.redis.client import Client
from wearon_cli.adapters.redis.locks import RedisRefundLock
from wearon_cli.core.errors import AccountBlocked, CallAmbiguous, GenerationRefused
from wearon_cli.core.jobs.runner import Outcome

pytestmark = pytest.mark.anyio

USER = "5e2f9c1d-8a47-4c3b-b6d0-9a1e7f4c2b83"


@pytest.fixture
async def world(redis: Client, redis_server: RedisServer, tmp_path: Path) -> AsyncIterator[World]:
    one = World(redis, redis_server.url, tmp_path)
    await one.ledger.add_user(USER, credits=10)
    yield one
    await one.aclose()


def row_of(name: str) -> keys.RedisKey:
    """The one row of the table whose pattern `name` matches."""
    rows = [
        row
        for row in keys.KEYS
        if re.fullmatch(re.sub(r"\\{\w+\\}", "[^:]+", re.escape(row.pattern)), name)
    ]
    assert len(rows) == 1, f"{name} is described {len(rows)} times"
    return rows[0]


class Census:
    """Looks at every key there is, and remembers which rows of the table it has seen."""

    def __init__(self, redis: Client) -> None:
        self.seen: set[str] = set()
        self._redis = redis

    async def take(self) -> None:
        for raw in await self._redis.keys("*"):
            name = raw.decode()
            if not any(fnmatch(name, pattern) for pattern in keys.CELERY_KEYS):
                await self._look(name)

    async def _look(self, name: str) -> None:
        row = row_of(name)
        type_, ttl_s = (await self._redis.type(name)).decode(), await self._redis.ttl(name)
        assert type_ == row.type, name
        if row.expires_s is None:
            assert ttl_s == -1, f"{name} expires in {ttl_s} s"
        else:
            # A minute for a busy machine: the time to live was set just before.
            assert max(0, row.expires_s - 60) <= ttl_s <= row.expires_s, f"{name}: {ttl_s} s"
        self.seen.add(row.pattern)


async def test_every_key_in_redis_is_in_the_table_and_every_row_is_in_redis(
    world: World, redis: Client, redis_server: RedisServer
) -> None:
    """Looks between the steps of jobs that succeed, fail, wait and are invalid."""
    census = Census(redis)
    waker = CeleryWaker(redis_server.url)
    await waker.wake()
    await waker.aclose()
    await world.intake.beat()
    await RedisLimiter(redis, requests_per_minute=60, pictures_per_minute=60).acquire(
        pictures=2, max_wait_s=1
    )
    for _ in range(4):
        await world.sell(owner_id=USER)
    await world.intake.push(b"no payload at all")
    await census.take()
    await world.intake.take(wait_s=1.0)
    await census.take()
    await world.take_all_in()
    await census.take()

    world.generator.plan = [CallAmbiguous(), GenerationRefused(), AccountBlocked()]
    outcomes = []
    while (outcome := await world.run_one()) is not None:
        outcomes.append(outcome)
        await census.take()
    assert {Outcome.SETTLED, Outcome.HANDED_BACK} <= set(outcomes)
    leased = await world.sell(owner_id=USER)
    await world.take_all_in()
    await world.runner().next_job()  # a job that is leased
    assert await redis.hexists(keys.job(leased.session_id), "lease_until")
    async with RedisRefundLock(redis).hold(leased.session_id):
        await census.take()

    assert census.seen == {row.pattern for row in keys.KEYS}
