"""docs/metrics.md lists every metric, and the how-to asks only for metrics that exist."""

import re
from pathlib import Path

import pytest

from scripts.metrics_page import PAGE, page
from wearon_cli.runtime.ops.metrics import Meters

DOCS = Path(__file__).parents[2] / "docs"
#: What Prometheus appends to a histogram's name.
SUFFIX = re.compile(r"_(bucket|sum|count)$")


def listed() -> set[str]:
    return set(re.findall(r"`(wearon_\w+)`", PAGE.read_text("utf-8")))


def test_the_page_is_what_the_meters_say() -> None:
    text = PAGE.read_text("utf-8")
    assert page(text) == text, "run: make reference"


def test_every_metric_that_a_scrape_gets_is_listed() -> None:
    scraped = re.findall(r"^# TYPE (wearon_\w+)", Meters().render().decode(), re.MULTILINE)
    names = {name for name in scraped if not name.endswith("_created")}  # when each began
    assert len(names) > 15
    assert names <= listed()


@pytest.mark.parametrize("name", ["read-metrics.md", "alerts.md", "operators.md", "scaling.md"])
def test_a_metric_that_another_page_names_is_listed(name: str) -> None:
    named = set(re.findall(r"\bwearon_[a-z_]*[a-z]\b", (DOCS / name).read_text("utf-8")))
    assert {SUFFIX.sub("", each) for each in named} - {"wearon_cli"} <= listed()
