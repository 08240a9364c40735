"""Options on help pages: shown as they are typed, not with Python's names of types."""

import re

import pytest
from typer.testing import CliRunner

from wearon_cli.app import COMMANDS, app

#: Types in brackets, floats that are whole numbers, times of Python, and names of its values.
PYTHON = re.compile(
    r"<(bool|str|int|float|path|file|dir|list|UUID|\w+\|)"
    r"|\.0\b|\d:\d\d:\d\d|\b(None|True|False)\b"
)
GROUPS = {"dead-letters": ("list", "show", "requeue", "drop"), "model": ("pull", "path")}
PAGES = [
    (),
    *((name,) for name in COMMANDS),
    *((group, name) for group, names in GROUPS.items() for name in names),
]


def page(*words: str) -> str:
    shown = CliRunner().invoke(app, [*words, "--help"], env={"COLUMNS": "200"})
    assert shown.exit_code == 0
    return shown.stdout


@pytest.mark.parametrize("words", PAGES, ids=" ".join)
def test_a_help_page_shows_what_is_typed(words: tuple[str, ...]) -> None:
    shown = re.sub(r"127\.0\.0\.1", "", page(*words))
    assert PYTHON.search(shown) is None


def test_a_flag_has_no_value_and_a_default_can_be_typed_back() -> None:
    shown = page("sessions")
    assert re.search(r"--failed +Only failed sessions", shown)
    assert "[default: 7d]" in page("costs")
    assert "N [1<=x<=10000]" in shown
    assert "[default: 600]" in page("try-on")
