"""
The `wearon` command: its table of subcommands, and the one place where errors become exit codes.

A subcommand's module is imported only when it is called, which keeps `wearon --help` fast.
"""

import atexit
import gc
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from inspect import cleandoc
from typing import Annotated, Any, Final

import typer
from typer.core import TyperCommand, TyperGroup

from wearon_cli import __version__
from wearon_cli.cli.help_page import make_plain
from wearon_cli.cli.output import (
    Failure,
    Result,
    describe,
    emit,
    emit_failure,
    silence_stdout,
)
from wearon_cli.core.errors import Interrupted, WearonError

#: Exit code of a wrong command line, as in other programs.
USAGE_EXIT: Final = 2
#: Flags that are a decision for one run. They have no environment variable, so a variable left
#: behind in a shell or a container has no effect.
DECISIONS: Final = frozenset(
    {"yes", "force", "charge", "fix", "now", "undo", "paid", "whose", "allow_actions"}
)
#: Exit status of a program ended by a closed pipe (128 + SIGPIPE).
BROKEN_PIPE_EXIT: Final = 141

#: Commands that run until they are told to stop.
SERVERS: Final = frozenset({"all", "consume", "celery", "serve", "web"})
#: New objects after which Python looks for garbage, for all other commands: importing makes up to
#: a hundred thousand objects and no garbage, and is by default interrupted after every 700.
FEW_COLLECTIONS: Final = 100_000

HELP_NAMES: Final = ["-h", "--help"]

ROLES: Final = "Roles"
TRY_ONS: Final = "Try-ons"
OPERATORS: Final = "Operator tools"
MEASURING: Final = "Measuring"


@dataclass(frozen=True, slots=True)
class Entry:
    """One subcommand: where it lives, and its line in `wearon --help`."""

    target: str  # module:attribute; the attribute is a function or a typer.Typer
    summary: str
    panel: str


#: In the order of `wearon --help`.
COMMANDS: Final = {
    "all": Entry("all:all_roles", "Run consume, celery and serve together, supervised.", ROLES),
    "consume": Entry("consume:consume", "Take jobs from the queue; recover lost ones.", ROLES),
    "celery": Entry("celery:celery", "Run the jobs. Start more workers to scale.", ROLES),
    "serve": Entry("serve:serve", "Serve HTTP: body measurement and health checks.", ROLES),
    "web": Entry("web:web", "Serve the operators' page: pictures, jobs, costs.", OPERATORS),
    "demo": Entry("demo:demo", "Run one try-on end to end on this machine.", TRY_ONS),
    "try-on": Entry("try_on:try_on", "Dress a person in garments; save the picture.", TRY_ONS),
    "compare": Entry("compare:compare", "Compare one try-on across several models.", TRY_ONS),
    "replay-task": Entry(
        "replay_task:replay_task", "Run a failed or stuck session again.", TRY_ONS
    ),
    "session": Entry("session:session", "Show one session: row, credit, job, timeline.", OPERATORS),
    "sessions": Entry("sessions:sessions", "List or find sessions, newest first.", OPERATORS),
    "status": Entry("status:status", "Show the queue and the workers, live.", OPERATORS),
    "doctor": Entry("doctor:doctor", "Check everything the product needs.", OPERATORS),
    "reconcile": Entry(
        "reconcile:reconcile", "Find and fix discrepancies between rows and credits.", OPERATORS
    ),
    "costs": Entry("costs:costs", "Add up the cost of pictures.", OPERATORS),
    "failures": Entry("failures:failures", "Count failed jobs by cause or model.", OPERATORS),
    "dead-letters": Entry(
        "dead_letters:app", "List, show, requeue or drop dead letters.", OPERATORS
    ),
    "forget": Entry("forget:forget", "Permanently delete a session's data.", OPERATORS),
    "provenance": Entry("provenance:provenance", "Show a picture's provenance marks.", OPERATORS),
    "estimate": Entry("estimate:estimate", "Measure the body in a photo.", MEASURING),
    "check": Entry("check:check", "Check input photos and results as a worker does.", MEASURING),
    "model": Entry("model:app", "Download or locate the pose model file.", MEASURING),
}


@dataclass(slots=True)
class Invocation:
    """The state of the running command line."""

    as_json: bool = False
    command: str = ""


class Deferred(TyperCommand):
    """A subcommand's name and summary; the rest is imported by `load`."""

    def __init__(self, name: str, entry: Entry) -> None:
        super().__init__(name, short_help=entry.summary, rich_help_panel=entry.panel)
        self.entry = entry

    def load(self) -> Any:
        """Import the module and build the command."""
        module, _, attribute = self.entry.target.partition(":")
        target = getattr(import_module(f"wearon_cli.commands.{module}"), attribute)
        command = _build(target, str(self.name))
        command.context_settings["auto_envvar_prefix"] = f"WEARON_{self.name}".upper()
        command.no_args_is_help = False  # a script needs an envelope, not a page of help
        for leaf in _leaves(command):
            leaf.help = _flowing(leaf.help or "")
            for param in leaf.params:
                param.allow_from_autoenv = param.name not in DECISIONS
            leaf.params.append(_json_option())
        for each in {id(each): each for each in (command, *_leaves(command))}.values():
            _make_plain(each)
        return command


class Wearon(TyperGroup):
    """The root: finds subcommands in the table, emits their results, maps their errors."""

    def __init__(self, **attrs: Any) -> None:
        super().__init__(**attrs)
        self.commands = {name: Deferred(name, entry) for name, entry in COMMANDS.items()}

    def get_params(self, ctx: Any) -> Any:
        """
        The options, none of whose flags is None.

        Typer's own flags are None unless given, and to check anything but a bool Typer imports
        pydantic, which takes a quarter of the time of `wearon COMMAND --help`.
        """
        options = super().get_params(ctx)
        for option in options:
            make_plain(option)
            if getattr(option, "is_flag", False) and option.default is None:
                option.default = False
        return options

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name, command, rest = super().resolve_command(ctx, args)
        return name, command.load() if isinstance(command, Deferred) else command, rest

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,  # noqa: ARG002 - part of the base's signature
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> Any:
        words = list(sys.argv[1:] if args is None else args)
        call = Invocation(as_json=_asks_for_json(words))

        def run() -> Any:
            return super(Wearon, self).main(
                words, prog_name, complete_var, False, windows_expand_args, obj=call, **extra
            )

        sys.exit(_guard(run, call))


def _guard(run: Any, call: Invocation) -> int:
    """Run a command line, report how it ended, and return the exit code."""
    try:
        try:
            answer = run()
        except Exception as exc:  # noqa: BLE001 - the top of the CLI: nothing may pass it unreported
            return _fail(_failure(exc, call), call)
        if answer is None and call.command:
            answer = Result()  # no result of its own; scripts still get an envelope
        if isinstance(answer, Result):
            emit(answer, command=call.command, as_json=call.as_json)
            return answer.exit_code
        # Typer turns Ctrl-C into the number 130, and `typer.Exit` into its own.
        code = answer if isinstance(answer, int) else 0
        return _fail(describe(Interrupted()), call) if code == Interrupted.exit_code else code
    except BrokenPipeError:
        silence_stdout()
        return BROKEN_PIPE_EXIT


def _fail(failure: Failure, call: Invocation) -> int:
    emit_failure(failure, command=call.command, as_json=call.as_json)
    return failure.exit_code


def _failure(exc: Exception, call: Invocation) -> Failure:
    if isinstance(exc, BrokenPipeError):
        raise exc
    if isinstance(exc, WearonError):
        return describe(exc)
    if isinstance(exc, typer.TyperException):
        return _usage_failure(exc, call)
    if isinstance(exc, typer.Abort):
        return describe(Interrupted())
    _log_traceback(exc)
    if isinstance(exc, ModuleNotFoundError):
        return Failure(
            code="unexpected",
            message=f"part of the installation is missing: {exc.name}",
            hint="reinstall wearon-cli",
            exit_code=WearonError.exit_code,
        )
    return Failure(
        code="unexpected",
        message=f"unexpected error ({type(exc).__name__})",
        hint="run it again with WEARON_LOG_LEVEL=debug and report the traceback",
        exit_code=WearonError.exit_code,
    )


def _usage_failure(exc: typer.TyperException, call: Invocation) -> Failure:
    context = getattr(exc, "ctx", None)
    call.command = call.command or _command_path(context)
    path = context.command_path if context else "wearon"
    return Failure(
        code="usage",
        message=exc.format_message().replace("Value error, ", ""),  # pydantic's prefix
        hint=f"{_meaning(exc)}try '{path} --help'",
        exit_code=USAGE_EXIT,
    )


def _meaning(exc: typer.TyperException) -> str:
    """The first sentence of the help of an option whose number is out of range; it has the unit."""
    if not isinstance(exc, typer.BadParameter) or "Input should be" not in exc.format_message():
        return ""
    told, _, _ = str(getattr(exc.param, "help", None) or "").partition(". ")
    return f"{told.rstrip('.')}; " if told else ""


def _log_traceback(exc: Exception) -> None:
    """Show the traceback when the log level is debug."""
    from wearon_cli.core.settings import load_settings  # imports pydantic

    try:
        wanted = load_settings().log_level == "debug"
    except WearonError:
        wanted = False
    if wanted:
        import traceback

        traceback.print_exception(exc, file=sys.stderr)


def _asks_for_json(words: Sequence[str]) -> bool:
    """Looked up before parsing, so that a command line that does not parse is answered in JSON
    too.
    """
    options = words[: words.index("--")] if "--" in words else words
    return "--json" in options


def _command_path(context: Any) -> str:
    names: list[str] = []
    while context is not None and context.parent is not None:
        names.insert(0, context.info_name)
        context = context.parent
    return " ".join(names)


def _build(target: Any, name: str) -> Any:
    if isinstance(target, typer.Typer):
        return typer.main.get_command(target)
    single = typer.Typer(add_completion=False)
    single.command(name)(target)
    return typer.main.get_command(single)


def _leaves(command: Any) -> list[Any]:
    if isinstance(command, TyperGroup):
        return [leaf for sub in command.commands.values() for leaf in _leaves(sub)]
    return [command]


def _make_plain(command: Any) -> None:
    """The parameters of a command and its `--help`, as the help page shows them."""
    context = typer.Context(command, help_option_names=HELP_NAMES)
    for param in (*command.params, command.get_help_option(context)):
        make_plain(param)


def _flowing(text: str) -> str:
    """A docstring with one line per paragraph, for the terminal's own width; examples are kept."""
    paragraphs = [
        part if part.startswith("  ") else " ".join(part.split())
        for part in cleandoc(text).split("\n\n")
    ]
    return "\n\n".join(paragraphs)


def _json_option() -> Any:
    """`--json`, which every command has; read first, so that later errors follow it."""

    def shape(
        as_json: Annotated[
            bool,
            typer.Option(
                "--json",
                envvar="WEARON_JSON",
                help="Print one JSON document, also on failure.",
                callback=_remember_call,
                is_eager=True,
                expose_value=False,
            ),
        ] = False,
    ) -> None: ...

    return _build(shape, "shape").params[0]


def _remember_call(ctx: typer.Context, value: bool) -> bool:
    call = ctx.find_root().obj
    call.command = _command_path(ctx)
    call.as_json = call.as_json or value
    return value


app = typer.Typer(
    cls=Wearon,
    name="wearon",
    context_settings={"help_option_names": HELP_NAMES},
    pretty_exceptions_enable=False,
)


@app.callback(invoke_without_command=True)
def root(
    ctx: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", is_eager=True)
    ] = False,
) -> None:
    """The WearOn virtual try-on worker and its operators' tools."""
    if version:
        typer.echo(f"wearon {__version__}")
        raise typer.Exit
    if ctx.invoked_subcommand is None:
        typer.echo(ctx.get_help())


def main() -> None:
    """Run the command line of this process."""
    if not SERVERS.intersection(sys.argv[1:2]):
        gc.set_threshold(FEW_COLLECTIONS)
        # At its end Python would look through all modules for garbage, several times.
        atexit.register(gc.freeze)
    # Pydantic would look for plugins in the metadata of every installed package: 10 to 30 ms.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "1")  # noqa: TID251 - read by no setting
    typer.main.get_command(app).main(prog_name="wearon")
