"""What the manual says about errors, exit codes and JSON is what the code does."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from wearon_cli.app import BROKEN_PIPE_EXIT, COMMANDS, USAGE_EXIT
from wearon_cli.cli.output import ENVELOPE_VERSION, Failure
from wearon_cli.core.errors import WearonError

DOCS = Path(__file__).parents[2] / "docs"

#: Exit codes are a promise to scripts: a change here is a change of the product's interface.
EXIT_CODES = {
    "config_error": 3,
    "input_error": 4,
    "consent_missing": 4,
    "task_invalid": 4,
    "chart_unusable": 4,
    "picture_problem": 4,
    "picture_unusable": 4,
    "picture_too_large": 4,
    "picture_unavailable": 4,
    "picture_forbidden": 4,
    "photo_refused": 4,
    "session_error": 5,
    "session_not_found": 5,
    "session_final": 5,
    "session_running": 5,
    "letter_not_found": 5,
    "lease_lost": 5,
    "upstream_error": 6,
    "job_gave_up": 7,
    "try_on_failed": 7,
    "role_failed": 8,
    "interrupted": 130,
}


def tree(error: type[WearonError] = WearonError) -> Iterator[type[WearonError]]:
    yield error
    for below in error.__subclasses__():
        if below.__module__ == WearonError.__module__:  # not a test's own
            yield from tree(below)


def code_of(error: type[WearonError]) -> str:
    return error("").code


def meaning(error: type[WearonError]) -> str:
    return (error.__doc__ or "").strip().splitlines()[0]


def rows_of_the_tree() -> list[str]:
    return [f"| `{code_of(each)}` | {each.exit_code} | {meaning(each)} |" for each in tree()]


def rows_of(page: str, pattern: str) -> list[str]:
    return [line for line in (DOCS / page).read_text().splitlines() if re.match(pattern, line)]


def test_the_table_of_errors_is_the_tree() -> None:
    written = rows_of("errors.md", r"\| `[a-z_]+` \|")
    wanted = [
        f"| `usage` | {USAGE_EXIT} | The command line is wrong. |",
        f"| `unexpected` | {WearonError.exit_code} | Something this project did not plan for. |",
        *rows_of_the_tree(),
    ]
    assert written == wanted, "the table of docs/errors.md should be:\n" + "\n".join(wanted)


def test_every_exit_code_is_explained() -> None:
    explained = {int(row.split("|")[1]) for row in rows_of("errors.md", r"\| \d+ \|")}
    used = {each.exit_code for each in tree()} | {0, USAGE_EXIT, BROKEN_PIPE_EXIT}
    assert explained == used


@pytest.mark.parametrize(("code", "exit_code"), EXIT_CODES.items())
def test_an_exit_code_never_changes(code: str, exit_code: int) -> None:
    assert {code_of(each): each.exit_code for each in tree()}[code] == exit_code


def test_codes_are_unique_and_snake_case() -> None:
    codes = [code_of(each) for each in tree()]
    assert len(set(codes)) == len(codes)
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)*", code) for code in codes)


def test_a_class_of_errors_exits_as_its_parent_or_says_otherwise() -> None:
    """A script that knows only the parent's exit code still understands a new child."""
    own = {each for each in tree() if each.__base__ is not WearonError and each is not WearonError}
    assert {each for each in own if each.exit_code != each.__base__.exit_code} == set()  # type: ignore[attr-defined]


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
