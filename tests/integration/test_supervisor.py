"""The supervisor over real child processes and real signals."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from wearon_cli.core.errors import ConfigError, RoleFailed
from wearon_cli.runtime import supervisor as module
from wearon_cli.runtime.supervisor import Supervisor

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


def environment(tmp_path: Path, **more: str) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": str(tmp_path), **more}


@pytest.fixture(autouse=True)
def quick_restarts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(module, "LONGEST_PAUSE_S", 0.02)


async def test_a_child_that_keeps_dying_ends_everything_loudly(tmp_path: Path) -> None:
    roles = {"model": ("model", "path")}  # says its line and ends
    one = Supervisor(roles, environment=environment(tmp_path), grace_s=5)
    with pytest.raises(RoleFailed, match="model"):
        await one.run()


async def test_a_child_that_refuses_its_settings_is_not_started_again(tmp_path: Path) -> None:
    one = Supervisor(
        {"consume": ("consume",)},
        environment=environment(tmp_path, WEARON_LEASE_S="1000"),
        grace_s=5,
    )
    with pytest.raises(ConfigError, match="consume"):
        await one.run()
    assert not one._children[0].deaths_s


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_stops_all_in_good_order(
    tmp_path: Path, number: signal.Signals, capfd: pytest.CaptureFixture[str]
) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "wearon_cli", "consume", "--local", "--data-dir", "stack"),
        env=environment(tmp_path),
        cwd=tmp_path,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    while b"consumer_ready" not in await asyncio.wait_for(process.stderr.readline(), 20):
        pass
    process.send_signal(number)
    told = await process.stderr.read()
    assert await process.wait() == 0
    assert b"consumer_stopped" in told
    assert not (tmp_path / "stack" / "stack.json").exists()
