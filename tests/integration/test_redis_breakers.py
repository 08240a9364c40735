"""The circuit breakers on a real Redis."""

import asyncio

import pytest

from wearon_cli.adapters.redis import breakers as redis_breakers
from wearon_cli.adapters.redis import keys
from wearon_cli.adapters.redis.breakers import RedisBreakers
from wearon_cli.adapters.redis.client import Client
from wearon_cli.core.jobs.breakers import STORAGE, provider_breaker

pytestmark = pytest.mark.anyio

PROVIDER = provider_breaker("openai")


async def test_an_open_breaker_admits_one_probe_in_each_interval(
    redis: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_breakers, "PROBE_EVERY_S", 0.001)
    breakers = [RedisBreakers(redis) for _ in range(4)]
    await breakers[0].trip(PROVIDER, "account_blocked")
    monkeypatch.setattr(redis_breakers, "PROBE_EVERY_S", 1000)
    await asyncio.sleep(0.01)
    answers = await asyncio.gather(*(each.admit(PROVIDER) for each in breakers))
    assert sum(answer.is_probe for answer in answers) == 1
    assert sum(0 < answer.wait_s <= 1000 for answer in answers) == 3


async def test_a_breaker_stops_nothing_but_its_own_calls(redis: Client) -> None:
    breakers = RedisBreakers(redis)
    await breakers.trip(PROVIDER, "account_blocked")
    assert (await breakers.admit(PROVIDER)).wait_s > 0
    admission = await breakers.admit(STORAGE)
    assert (admission.wait_s, admission.is_probe) == (0, False)


async def test_any_caller_that_saw_it_open_can_close_it(redis: Client) -> None:
    one, other = RedisBreakers(redis), RedisBreakers(redis)
    await one.trip(PROVIDER, "account_blocked")
    await other.reset(PROVIDER)  # a call that began before
    assert (await other.admit(PROVIDER)).wait_s > 0
    await other.reset(PROVIDER)
    assert (await one.admit(PROVIDER)).wait_s == 0
    assert await one.halts() == []


async def test_a_halt_says_why_since_when_and_until_when(redis: Client) -> None:
    breakers = RedisBreakers(redis)
    await breakers.trip(PROVIDER, "account_blocked", retry_after_s=100)
    await breakers.trip(STORAGE, "store_unavailable")
    (first, second) = await breakers.halts()
    assert (first.name, first.reason) == (PROVIDER, "account_blocked")
    assert second.name == STORAGE
    assert round((first.next_probe_at - first.since).total_seconds()) == 100
    await breakers.trip(PROVIDER, "rate_limited", retry_after_s=200)
    (again, _) = await breakers.halts()
    assert (again.reason, again.since) == (first.reason, first.since)
    assert again.next_probe_at > first.next_probe_at


async def test_a_breaker_that_is_not_probed_expires_after_a_day(redis: Client) -> None:
    await RedisBreakers(redis).trip(PROVIDER, "account_blocked")
    assert 0 < await redis.ttl(keys.BREAKERS) <= 86_400


async def test_one_read_serves_several_closed_breakers(
    redis: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_breakers, "LOOK_LASTS_S", 1000)
    breakers = RedisBreakers(redis)
    await breakers.reset(PROVIDER)
    await breakers.admit(STORAGE)
    before = (await redis.info("stats"))["total_commands_processed"]
    await breakers.admit(PROVIDER)
    assert (await redis.info("stats"))["total_commands_processed"] - before <= 1  # this one
