"""docs/platform.md has the numbers of the settings."""

from pathlib import Path

from wearon_cli.core.credits import Credit, CreditState
from wearon_cli.core.cross_checks import PLATFORM_CRON_S
from wearon_cli.core.operator.words import credit_words
from wearon_cli.core.settings import Settings

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/platform.md").read_text("utf-8")


def test_the_numbers_are_those_of_the_settings() -> None:
    settings = Settings()
    assert f"`WEARON_B2C_BUY_WITHIN_S` ({settings.b2c_buy_within_s:g} s)" in PAGE
    assert f"`WEARON_MAX_WAIT_S` ({settings.max_wait_s:g} s)" in PAGE
    assert PLATFORM_CRON_S == 600  # "ten minutes"


def test_a_free_trial_is_shown_with_the_words_of_the_command() -> None:
    """It said "none was taken for it", which no command does."""
    words = credit_words(Credit(state=CreditState.NEVER_TAKEN, reason=""))
    assert f"`{words}`" in PAGE
    assert f"credit   {words}\n" in (ROOT / "docs/tutorial.md").read_text("utf-8")
