"""`wearon session --open` and `--save`, on a local store and a pseudo terminal."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import wearon_cli
from devkit.terminal import Terminal
from devkit.waiting import LONGEST_S, until
from wearon_cli.adapters.local import accounts
from wearon_cli.core.errors import InputError
from wearon_cli.core.operator.try_on import Order, Upload
from wearon_cli.core.session import Channel
from wearon_cli.core.settings import Settings
from wearon_cli.runtime.all.local_stack import local_services
from wearon_cli.wiring.operator import open_operator_tools

pytestmark = pytest.mark.slow

ASSETS = Path(wearon_cli.__file__).parent / "assets"
KITTY = b"\x1b_Gi=31;OK\x1b\\\x1b[?62;c"
XTERM = b"\x1b[?64;1;2c"
#: The end of the question.
ASKED = b"\x1b[c"


async def ordered(settings: Settings) -> str:
    async with open_operator_tools(settings) as tools:
        pictures = [(ASSETS / name).read_bytes() for name in ("person.jpg", "garment_tee.jpg")]
        row = await tools.orders.place(
            Order(
                channel=Channel.B2C,
                owner_id=accounts.DEMO_USER_ID,
                pictures=tuple(Upload(data=each, content_type="image/jpeg") for each in pictures),
            )
        )
        return row.session_id


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    """`wearon session` of a session with two input pictures and no result."""
    folder = tmp_path_factory.mktemp("stack")
    with local_services(folder, host="127.0.0.1", port=0) as settings:
        session_id = asyncio.run(ordered(settings))
        wearon = [sys.executable, "-m", "wearon_cli", "session", session_id]
        yield [*wearon, "--local", "--data-dir", str(folder)]


def test_pictures_are_saved_as_they_are(command: list[str], tmp_path: Path) -> None:
    target = tmp_path / "pictures"
    done = subprocess.run(
        [*command, "--save", str(target), "--json"],
        capture_output=True,
        text=True,
        timeout=LONGEST_S,
    )
    assert done.returncode == 0, done.stderr
    saved = json.loads(done.stdout)["data"]["pictures"]
    assert [each["kind"] for each in saved] == ["person", "garment"]
    for each, name in zip(saved, ("person.jpg", "garment_tee.jpg"), strict=True):
        path = Path(each["path"])
        assert path.parent == target
        assert path.read_bytes() == (ASSETS / name).read_bytes()


def test_a_terminal_with_graphics_shows_them(command: list[str], tmp_path: Path) -> None:
    with Terminal([*command, "--save", str(tmp_path)], answers={ASKED: KITTY}) as terminal:
        assert terminal.wait() == 0
    assert "\x1b_Ga=T,f=100" in terminal.text
    assert "token=" not in terminal.text


def test_another_terminal_gets_links_to_the_files(command: list[str], tmp_path: Path) -> None:
    words = [*command, "--save", str(tmp_path)]
    with Terminal(words, columns=60, answers={ASKED: XTERM}) as terminal:
        assert terminal.wait() == 0
    assert "\x1b_Ga=T" not in terminal.text
    for each in tmp_path.iterdir():
        assert f";{each.as_uri()}\x1b\\" in terminal.text
        assert str(each) in terminal.text
    assert "http://" not in terminal.text


def test_a_silent_terminal_gets_links_too(command: list[str], tmp_path: Path) -> None:
    with Terminal([*command, "--save", str(tmp_path)], columns=200) as terminal:
        assert terminal.wait() == 0
    assert "file://" in terminal.text


def test_the_desktops_viewer_opens_what_the_terminal_cannot_show(
    command: list[str], tmp_path: Path
) -> None:
    viewer, seen = tmp_path / "xdg-open", tmp_path / "seen"
    viewer.write_text(f'#!/bin/sh\necho "$1" >> {seen}\n')
    viewer.chmod(0o755)
    env = {"PATH": f"{tmp_path}:/usr/bin:/bin", "TMPDIR": str(tmp_path)}
    with Terminal([*command, "--open"], env=env, answers={ASKED: XTERM}) as terminal:
        assert terminal.wait() == 0
    until(lambda: seen.exists() and len(seen.read_text().split()) == 2)
    opened = seen.read_text().split()
    assert {Path(each).suffix for each in opened} == {".jpg"}
    (folder,) = {Path(each).parent for each in opened}
    assert folder.stat().st_mode & 0o777 == 0o700


def test_a_folder_that_cannot_be_created_is_reported(command: list[str], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = subprocess.run(
        [*command, "--save", str(tmp_path / "file" / "below")],
        capture_output=True,
        text=True,
        timeout=LONGEST_S,
    )
    assert done.returncode == InputError.exit_code
    assert "cannot write" in done.stderr
