"""The first start on a machine: no pose model, no stack, and a person who presses Ctrl-C."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import wearon_cli
from devkit.terminal import Terminal
from devkit.waiting import LONGEST_S
from wearon_cli.core.errors import Interrupted, UpstreamError

pytestmark = pytest.mark.slow

ASSETS = Path(wearon_cli.__file__).parent / "assets"
PICTURES = (str(ASSETS / "person.jpg"), str(ASSETS / "garment_tee.jpg"))
WEARON = (sys.executable, "-m", "wearon_cli")


def without_model(folder: Path) -> dict[str, str]:
    """The environment of a new user on a machine without a package index."""
    return {
        **os.environ,
        "XDG_CACHE_HOME": str(folder / "cache"),
        "PIP_INDEX_URL": "http://127.0.0.1:1/simple",
        "PIP_EXTRA_INDEX_URL": "",
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_NO_CACHE_DIR": "1",
        "PIP_RETRIES": "0",
    }


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(("demo",), id="demo"),
        pytest.param(("try-on", *PICTURES, "--local"), id="try-on"),
        pytest.param(("compare", *PICTURES, "--with", "preview"), id="compare"),
        pytest.param(("estimate", PICTURES[0]), id="estimate"),
        pytest.param(("model", "pull"), id="model pull"),
    ],
)
def test_commands_that_need_the_model_say_at_once_what_to_run(
    words: tuple[str, ...], tmp_path: Path
) -> None:
    """Seen: it failed after 20 s with "Our service was busy", after three attempts."""
    done = subprocess.run(
        [*WEARON, *words],
        env=without_model(tmp_path),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=LONGEST_S,
    )
    assert done.returncode == UpstreamError.exit_code, done.stderr
    assert "the pose model's parts" in done.stderr
    assert "run `wearon model pull`" in done.stderr
    assert "busy" not in done.stderr
    assert not (tmp_path / ".wearon").exists()


def test_the_download_has_a_progress_bar_on_a_terminal(tmp_path: Path) -> None:
    """Our own pip, which reports progress and then downloads nothing."""
    fake = tmp_path / "fake" / "pip"
    fake.mkdir(parents=True)
    (fake / "__init__.py").write_text("")
    (fake / "__main__.py").write_text(
        "import time\n"
        "for done in range(0, 37, 6):\n"
        "    print(f'Progress {done * 10**6} of 36000000', flush=True)\n"
        "    time.sleep(0.2)\n"
    )
    env = {**without_model(tmp_path), "PYTHONPATH": str(fake.parent)}
    words = ("try-on", *PICTURES, "--local", "--data-dir", str(tmp_path / "data"))
    with Terminal([*WEARON, *words], columns=100, env=env) as terminal:
        assert terminal.wait() == UpstreamError.exit_code
        assert "downloading the pose model (once)" in terminal.text
        assert "/36.0 MB" in terminal.text
        assert "━" in terminal.text


def test_ctrl_c_in_a_try_on_names_the_session_and_how_to_continue(tmp_path: Path) -> None:
    command = [*WEARON, "try-on", *PICTURES, "--local", "--data-dir", str(tmp_path / "data")]
    # An unreachable provider: the session cannot end before the key is pressed.
    silent = {"OPENAI_API_KEY": "sk-test", "OPENAI_BASE_URL": "http://127.0.0.1:9/v1"}
    with Terminal([*command, "--yes"], columns=200, env=silent) as terminal:
        terminal.read_until("waiting: rate limit or outage")
        terminal.type("\x03")
        assert terminal.wait() == Interrupted.exit_code
        said = terminal.text
    session = re.search(r"session ([0-9a-f-]{36}) is queued", said)
    assert session is not None, said
    assert f"wearon session {session[1]} --local --data-dir" in said
    assert "wearon all --local --data-dir" in said
