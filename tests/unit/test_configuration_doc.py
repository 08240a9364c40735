"""docs/configuration.md equals the settings."""

from scripts.configuration import PAGE, page


def test_the_page_is_what_the_settings_say() -> None:
    assert PAGE.read_text("utf-8") == page(), "run: python -m scripts.configuration"


def test_every_setting_is_described() -> None:
    rows = [line for line in page().splitlines() if line.startswith("| `")]
    assert len(rows) > 30
    assert all(line.split("|")[3].strip() for line in rows)
