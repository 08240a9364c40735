"""Nothing is spent, refunded, replaced or deleted without confirmation."""

import io
import sys
from pathlib import Path

import pytest
import typer
from _pytest.mark import ParameterSet

import wearon_cli
from devkit.terminal import Terminal as PseudoTerminal
from wearon_cli.app import COMMANDS, DECISIONS, Deferred, _leaves
from wearon_cli.cli.consent import require_consent
from wearon_cli.core.errors import ConsentMissing, Interrupted


def decisions() -> list[ParameterSet]:
    """Every flag of every command that is a decision, with its command."""
    found = []
    for name, entry in COMMANDS.items():
        command = Deferred(name, entry).load()
        for leaf in _leaves(command):
            found += [
                pytest.param(leaf, param, id=f"{name} {leaf.name} {param.name}")
                for param in leaf.params
                if param.name in DECISIONS
            ]
    return found


def test_the_commands_that_act_ask() -> None:
    asking = {str(each.id).rpartition(" ")[0] for each in decisions() if "yes" in str(each.id)}
    assert asking == {
        "replay-task replay-task",
        "try-on try-on",
        "compare compare",
        "doctor doctor",
        "reconcile reconcile",
        "dead-letters requeue",
        "dead-letters drop",
        "forget forget",
    }


@pytest.mark.parametrize(("command", "param"), decisions())
def test_no_decision_has_an_environment_variable(
    command: typer.core.TyperCommand,
    param: typer.core.TyperOption,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    prefix = f"WEARON_{str(command.name).upper().replace('-', '_')}"
    for name in (f"{prefix}_{str(param.name).upper()}", f"WEARON_{str(param.name).upper()}"):
        monkeypatch.setenv(name, "1")
    context = command.make_context(str(command.name), [], resilient_parsing=True)
    context.auto_envvar_prefix = prefix
    assert param.resolve_envvar_value(context) is None
    assert not param.envvar


def test_other_options_still_have_one(monkeypatch: pytest.MonkeyPatch) -> None:
    command = Deferred("replay-task", COMMANDS["replay-task"]).load()
    limit = next(param for param in command.params if param.name == "limit")
    monkeypatch.setenv("WEARON_REPLAY_TASK_LIMIT", "3")
    context = command.make_context("replay-task", [], resilient_parsing=True)
    context.auto_envvar_prefix = "WEARON_REPLAY_TASK"
    assert limit.resolve_envvar_value(context) == "3"


def test_without_a_terminal_it_is_not_confirmed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    with pytest.raises(ConsentMissing) as missing:
        require_consent("spend it?", yes=False)
    assert missing.value.exit_code == 4
    assert "--yes" in missing.value.hint


def test_yes_is_enough() -> None:
    require_consent("spend it?", yes=True)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("answer", "goes_on"), [("y", True), ("n", False), ("", False)])
def test_on_a_terminal_a_person_is_asked(
    answer: str, goes_on: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal(f"{answer}\n"))
    monkeypatch.setattr(sys, "stderr", Terminal())
    if goes_on:
        require_consent("spend it?", yes=False)
        return
    with pytest.raises(Interrupted, match="nothing was changed"):
        require_consent("spend it?", yes=False)


# ------------------------------------------------------------- asked while an event loop is running

ASKS = """
import asyncio, sys
from wearon_cli.cli.consent import consent
from wearon_cli.core.errors import Interrupted
try:
    asyncio.run(consent("delete it?", yes=False))
except Interrupted as exc:
    sys.exit(f"no: {exc}")
except KeyboardInterrupt:
    sys.exit(130)
print("agreed")
"""


@pytest.mark.parametrize(
    ("typed", "exit_code", "told"),
    [
        pytest.param("y\n", 0, "agreed", id="y"),
        pytest.param("YES\n", 0, "agreed", id="YES"),
        pytest.param("maybe\ny\n", 0, "answer y or n", id="maybe, then y"),
        pytest.param("n\n", 1, "nothing was changed", id="n"),
        pytest.param("\n", 1, "nothing was changed", id="Enter"),
        pytest.param("\x04", 1, "nothing was changed", id="Ctrl-D"),
        # Seen: a thread went on waiting for the line, and Python for the thread.
        pytest.param("\x03", 130, "[y/N]", id="Ctrl-C"),
    ],
)
def test_an_answer_on_a_terminal(typed: str, exit_code: int, told: str) -> None:
    with PseudoTerminal([sys.executable, "-c", ASKS]) as terminal:
        terminal.read_until("[y/N]: ")
        terminal.type(typed)
        assert terminal.wait() == exit_code
    assert told in terminal.text


def test_no_command_asks_in_a_thread() -> None:
    package = Path(wearon_cli.__file__).parent
    assert [
        path.name
        for path in package.rglob("*.py")
        if "to_thread(require_consent" in path.read_text("utf-8")
    ] == []
