"""docs/queue.md equals the contract's model, and its examples are valid payloads."""

import json
import re
from pathlib import Path

import pytest

from wearon_cli.adapters.redis.keys import KEYS
from wearon_cli.core.contract import Task, parse_task
from wearon_cli.core.payloads import MAX_PAYLOAD_BYTES
from wearon_cli.core.session import Channel

PAGE = (Path(__file__).parents[2] / "docs/queue.md").read_text("utf-8")
EXAMPLES = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)


def test_every_field_is_described_and_no_other() -> None:
    table = PAGE.partition("## Fields")[2].partition("##")[0]
    assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == list(Task.model_fields)


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_is_a_valid_payload(example: str) -> None:
    task = parse_task(example.encode())
    assert task.channel.value in example


def test_there_is_an_example_of_each_channel() -> None:
    assert {json.loads(each)["channel"] for each in EXAMPLES} == {each.value for each in Channel}


def test_tables_and_paths_are_those_of_the_code() -> None:
    for channel in Channel:
        assert f"`{channel.table}`" in PAGE
        path = channel.result_path(f"{{{channel.owner_column}}}", "{session_id}")
        assert f"`{path}`" in PAGE


def test_the_list_and_the_limits_are_those_of_the_code() -> None:
    assert KEYS[0].pattern in PAGE
    assert f"{MAX_PAYLOAD_BYTES // 1024} KiB" in PAGE
    assert "at most 32,000 characters" in PAGE
    assert Task.model_fields["prompt"].metadata[0].max_length == 32_000
