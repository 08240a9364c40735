"""The command line: what it prints where, and how it exits."""

import json
import subprocess
import sys
from types import ModuleType
from typing import Annotated, Any

import pytest
import typer
from rich.table import Table
from typer.testing import CliRunner

from wearon_cli import __version__, app
from wearon_cli.cli import output
from wearon_cli.cli.output import Result, note
from wearon_cli.core.errors import ConfigError, PhotoRefused, SessionNotFound, TryOnFailed

#: Modules that `wearon --help` must not import.
HEAVY = {
    *("mediapipe", "celery", "kombu", "supabase", "fastapi", "starlette", "uvicorn", "redis"),
    *("httpx", "numpy", "PIL", "pydantic", "pydantic_settings", "structlog", "asyncio"),
}


def greet(
    name: Annotated[str, typer.Argument(help="Whom.")],
    times: Annotated[int, typer.Option("--times", min=1, help="How often.")] = 1,
) -> Result:
    """Greet a person.

    A second paragraph of the manual.
    """
    note("greeting is under way")
    return Result(data={"name": name, "times": times}, lines=[f"hello {name}"] * times)


def half_done() -> Result:
    """Fail with facts."""
    error = TryOnFailed("the try-on failed", hint="look at the row")
    return Result(data={"session_id": "s1"}, lines=["session s1"], error=error)


def table() -> Result:
    """Draw a table."""
    drawn = Table("name", "value")
    for row in range(3):
        drawn.add_row(f"row {row}", "x" * 200)
    return Result(lines=[drawn])


def raising(error: BaseException) -> Any:
    def command() -> Result:
        """Raise."""
        raise error

    return command


nested = typer.Typer(no_args_is_help=True)


@nested.command()
def inner() -> Result:
    """Inside a group."""
    return Result(data={"inner": True}, lines=["inner"])


@nested.command()
def other() -> None:
    """Return no data."""


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Commands of this test only, loaded like the real ones: by module and attribute."""
    targets: dict[str, Any] = {
        "greet": greet,
        "half-done": half_done,
        "table": table,
        "nested": nested,
        "not-found": raising(SessionNotFound("there is no session s1", hint="check the id")),
        "crash": raising(ZeroDivisionError("secret https://example.org/?token=t1")),
        "incomplete": raising(ModuleNotFoundError("No module named 'xyzzy'", name="xyzzy")),
        "stop": raising(KeyboardInterrupt()),
    }
    module = ModuleType("wearon_cli.commands._for_tests")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    entries = {}
    for number, (name, target) in enumerate(targets.items()):
        setattr(module, f"target_{number}", target)
        entries[name] = app.Entry(f"_for_tests:target_{number}", f"Summary of {name}.", "Tests")
    monkeypatch.setattr(app, "COMMANDS", entries)
    return targets


def run(*words: str, env: dict[str, str] | None = None) -> Any:
    return CliRunner().invoke(app.app, list(words), env=env)


@pytest.mark.usefixtures("commands")
class TestAnswers:
    def test_the_answer_is_on_stdout_and_the_rest_on_stderr(self) -> None:
        result = run("greet", "Ada", "--times", "2")
        assert result.stdout == "hello Ada\nhello Ada\n"
        assert result.stderr == "greeting is under way\n"
        assert result.exit_code == 0

    def test_json_is_one_document_with_the_pinned_keys(self) -> None:
        result = run("greet", "Ada", "--json")
        assert json.loads(result.stdout) == {
            "wearon": 1,
            "command": "greet",
            "ok": True,
            "data": {"name": "Ada", "times": 1},
        }

    def test_a_command_inside_a_group_names_itself_in_full(self) -> None:
        assert json.loads(run("nested", "inner", "--json").stdout)["command"] == "nested inner"

    def test_a_command_without_data_still_answers_in_json(self) -> None:
        assert run("nested", "other").stdout == ""
        assert json.loads(run("nested", "other", "--json").stdout)["data"] == {}

    def test_a_pipe_gets_no_colour_and_no_more_than_80_columns(self) -> None:
        printed = run("table").stdout
        assert "\x1b" not in printed
        assert max(map(len, printed.splitlines())) <= output.WIDTH

    def test_json_can_be_asked_for_by_the_environment(self) -> None:
        assert json.loads(run("greet", "Ada", env={"WEARON_JSON": "1"}).stdout)["ok"] is True

    def test_an_option_can_be_given_by_the_environment(self) -> None:
        result = run("greet", "Ada", "--json", env={"WEARON_GREET_TIMES": "3"})
        assert json.loads(result.stdout)["data"]["times"] == 3

    def test_help_names_the_environment_variable_of_each_option(self) -> None:
        printed = run("greet", "--help").stdout
        assert "WEARON_GREET_TIMES" in printed
        assert "WEARON_JSON" in printed


@pytest.mark.usefixtures("commands")
class TestFailures:
    def test_an_error_is_one_sentence_and_what_to_do(self) -> None:
        result = run("not-found")
        assert result.stderr == "Error: there is no session s1\n  check the id\n"
        assert result.stdout == ""
        assert result.exit_code == 5

    def test_an_error_in_json_has_the_pinned_keys(self) -> None:
        result = run("not-found", "--json")
        assert json.loads(result.stdout) == {
            "wearon": 1,
            "command": "not-found",
            "ok": False,
            "error": {
                "code": "session_not_found",
                "message": "there is no session s1",
                "hint": "check the id",
                "exit_code": 5,
            },
        }
        assert result.exit_code == 5

    def test_a_failure_may_have_data(self) -> None:
        result = run("half-done", "--json")
        envelope = json.loads(result.stdout)
        assert envelope["data"] == {"session_id": "s1"}
        assert envelope["error"]["code"] == "try_on_failed"
        assert result.exit_code == 7
        plain = run("half-done")
        assert plain.stdout == "session s1\n"
        assert plain.stderr.startswith("Error: the try-on failed\n")

    def test_an_unexpected_error_is_reported_without_its_text_and_without_a_traceback(self) -> None:
        result = run("crash")
        assert result.exit_code == 1
        assert "ZeroDivisionError" in result.stderr
        assert "Traceback" not in result.stderr
        assert "token" not in result.output

    def test_the_traceback_is_there_for_those_who_ask(self) -> None:
        result = run("crash", env={"WEARON_LOG_LEVEL": "debug"})
        assert "Traceback" in result.stderr
        assert result.exit_code == 1

    def test_a_missing_library_is_named(self) -> None:
        result = run("incomplete")
        assert "xyzzy" in result.stderr
        assert result.exit_code == 1

    def test_ctrl_c_exits_130(self) -> None:
        result = run("stop", "--json")
        assert json.loads(result.stdout)["error"]["code"] == "interrupted"
        assert result.exit_code == 130

    @pytest.mark.parametrize(
        ("words", "command", "said"),
        [
            pytest.param(["greet"], "greet", "Missing argument 'name'", id="missing argument"),
            pytest.param(["greet", "a", "--nope"], "greet", "--nope", id="unknown option"),
            pytest.param(["greet", "a", "--times", "x"], "greet", "--times", id="not a number"),
            pytest.param(["greet", "a", "--times", "0"], "greet", "--times", id="out of range"),
            pytest.param(["nested", "innr"], "nested", "Did you mean 'inner'?", id="in a group"),
            pytest.param(["nested"], "nested", "Missing command", id="only a group"),
            pytest.param(["gret"], "", "Did you mean 'greet'?", id="typing error"),
            pytest.param(["xyzzy"], "", "No such command", id="unknown command"),
        ],
    )
    def test_a_wrong_command_line_exits_2_in_words_and_in_json(
        self, words: list[str], command: str, said: str
    ) -> None:
        plain = run(*words)
        assert plain.exit_code == 2
        assert said in plain.stderr
        assert "--help" in plain.stderr
        assert plain.stdout == ""
        as_json = run(*words, "--json")
        envelope = json.loads(as_json.stdout)
        assert (envelope["command"], envelope["error"]["code"]) == (command, "usage")
        assert as_json.exit_code == 2

    def test_json_after_a_double_dash_is_an_argument(self) -> None:
        assert run("greet", "--", "--json").stdout == "hello --json\n"


class TestTable:
    def test_help_lists_every_command_with_one_line(self) -> None:
        printed = run("--help").stdout
        for name, entry in app.COMMANDS.items():
            line = next(each for each in printed.splitlines() if f"│ {name} " in each)
            assert entry.summary in line

    def test_without_arguments_it_prints_its_help(self) -> None:
        result = run()
        assert result.exit_code == 0
        assert "replay-task" in result.stdout

    def test_version(self) -> None:
        assert run("--version").stdout == f"wearon {__version__}\n"

    @pytest.mark.parametrize("name", app.COMMANDS)
    def test_every_command_has_a_manual_page(self, name: str) -> None:
        result = run(name, "--help")
        assert result.exit_code == 0, result.stderr
        assert f"wearon {name}" in result.stdout
        assert max(map(len, result.stdout.splitlines())) <= output.WIDTH

    @pytest.mark.parametrize("word", ["", "re", "est"])
    def test_a_shell_completes_command_names(self, word: str) -> None:
        result = subprocess.run(
            [sys.executable, "-m", "wearon_cli"],
            env={
                "_PYTHON__M_WEARON_CLI_COMPLETE": "complete_bash",
                "_WEARON_COMPLETE": "complete_bash",
                "COMP_WORDS": f"wearon {word}",
                "COMP_CWORD": "1",
            },
            capture_output=True,
            text=True,
            check=False,
        )
        wanted = [name for name in app.COMMANDS if name.startswith(word)]
        assert result.stdout.split() == wanted


def test_help_imports_nothing_heavy() -> None:
    program = (
        "import sys\n"
        "from wearon_cli.app import main\n"
        "try:\n"
        "    main()\n"
        "except SystemExit:\n"
        "    print(*sorted(sys.modules), file=sys.stderr)\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", program, "--help"], capture_output=True, text=True, check=True
    )
    assert "replay-task" in result.stdout
    imported = {name.partition(".")[0] for name in result.stderr.split()}
    assert imported & HEAVY == set()


def test_a_closed_pipe_ends_it_silently() -> None:
    program = "from wearon_cli.cli.output import *; from wearon_cli import app\n" + (
        "import sys\n"
        "call = app.Invocation()\n"
        "sys.exit(app._guard(lambda: Result(lines=['x' * 70] * 100_000), call))\n"
    )
    result = subprocess.run(
        f'"{sys.executable}" -c "$PROGRAM" | head -n 1; echo "${{PIPESTATUS[0]}}"',
        shell=True,
        executable="/bin/bash",
        env={"PROGRAM": program, "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.stdout.split() == ["x" * 70, str(app.BROKEN_PIPE_EXIT)]
    assert result.stderr == ""


@pytest.mark.parametrize(
    ("error", "code", "exit_code"),
    [
        pytest.param(ConfigError(), "config_error", 3, id="settings"),
        pytest.param(PhotoRefused(reason="two_people"), "photo_refused", 4, id="photo"),
    ],
)
def test_an_error_without_a_message_has_its_default_one(
    error: Any, code: str, exit_code: int
) -> None:
    failure = output.describe(error)
    assert (failure.code, failure.exit_code) == (code, exit_code)
    assert failure.message
