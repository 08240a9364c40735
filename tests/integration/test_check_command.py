"""`wearon check` on files."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from wearon_cli.adapters.pose.model_file import require_model
from wearon_cli.app import app
from wearon_cli.core.checks.findings import WORDS, PictureFinding
from wearon_cli.core.errors import ConfigError, InputError, PhotoRefused
from wearon_cli.core.settings import load_settings

ROOT = Path(__file__).parents[2]
PERSON = str(ROOT / "wearon_cli" / "assets" / "person.jpg")
GARMENT = str(ROOT / "wearon_cli" / "assets" / "garment_tee.jpg")


@pytest.fixture(scope="module", autouse=True)
def model() -> None:
    """A missing model skips on a laptop and fails in CI."""
    try:
        require_model(load_settings())
    except ConfigError as exc:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"{exc}: {exc.hint}")


def check(*words: str, **env: str) -> Any:
    return CliRunner().invoke(app, ["check", *words], env=env)


def test_a_refusal_says_what_the_shopper_reads() -> None:
    done = check(PERSON, PERSON)
    assert done.exit_code == PhotoRefused.exit_code
    assert "same_picture" in done.stdout
    assert WORDS[PictureFinding.SAME_PICTURE][1] in done.stderr


@pytest.mark.parametrize("choice", ["flag", "off"])
def test_it_refuses_only_what_the_settings_refuse(choice: str) -> None:
    """Seen: it exited with 4 and said "refused" where a worker bought the picture."""
    done = check(PERSON, PERSON, "--json", WEARON_CHECK_INPUTS=choice)
    assert done.exit_code == 0
    inputs = json.loads(done.stdout)["data"]["inputs"]
    assert inputs["findings"] == ["same_picture"]
    assert inputs["refused"] == []


@pytest.mark.parametrize(
    ("content", "said"),
    [
        pytest.param(None, "there is no file {}", id="no such file"),
        pytest.param(b"", "{}: the picture is empty", id="an empty file"),
        pytest.param(b"hello", "{}: this is not a supported picture", id="text"),
    ],
)
@pytest.mark.parametrize("place", ["photo", "garment", "result"])
def test_an_unusable_file_is_named(
    tmp_path: Path, place: str, content: bytes | None, said: str
) -> None:
    """Seen: with --result it was not said which of the three files is meant."""
    file = tmp_path / "file.jpg"
    if content is not None:
        file.write_bytes(content)
    files = {"photo": PERSON, "garment": GARMENT, "result": GARMENT, place: str(file)}
    done = check(files["photo"], files["garment"], "--result", files["result"])
    assert done.exit_code == InputError.exit_code
    assert said.format(file) in done.stderr


def test_a_folder_is_named_as_one(tmp_path: Path) -> None:
    assert f"{tmp_path} is a folder" in check(str(tmp_path)).stderr


def test_the_end_of_the_program_is_silent() -> None:
    """Seen: MediaPipe printed a traceback at exit, when it closed itself too late."""
    words = ("check", PERSON, GARMENT, "--result", PERSON)
    done = subprocess.run(
        (sys.executable, "-m", "wearon_cli", *words),
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert "result: not_applied" in done.stdout
    assert done.stderr == ""
