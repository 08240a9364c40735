"""The first-hour script: it reports each step's exit code, time and last line, and draws a
sheet.
"""

import sys
from pathlib import Path

import pytest
from PIL import Image

from scripts.first_hour import REFUSED, Trial, card, copy_project, report

ROOT = Path(__file__).parents[2]


@pytest.fixture
def trial(tmp_path: Path) -> Trial:
    one = Trial(folder=tmp_path)
    one.project.mkdir()
    return one


def test_steps_are_reported_by_exit_code_and_last_line(trial: Trial) -> None:
    python = (sys.executable, "-c")
    trial.run("good", *python, "print('first'); print('last'); print()")
    trial.run("bad", *python, "import sys; sys.exit('no such thing')")
    trial.run("refused", *python, f"import sys; sys.exit({REFUSED})", fine=(0, REFUSED))
    told = [(step.name, step.is_good, step.said) for step in trial.steps]
    assert told == [
        ("good", True, "last"),
        ("bad", False, "no such thing"),
        ("refused", True, ""),
    ]
    assert report(trial, [card("none", trial.folder / "gone.jpg")]) == 1
    with Image.open(trial.folder / "contact-sheet.jpg") as sheet:
        sheet.load()


def test_a_server_is_waited_for_and_stopped_by_ctrl_c(trial: Trial) -> None:
    waits = """
import signal, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
print("it is up", flush=True)
try:
    time.sleep(60)
except KeyboardInterrupt:
    pass
"""
    with trial.running("up", sys.executable, "-c", waits, is_ready=lambda text: "is up" in text):
        assert trial.steps[-1].is_good
    assert [(step.name, step.is_good) for step in trial.steps] == [
        ("up", True),
        ("up: Ctrl-C", True),
    ]
    with trial.running("dies", sys.executable, "-c", "0", is_ready=lambda _: False):
        assert not trial.steps[-1].is_good


def test_keys_and_settings_of_this_machine_are_left_out(
    trial: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OPENAI_API_KEY", "WEARON_LOCAL_DIR", "REDIS_URL", "PYTHONPATH"):
        monkeypatch.setenv(name, "x")
    assert not {"OPENAI_API_KEY", "WEARON_LOCAL_DIR", "REDIS_URL", "PYTHONPATH"} & set(
        trial.environment
    )


def test_a_clean_copy_has_the_project_without_its_build_products(tmp_path: Path) -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("not a clone")
    copy_project(tmp_path / "wearon")
    assert (tmp_path / "wearon/scripts/bootstrap").is_file()
    assert not (tmp_path / "wearon/.venv").exists()
