"""The documentation of the JSON answers matches the code."""

import json
import re
from pathlib import Path

import pytest

from wearon_cli.app import COMMANDS
from wearon_cli.cli.durations import A_DAY, A_WEEK, AN_HOUR, Span, parse_span
from wearon_cli.cli.output import ENVELOPE_VERSION, Failure

DOCS = Path(__file__).parents[2] / "docs"


def rows_of(page: str, pattern: str) -> list[str]:
    return [line for line in (DOCS / page).read_text().splitlines() if re.match(pattern, line)]


def examples() -> list[dict[str, object]]:
    blocks = re.findall(r"```json\n(.*?)```", (DOCS / "json-output.md").read_text(), re.DOTALL)
    return [json.loads(block) for block in blocks]


@pytest.mark.parametrize("envelope", examples())
def test_the_examples_follow_the_contract(envelope: dict[str, object]) -> None:
    assert envelope["wearon"] == ENVELOPE_VERSION
    assert str(envelope["command"]).split()[0] in COMMANDS
    assert ("error" in envelope) is (envelope["ok"] is False)
    assert set(envelope) <= {"wearon", "command", "ok", "data", "error"}
    if "error" in envelope:
        error = envelope["error"]
        assert isinstance(error, dict)
        assert set(error) == set(Failure.__dataclass_fields__)


def test_every_commands_data_is_described() -> None:
    described = " ".join(rows_of("json-output.md", r"### `"))
    assert [name for name in COMMANDS if not re.search(rf"`{name}[` ]", described)] == []


@pytest.mark.parametrize("default", [AN_HOUR, A_DAY, A_WEEK, Span(minutes=15), Span(seconds=90)])
def test_a_default_span_is_printed_as_it_is_typed(default: Span) -> None:
    assert parse_span(str(default)) == default
