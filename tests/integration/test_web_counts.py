"""The page and the commands add up the same failures and costs, from the counts of each day."""

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import httpx
import pytest
from redis import Redis

from devkit.operator_page import PageStack, peopled_stack, web_page
from wearon_cli.adapters.local.accounts import DEMO_STORE_ID
from wearon_cli.adapters.redis import keys
from wearon_cli.runtime.web.views.failures import DAYS

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PageStack]:
    with peopled_stack(tmp_path_factory.mktemp("stack")) as made:
        count_old_failures(made)
        yield made


@pytest.fixture(scope="module")
def browser(stack: PageStack) -> Iterator[httpx.Client]:
    with web_page(stack.settings.local_dir) as page, page.client() as client:
        yield client


def by_command(stack: PageStack, *command: str) -> dict[str, Any]:
    where = ("--local", "--data-dir", str(stack.settings.local_dir), "--json")
    done = subprocess.run(
        [sys.executable, "-m", "wearon_cli", *command, *where],
        stdout=subprocess.PIPE,
        check=True,
    )
    return dict(json.loads(done.stdout)["data"])


def rows_of(text: str, label: str) -> list[list[str]]:
    """The cells of the body of a table, as text."""
    table = text[text.index(f'aria-label="{label}"') :]
    body = table[table.index("<tbody>") : table.index("</tbody>")]
    return [
        [re.sub(r"<[^>]+>", "", cell).strip() for cell in re.findall(r"<t[dh].*?</t[dh]>", row)]
        for row in re.findall(r"<tr>.*?</tr>", body, re.DOTALL)
    ]


def count_old_failures(stack: PageStack) -> None:
    """Three jobs that failed three weeks ago: rows, timelines and counts of minutes are gone."""
    assert stack.settings.redis_url is not None
    with closing(Redis.from_url(stack.settings.redis_url.get_secret_value())) as redis:
        day = int(time.time() // 86_400) - 21
        field = [DEMO_STORE_ID, "provider_down", "openai", "gpt-image-2", "server_error"]
        redis.hset(keys.failures(day), json.dumps(field), 3)


@pytest.mark.parametrize("span", ["7d", "30d"])
@pytest.mark.parametrize("by", ["cause", "code", "model", "provider", "store"])
def test_the_page_and_the_command_count_the_same_failures(
    browser: httpx.Client, stack: PageStack, span: str, by: str
) -> None:
    text = browser.get(f"/failures?since={span}&by={by}").text
    told = by_command(stack, "failures", "--since", span, "--by", by)
    names = {DEMO_STORE_ID: "linden-mode.example"}
    lines = [[names.get(each["name"], each["name"]), str(each["jobs"])] for each in told["lines"]]
    assert [row[:2] for row in rows_of(text, f"Failures by {by}")] == lines
    assert f"<strong>{told['jobs']}</strong> jobs failed" in text
    assert told["jobs"] == {"7d": 2, "30d": 5}[span]
    days = by_command(stack, "failures", "--since", span, "--by", "day")["lines"]
    over_time = [row[:2] for row in rows_of(text, "Failures over time")]
    assert over_time == [[each["name"], str(each["jobs"])] for each in days]


@pytest.mark.parametrize("by", ["store", "model", "provider", "outcome"])
def test_the_page_and_the_command_count_the_same_costs(
    browser: httpx.Client, stack: PageStack, by: str
) -> None:
    text = browser.get(f"/costs?since=7d&by={by}").text
    told = by_command(stack, "costs", "--since", "7d", "--by", by)
    counts = [row[1] for row in rows_of(text, f"Costs by {by}")]
    assert counts == [str(each["purchases"]) for each in told["lines"]]
    assert f"from {told['since']} to {told['until']}" in text


def test_the_pages_of_many_days_stay_small(browser: httpx.Client, stack: PageStack) -> None:
    """Six causes on each of 400 days."""
    assert stack.settings.redis_url is not None
    today = int(time.time() // 86_400)
    days = [keys.failures(today - back) for back in range(40, 400)]
    with closing(Redis.from_url(stack.settings.redis_url.get_secret_value())) as redis:
        for day in days:
            fields = [json.dumps([DEMO_STORE_ID, f"cause_{n}", "p", "m", "c"]) for n in range(6)]
            redis.hset(day, mapping=dict.fromkeys(fields, 7))
        sizes = {span: len(browser.get(f"/failures?since={span}").content) for span in DAYS}
        redis.delete(*days)
    assert sizes["400d"] > sizes["7d"]
    assert max(sizes.values()) < 200_000, sizes
