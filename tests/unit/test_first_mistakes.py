"""Mistakes of a new user: another folder, a server that is not running, a path without a file."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from pydantic import SecretStr
from typer.testing import CliRunner

from wearon_cli.adapters.redis.checks import _encryption
from wearon_cli.app import app
from wearon_cli.cli.outcome import _failure, lost_sight
from wearon_cli.core.errors import ConfigError, GeneratorUnreachable, QueueUnavailable
from wearon_cli.core.operator.follow import Ended
from wearon_cli.core.session import Session, Status
from wearon_cli.core.settings import Settings
from wearon_cli.runtime.ops import provider_checks
from wearon_cli.runtime.worker.job_loop import JobLoop

#: Nothing listens there.
CLOSED = "redis://127.0.0.1:1/0"


@pytest.mark.parametrize("command", ["sessions", "status --once", "costs", "web"])
def test_a_look_in_a_folder_without_a_stack_makes_no_stack(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, [*command.split(), "--local"])
    assert result.exit_code == ConfigError.exit_code
    assert f"there is no local stack in {tmp_path}" in result.stderr.replace("\n", "")
    assert "--data-dir" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_height_in_metres_is_told_the_unit() -> None:
    result = CliRunner().invoke(app, ["estimate", "me.jpg", "--height", "1.75"])
    assert "Height without shoes, in cm; try 'wearon estimate --help'" in result.stderr


def test_a_failed_try_on_names_the_command_for_its_own_stack(tmp_path: Path) -> None:
    row = SimpleNamespace(session_id="ID", status=Status.FAILED)
    ended = cast(
        Ended, SimpleNamespace(error_class="result_refused", report=SimpleNamespace(session=row))
    )
    hint = _failure(ended, Settings(local_dir=tmp_path)).hint
    assert f"`wearon session ID --local --data-dir {tmp_path}`" in hint
    assert "`wearon session ID`" in _failure(ended, Settings()).hint


def test_a_stack_that_stopped_is_told_with_the_session_that_was_followed(tmp_path: Path) -> None:
    row = cast(Session, SimpleNamespace(session_id="ID"))
    told = lost_sight(row, Settings(local_dir=tmp_path))
    assert str(told) == "the local stack stopped while session ID was followed"
    assert f"`wearon all --local --data-dir {tmp_path}` continues it" in told.hint
    assert "`wearon session ID`" in lost_sight(row, Settings()).hint


def test_a_worker_without_redis_ends_its_thread_before_it_ends(tmp_path: Path) -> None:
    """Otherwise the thread's traceback follows the sentence."""
    jobs = JobLoop(Settings(redis_url=SecretStr(CLOSED), local_dir=tmp_path))
    with pytest.raises(QueueUnavailable):
        jobs.start()
    assert not jobs._thread.is_alive()


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("rediss://redis.example.com:6379/0", "on"),
        ("redis://127.0.0.1:6379/0", "off: Redis is on this machine or in the same network"),
        ("redis://redis:6379/0", "off: Redis is on this machine or in the same network"),
        ("redis://redis.example.com:6379/0", "redis:// to another host is not encrypted"),
    ],
)
def test_doctor_says_in_words_whether_redis_is_encrypted(url: str, said: str) -> None:
    assert _encryption(url).detail.startswith(said)


@pytest.mark.anyio
async def test_doctor_does_not_call_a_missing_answer_unexpected(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def out_of_reach(*_: Any) -> list[Any]:
        raise GeneratorUnreachable("no connection to the image API")

    monkeypatch.setattr(provider_checks, "_ASK", {"openai": out_of_reach})
    asked = await provider_checks._ask("openai", Settings(openai_api_key=SecretStr("sk-test")))
    assert asked.finding.detail == "does not answer: no connection to the image API"
    assert "network" in asked.finding.hint
