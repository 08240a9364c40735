"""What `wearon doctor` checks on a Redis server: whether it keeps its data."""

import asyncio
from typing import Any

import pytest

from devkit.waiting import LONGEST_S
from wearon_cli.adapters.redis.checks import check_redis
from wearon_cli.adapters.redis.client import Client
from wearon_cli.core.operator.checks import Finding

pytestmark = pytest.mark.anyio


class Hosted:
    """A server that hides its persistence, as several hosted ones do."""

    def __init__(self, redis: Client) -> None:
        self._redis = redis
        self.time = redis.time

    async def info(self) -> dict[str, Any]:
        facts: dict[str, Any] = await self._redis.info()
        return {name: value for name, value in facts.items() if not name.startswith("aof_")}


async def append_only(redis: Any) -> Finding:
    findings = await check_redis(redis, url="redis://redis:6379/0")
    return next(finding for finding in findings if finding.name == "redis append-only")


async def written(redis: Client) -> None:
    """Until its append-only file is written: before that it ignores SIGTERM."""
    async with asyncio.timeout(LONGEST_S):
        while True:
            if not (await redis.info("persistence"))["aof_rewrite_in_progress"]:
                return
            await asyncio.sleep(0.05)


async def test_a_server_without_an_append_only_file_is_reported(redis: Client) -> None:
    kept = (await redis.config_get("appendonly"))["appendonly"]
    try:
        await redis.config_set("appendonly", "no")
        without = await append_only(redis)
        await redis.config_set("appendonly", "yes")
        with_it = await append_only(redis)
    finally:
        await redis.config_set("appendonly", kept)
        await written(redis)
    assert (without.ok, without.warning) == (True, True)
    assert "appendonly yes" in without.hint
    assert (with_it.ok, with_it.warning, with_it.hint) == (True, False, "")


async def test_a_server_that_hides_its_persistence_is_a_question_and_not_a_failure(
    redis: Client,
) -> None:
    finding = await append_only(Hosted(redis))
    assert (finding.ok, finding.warning) == (True, False)
    assert "does not report" in finding.detail
    assert finding.hint
