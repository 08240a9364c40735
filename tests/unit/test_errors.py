"""The error tree as scripts, dashboards and the documentation use it: codes, exit codes,
reactions.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from wearon_cli.app import BROKEN_PIPE_EXIT, USAGE_EXIT
from wearon_cli.core.errors import WearonError
from wearon_cli.runtime.worker.controller import EXIT_UNRESPONSIVE

PAGE = Path(__file__).parents[2] / "docs" / "errors.md"

#: The public interface, written out: code -> (exit code, what a worker does with the job).
#: A class may be renamed; these values may not change.
PINNED = {
    "wearon_error": (1, "settle"),
    "config_error": (3, "settle"),
    "input_error": (4, "settle"),
    "task_invalid": (4, "settle"),
    "consent_missing": (4, "settle"),
    "chart_unusable": (4, "settle"),
    "picture_problem": (4, "settle"),
    "picture_unusable": (4, "settle"),
    "picture_too_heavy": (4, "settle"),
    "pixel_work_died": (4, "settle"),
    "picture_too_large": (4, "settle"),
    "picture_unavailable": (4, "settle"),
    "picture_forbidden": (4, "settle"),
    "photo_refused": (4, "settle"),
    "not_dressable": (4, "settle"),
    "session_error": (5, "settle"),
    "session_not_found": (5, "settle"),
    "session_final": (5, "drop"),
    "session_running": (5, "settle"),
    "letter_not_found": (5, "settle"),
    "no_credit_left": (5, "settle"),
    "needs_a_person": (5, "settle"),
    "lease_lost": (5, "drop"),
    "upstream_error": (6, "repeat"),
    "measuring_unavailable": (6, "repeat"),
    "queue_unavailable": (6, "wait"),
    "store_unavailable": (6, "wait"),
    "store_refused": (6, "repeat"),
    "refund_refused": (6, "repeat"),
    "storage_refused": (6, "settle"),
    "object_not_found": (6, "repeat"),
    "fetch_failed": (6, "wait"),
    "generator_error": (6, "repeat"),
    "rate_limited": (6, "wait"),
    "calls_halted": (6, "wait"),
    "generator_fault": (6, "repeat"),
    "generator_unreachable": (6, "wait"),
    "call_ambiguous": (6, "repeat"),
    "purchase_unresolved": (6, "wait"),
    "generation_refused": (6, "settle"),
    "request_rejected": (6, "settle"),
    "result_refused": (6, "settle"),
    "model_unavailable": (6, "halt"),
    "account_blocked": (6, "halt"),
    "job_gave_up": (7, "settle"),
    "job_too_old": (7, "settle"),
    "job_orphaned": (7, "settle"),
    "try_on_failed": (7, "settle"),
    "unhealthy": (1, "settle"),
    "role_failed": (8, "settle"),
    "no_permit": (7, "yield"),
    "interrupted": (130, "yield"),
}


def tree(error: type[WearonError] = WearonError) -> Iterator[type[WearonError]]:
    yield error
    for below in error.__subclasses__():
        if below.__module__ == WearonError.__module__:  # not a class of a test
            yield from tree(below)


def meaning(error: type[WearonError]) -> str:
    return (error.__doc__ or "").strip().splitlines()[0]


def rows_of_the_page(pattern: str) -> list[str]:
    return [line for line in PAGE.read_text().splitlines() if re.match(pattern, line)]


def test_codes_exit_codes_and_reactions_are_pinned() -> None:
    assert {each.code: (each.exit_code, each.reaction.value) for each in tree()} == PINNED


@pytest.mark.parametrize("error", list(tree()), ids=lambda each: each.__name__)
def test_every_class_defines_its_own_code(error: type[WearonError]) -> None:
    """A derived or inherited code could change, or mean two things, unnoticed."""
    assert isinstance(vars(error).get("code"), str)


def test_renaming_a_class_keeps_its_code() -> None:
    for each in tree():
        assert type("Renamed", (each,), {})("").code == each.code


def test_codes_are_unique_and_snake_case() -> None:
    codes = [each.code for each in tree()]
    assert len(set(codes)) == len(codes)
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)*", code) for code in codes)


def test_an_error_class_has_its_parents_exit_code_or_its_own() -> None:
    """A script that knows only the parent's exit code still understands a new child."""
    own = {each for each in tree() if each.__base__ is not WearonError and each is not WearonError}
    assert {each for each in own if each.exit_code != each.__base__.exit_code} == set()  # type: ignore[union-attr]


def test_the_table_of_errors_matches_the_tree() -> None:
    wanted = [
        f"| `usage` | {USAGE_EXIT} | The command line is wrong. |",
        f"| `unexpected` | {WearonError.exit_code} | Something this project did not plan for. |",
        *(f"| `{each.code}` | {each.exit_code} | {meaning(each)} |" for each in tree()),
    ]
    written = rows_of_the_page(r"\| `[a-z_]+` \|")
    assert written == wanted, "the table of docs/errors.md should be:\n" + "\n".join(wanted)


def test_every_exit_code_is_explained() -> None:
    explained = {int(row.split("|")[1]) for row in rows_of_the_page(r"\| \d+ \|")}
    used = {each.exit_code for each in tree()} | {
        0,
        USAGE_EXIT,
        EXIT_UNRESPONSIVE,
        BROKEN_PIPE_EXIT,
    }
    assert explained == used
