"""The supervisor over real child processes and real signals."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest
from redis import Redis

from devkit.servers.redis_server import RedisServer
from devkit.waiting import LONGEST_S
from wearon_cli.adapters.redis import keys
from wearon_cli.core.errors import ConfigError, RoleFailed
from wearon_cli.runtime.all import supervisor as module
from wearon_cli.runtime.all.supervisor import Supervisor
from wearon_cli.runtime.events import ConsumerReady, ConsumerStopped

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

GRACE_S = 60.0


def environment(tmp_path: Path, **more: str) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": str(tmp_path), **more}


@pytest.fixture(autouse=True)
def quick_restarts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(module, "LONGEST_PAUSE_S", 0.02)


async def test_a_child_that_keeps_dying_stops_all_roles(tmp_path: Path) -> None:
    roles = {"model": ("model", "path")}  # says its line and ends
    one = Supervisor(roles, environment=environment(tmp_path), grace_s=GRACE_S)
    with pytest.raises(RoleFailed, match="model"):
        await one.run()


async def test_an_outage_after_a_good_start_is_waited_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_DEATHS", 1)
    monkeypatch.setattr(module, "OUTAGE_PAUSE_S", 0.01)
    server = RedisServer(tmp_path)
    server.start()
    ready = asyncio.Event()
    settings = environment(tmp_path, REDIS_URL=server.url, WEARON_LOCAL_DIR=str(tmp_path))
    one = Supervisor(
        {"consume": ("consume",)}, environment=settings, grace_s=GRACE_S, on_ready=ready.set
    )
    running = asyncio.create_task(one.run())
    await asyncio.wait_for(ready.wait(), LONGEST_S)
    server.kill()
    seen = {_kill(one)}
    while len(seen) < 4:  # three failed starts
        await asyncio.sleep(0.05)
        seen.add(one._children[0].process.pid)  # type: ignore[union-attr]
        assert not running.done()
    server.start()
    with Redis.from_url(server.url) as redis:
        while redis.zcard(keys.CONSUMERS) < 2:  # the killed one's, and its successor's
            await asyncio.sleep(0.05)
            assert not running.done()
    one._on_signal()
    await running
    server.stop()


def _kill(one: Supervisor) -> int:
    process = one._children[0].process
    assert process is not None
    process.kill()
    return process.pid


async def test_a_child_that_refuses_its_settings_is_not_started_again(tmp_path: Path) -> None:
    one = Supervisor(
        {"consume": ("consume",)},
        environment=environment(tmp_path, WEARON_LEASE_S="1000"),
        grace_s=GRACE_S,
    )
    with pytest.raises(ConfigError, match="consume"):
        await one.run()
    assert not one._children[0].deaths_s


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_stops_all_roles_cleanly(
    tmp_path: Path, number: signal.Signals, capfd: pytest.CaptureFixture[str]
) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "wearon_cli", "consume", "--local", "--data-dir", "stack"),
        env=environment(tmp_path),
        cwd=tmp_path,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    ready_line = ConsumerReady.name().encode()
    while ready_line not in await asyncio.wait_for(process.stderr.readline(), LONGEST_S):
        pass
    process.send_signal(number)
    output = await process.stderr.read()
    assert await process.wait() == 0
    assert ConsumerStopped.name().encode() in output
    assert not (tmp_path / "stack" / "stack.json").exists()
