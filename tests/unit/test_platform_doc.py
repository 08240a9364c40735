"""docs/platform.md has the numbers of the settings."""

from pathlib import Path

from wearon_cli.core.cross_checks import PLATFORM_CRON_S
from wearon_cli.core.settings import Settings

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/platform.md").read_text("utf-8")


def test_the_numbers_are_those_of_the_settings() -> None:
    settings = Settings()
    assert f"`WEARON_B2C_BUY_WITHIN_S` ({settings.b2c_buy_within_s:g} s)" in PAGE
    assert f"`WEARON_MAX_WAIT_S` ({settings.max_wait_s:g} s)" in PAGE
    assert PLATFORM_CRON_S == 600  # "ten minutes"
