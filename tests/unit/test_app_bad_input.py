"""The answer to bad input: one sentence, a hint, the exit code of its class, and no traceback."""

import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from typer.testing import CliRunner

from wearon_cli.app import app

SESSION = "0193a1c0-7b1e-7c4a-9f00-3f2c6f0a9d01"


def jpeg(side_px: int = 300) -> bytes:
    held = io.BytesIO()
    Image.effect_noise((side_px, side_px), 80).convert("RGB").save(held, "JPEG")
    return held.getvalue()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with valid and invalid files."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "good.jpg").write_bytes(jpeg())
    (tmp_path / "cut.jpg").write_bytes(jpeg()[:2000])
    (tmp_path / "notes.jpg").write_text("no picture at all")
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "apple.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(64))
    (tmp_path / "small.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (tmp_path / "folder").mkdir()
    return tmp_path


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    words: str
    exit_code: int
    said: str
    env: tuple[tuple[str, str], ...] = ()


TRY = "try-on good.jpg {} --local --data-dir stack"
NOWHERE = (("REDIS_URL", "redis://127.0.0.1:1/0"),)

CASES: dict[str, Case] = {
    "no such file": Case(words=TRY.format("none.jpg"), exit_code=4, said="no file none.jpg"),
    "a folder": Case(words=TRY.format("folder"), exit_code=4, said="folder is a folder"),
    "text": Case(words=TRY.format("notes.jpg"), exit_code=4, said="notes.jpg"),
    "empty": Case(words=TRY.format("empty.jpg"), exit_code=4, said="empty"),
    "cut off": Case(words=TRY.format("cut.jpg"), exit_code=4, said="cut.jpg"),
    "HEIC": Case(words=TRY.format("apple.heic"), exit_code=4, said="HEIC"),
    "only a header": Case(words=TRY.format("small.png"), exit_code=4, said="small.png"),
    "too many bytes": Case(
        words=TRY.format("good.jpg"),
        exit_code=4,
        said="MB",
        env=(("WEARON_MAX_PICTURE_BYTES", "2048"),),
    ),
    "too many pictures": Case(
        words=TRY.format("good.jpg " * 10), exit_code=4, said="a try-on takes 10"
    ),
    "a user's shopper": Case(
        words=TRY.format("good.jpg") + " --shopper a@b.test", exit_code=4, said="shopper"
    ),
    "a user and a store": Case(
        words=TRY.format("good.jpg") + " --user a@b.test --store b.test",
        exit_code=4,
        said="cannot be combined",
    ),
    "a free trial for a user": Case(
        words=TRY.format("good.jpg") + " --user a@b.test --free", exit_code=4, said="never taken"
    ),
    "nowhere to save": Case(
        words=TRY.format("good.jpg") + " --out none/a.jpg", exit_code=4, said="no folder none"
    ),
    "saving over a folder": Case(
        words=TRY.format("good.jpg") + " --out folder", exit_code=4, said="folder is a folder"
    ),
    "no garment": Case(words="try-on good.jpg", exit_code=2, said="garments"),
    "no settings": Case(words="try-on good.jpg good.jpg", exit_code=3, said="REDIS_URL"),
    "a data folder without --local": Case(
        words="try-on good.jpg good.jpg --data-dir stack", exit_code=3, said="--data-dir"
    ),
    "no Redis": Case(words="try-on good.jpg good.jpg", exit_code=6, said="Redis", env=NOWHERE),
    "numbers that do not fit": Case(
        words="try-on good.jpg good.jpg",
        exit_code=3,
        said="WEARON_LEASE_S",
        env=(("WEARON_LEASE_S", "9"),),
    ),
    "a setting that is no number": Case(
        words="consume", exit_code=3, said="WEARON_MAX_WAIT_S", env=(("WEARON_MAX_WAIT_S", "x"),)
    ),
    "no session id": Case(words="replay-task 12", exit_code=4, said="'12' is not a session id"),
    "replay without settings": Case(words=f"replay-task {SESSION}", exit_code=3, said="REDIS_URL"),
    "replay without Redis": Case(
        words=f"replay-task {SESSION}", exit_code=6, said="Redis", env=NOWHERE
    ),
    "consume without settings": Case(words="consume", exit_code=3, said="SUPABASE_URL"),
    "celery without settings": Case(words="celery", exit_code=3, said="OPENAI_API_KEY"),
    "all without settings": Case(words="all", exit_code=3, said="SUPABASE_SERVICE_ROLE_KEY"),
    "a demo with nowhere to save": Case(
        words="demo --out none/a.jpg", exit_code=4, said="no folder none"
    ),
    "a pose model that is none": Case(
        words="model pull", exit_code=3, said="good.jpg", env=(("WEARON_POSE_MODEL", "good.jpg"),)
    ),
}


@pytest.fixture
def run(folder: Path) -> Callable[..., Any]:
    def invoke(case: Case, *more: str) -> Any:
        return CliRunner().invoke(app, [*case.words.split(), *more], env=dict(case.env))

    return invoke


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_it_is_reported_as_text(run: Callable[..., Any], case: Case) -> None:
    result = run(case)
    assert result.exit_code == case.exit_code, result.stderr
    last = result.stderr[result.stderr.index("Error: ") :]
    assert case.said in last
    assert len(last.splitlines()) <= 2
    assert "Traceback" not in result.output
    assert result.stdout == ""


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_it_is_reported_as_json(run: Callable[..., Any], case: Case) -> None:
    result = run(case, "--json")
    envelope = json.loads(result.stdout)
    assert envelope["ok"] is False
    assert envelope["error"]["exit_code"] == case.exit_code == result.exit_code
    assert case.said in envelope["error"]["message"]
    assert envelope["command"].split()[0] == case.words.split()[0]


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_it_leaves_nothing_behind(run: Callable[..., Any], folder: Path, case: Case) -> None:
    before = sorted(folder.rglob("*"))
    run(case)
    assert sorted(folder.rglob("*")) == before
