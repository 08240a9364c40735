"""A provider refuses the account: every view reports the same."""

import asyncio
from dataclasses import asdict
from datetime import timedelta
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from devkit.accounts import USER
from devkit.operators import Operators
from devkit.servers.redis_server import RedisServer
from devkit.world import MakeWorld, World
from wearon_cli.adapters.redis.queue_stats import RedisQueueStats
from wearon_cli.commands import session as session_command
from wearon_cli.commands import status as status_command
from wearon_cli.core.cross_checks import PLATFORM_CRON_S
from wearon_cli.core.errors import AccountBlocked
from wearon_cli.core.jobs.halts import HaltState, halt_state
from wearon_cli.core.jobs.journal import HandBack
from wearon_cli.core.session import SessionKey
from wearon_cli.core.settings import Settings
from wearon_cli.runtime.ops import doctor
from wearon_cli.runtime.ops.metrics import QueueCollector
from wearon_cli.wiring.serve import open_serve

pytestmark = pytest.mark.anyio


@pytest.fixture
async def world(make_world: MakeWorld, redis_server: RedisServer) -> World:
    one = await make_world()
    one.settings = Settings(redis_url=SecretStr(redis_server.url), check_inputs="off")
    return one


async def halted(world: World) -> tuple[SessionKey, HaltState]:
    """A job that waits for a provider that refuses the account, and the halt's state."""
    world.generator.plan = [AccountBlocked("no money")]
    key = await world.sell(owner_id=USER)
    assert await world.run_all() == [HandBack.WAITING]
    state = halt_state(await world.breakers.halts(), world.settings)
    assert [halt.reason for halt in state.halts] == ["account_blocked"]
    assert state.stopped_since == state.halts[0].since
    return key, state


async def test_status_reports_it(world: World) -> None:
    _, state = await halted(world)
    look = await status_command._look(Operators(world).tools, world.settings)
    assert status_command._facts(look)["halt"] == state


async def test_session_reports_it_for_a_waiting_job(world: World) -> None:
    key, state = await halted(world)
    tools = Operators(world).tools
    told, refund_at = await session_command._halt(
        tools, world.settings, await tools.inspector.inspect(key.session_id)
    )
    assert told == state
    made_at = (await world.row(key)).created_at
    assert refund_at == made_at + timedelta(seconds=PLATFORM_CRON_S)


async def test_doctor_fails(world: World) -> None:
    _, state = await halted(world)
    findings = {each.name: each for each in await doctor._workers(world.settings)}
    assert not findings["purchases"].ok
    assert findings["purchases"].hint
    assert findings["purchases"].detail == "; ".join(state.lines())


async def test_health_reports_it_and_its_end(world: World) -> None:
    _, state = await halted(world)
    async with open_serve(world.settings, fetch_timeout_s=1.0) as adapters:
        assert await adapters.look_for_halts() == state
        await world.breakers.reset(state.halts[0].name)
        assert await adapters.look_for_halts() == halt_state([], world.settings)


async def test_health_without_redis_reports_that() -> None:
    nowhere = Settings(redis_url=SecretStr("redis://127.0.0.1:1/0"))
    async with open_serve(nowhere, fetch_timeout_s=1.0) as adapters:
        assert await adapters.look_for_halts() is None


async def test_metrics_report_it(world: World) -> None:
    _, state = await halted(world)
    registry = CollectorRegistry()
    stats = RedisQueueStats(world.redis, heartbeat_s=10.0)
    registry.register(QueueCollector(stats, world.settings, asyncio.get_running_loop()))

    def scraped() -> dict[str, Any]:
        return {
            sample.name: sample.value
            for metric in registry.collect()
            for sample in metric.samples
            if sample.labels.get("breaker", state.halts[0].name) == state.halts[0].name
        }

    shown = await asyncio.to_thread(scraped)
    assert shown["wearon_breaker_open"] == 1
    halt = asdict(state.halts[0])
    assert shown["wearon_breaker_opened_timestamp_seconds"] == halt["since"].timestamp()
    probe_s = halt["next_probe_at"].timestamp()
    assert shown["wearon_breaker_next_probe_timestamp_seconds"] == probe_s
    assert state.refunds_from is not None
    assert shown["wearon_refunds_from_timestamp_seconds"] == state.refunds_from.timestamp()
