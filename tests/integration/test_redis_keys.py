"""The keys in Redis while jobs run match the table of adapters/redis/keys.py."""

import re
from collections.abc import AsyncIterator
from fnmatch import fnmatch

import pytest

from devkit.servers.redis_server import RedisServer
from wearon_cli.adapters.celery_app import CelerySender, make_celery
from wearon_cli.adapters.redis import keys
from wearon_cli.adapters.redis.breakers import RedisBreakers
from wearon_cli.adapters.redis.client import Client
from wearon_cli.adapters.redis.dead_letters import RedisDeadLetters
from wearon_cli.adapters.redis.dispatcher import RedisDispatcher
from wearon_cli.adapters.redis.intake import RedisIntake
from wearon_cli.adapters.redis.journal import RedisJournal
from wearon_cli.adapters.redis.locks import RedisRefundLock
from wearon_cli.adapters.redis.workers import RedisWorkers
from wearon_cli.core.jobs.breakers import STORAGE
from wearon_cli.core.jobs.journal import (
    Closing,
    Ending,
    NewJob,
    Purchase,
    PurchaseOutcome,
)
from wearon_cli.core.jobs.workers import Worker
from wearon_cli.core.providers import HeldPicture, Usage
from wearon_cli.core.session import Channel, SessionKey, utc_now

pytestmark = pytest.mark.anyio

USAGE = Usage(model="m", cost_usd=0.05)


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
    """Checks every existing key, and remembers which rows of the table it has seen."""

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
        if row.expires_s is not None:
            # A minute for a busy machine: the time to live was set just before.
            assert max(0, row.expires_s - 60) <= ttl_s <= row.expires_s, f"{name}: {ttl_s} s"
        elif row.pattern != keys.worker("{worker_id}"):  # its life is a setting
            assert ttl_s == -1, f"{name} expires in {ttl_s} s"
        self.seen.add(row.pattern)


@pytest.fixture
async def intake(redis: Client, redis_server: RedisServer) -> AsyncIterator[RedisIntake]:
    one = RedisIntake(redis, url=redis_server.url, wait_s=1.0, heartbeat_s=10)
    yield one
    await one.aclose()


@pytest.fixture
async def dispatcher(redis: Client, redis_server: RedisServer) -> AsyncIterator[RedisDispatcher]:
    one = RedisDispatcher(
        redis,
        url=redis_server.url,
        providers=("provider:p",),
        requests_per_minute=60,
        pictures_per_minute=60,
    )
    yield one
    await one.aclose()


async def test_every_key_in_redis_is_in_the_table_and_every_row_is_in_redis(
    redis: Client, redis_server: RedisServer, intake: RedisIntake, dispatcher: RedisDispatcher
) -> None:
    census = Census(redis)
    journal = RedisJournal(redis, requests_per_minute=60, pictures_per_minute=60)
    await intake.beat()
    await intake.push(b"payload")
    await census.take()
    await intake.take(wait_s=1.0)
    await RedisWorkers(redis, lease_s=15).register(Worker(worker_id="w", slots=8, host="h", pid=1))
    await RedisBreakers(redis).trip(STORAGE, "store_unavailable", retry_after_s=0.001)
    await RedisDeadLetters(redis).bury(
        b"raw", reason="r", error_code="e", attempts=0, session_id=None
    )
    key = SessionKey(channel=Channel.B2B, session_id="s1")
    await journal.open(NewJob(key=key, payload=b"payload", owner_id="o", pictures=2))
    (released,) = (await dispatcher.release(limit=1)).jobs
    sender = CelerySender(make_celery(redis_server.url))
    await sender.send(released)
    await sender.aclose()
    claim = await journal.claim("s1", worker_id="w", token="t")
    assert claim is not None
    purchase = Purchase(number=1, provider="p", model="m", started_at=utc_now())
    await journal.start_purchase(claim, purchase, pictures=2)
    await journal.keep_picture(claim, HeldPicture(jpeg=b"jpeg", usage=USAGE, number=1))
    async with RedisRefundLock(redis).hold("s1"):
        await census.take()
    await journal.picture_stored(claim, USAGE, PurchaseOutcome.KEPT)
    await journal.close(claim, Closing(ending=Ending.COMPLETED))
    failed = SessionKey(channel=Channel.B2B, session_id="s2")
    await journal.open(NewJob(key=failed, payload=b"payload", owner_id="o", pictures=2))
    claim = await journal.claim("s2", worker_id="w", token="t")
    assert claim is not None
    await journal.close(claim, Closing(ending=Ending.FAILED, error_code="rate_limited"))
    await census.take()
    assert census.seen == {row.pattern for row in keys.KEYS}
