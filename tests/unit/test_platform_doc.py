"""docs/platform.md names only what there is: commands, options, settings, and their numbers."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from scripts.configuration import environment_name
from wearon_cli.app import app
from wearon_cli.core.cross_checks import PLATFORM_CRON_S
from wearon_cli.core.settings import Settings

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/platform.md").read_text("utf-8")
COMMANDS = sorted(
    set(re.findall(r"^    (?:docker .*exec \w+ )?wearon (\S[^#\n]*?) *(?:#|$)", PAGE, re.M))
)


@pytest.mark.parametrize("words", COMMANDS)
def test_each_command_has_the_options_it_is_shown_with(words: str) -> None:
    name, *rest = words.split()
    shown = CliRunner().invoke(app, [name, "--help"], env={"COLUMNS": "200", "NO_COLOR": "1"})
    assert shown.exit_code == 0
    known = set(re.findall(r"--[a-z-]+", shown.output))
    assert {word for word in rest if word.startswith("--")} <= known


def test_each_setting_is_one() -> None:
    known = {environment_name(name, field) for name, field in Settings.model_fields.items()}
    deployed = set(re.findall(r"^(\w+)=", (ROOT / "deploy/.env.example").read_text("utf-8"), re.M))
    assert set(re.findall(r"`(WEARON_\w+)`", PAGE)) <= known | deployed


def test_the_numbers_are_those_of_the_settings() -> None:
    settings = Settings()
    assert f"`WEARON_B2C_BUY_WITHIN_S` ({settings.b2c_buy_within_s:g} s)" in PAGE
    assert f"`WEARON_MAX_WAIT_S` ({settings.max_wait_s:g} s)" in PAGE
    assert PLATFORM_CRON_S == 600  # "ten minutes"
