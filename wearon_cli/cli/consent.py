"""Asks before anything is spent, refunded, replaced or deleted."""

import asyncio
import sys
from typing import Annotated, Final

import typer

from wearon_cli.core.errors import ConsentMissing, Interrupted

YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")]

#: What an answer may be, in lower case; Enter alone is a no.
_YES: Final = ("y", "yes")
_NO: Final = ("", "n", "no")


async def consent(question: str, *, yes: bool) -> None:
    """
    As `require_consent`, without stopping the event loop.

    The line is read when the terminal has it. A thread that reads would go on waiting for it after
    Ctrl-C, and Python would wait for the thread.
    """
    if yes or not _has_terminal():
        require_consent(question, yes=yes)
        return
    while (answer := await _typed(f"{question} [y/N]: ")) not in _YES + _NO:
        typer.echo("Error: answer y or n", err=True)
    if answer in _NO:
        raise Interrupted("nothing was changed")


async def _typed(prompt: str) -> str:
    """
    A line of the terminal, in lower case.

    Raises:
        Interrupted: Ctrl-D.
    """
    typer.echo(prompt, nl=False, err=True)
    loop, typed = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(sys.stdin.fileno(), typed.set)
    try:
        await typed.wait()
    finally:
        loop.remove_reader(sys.stdin.fileno())
    line = sys.stdin.readline()
    if not line:
        typer.echo(err=True)
        raise Interrupted("nothing was changed")
    return line.strip().lower()


def _has_terminal() -> bool:
    return sys.stdin.isatty() and sys.stderr.isatty()


def require_consent(question: str, *, yes: bool) -> None:
    """
    Require confirmation: `--yes`, or an answer on the terminal.

    Args:
        question: What will be done, as a question.
        yes: `--yes` was given.

    Raises:
        ConsentMissing: There is no terminal to ask on.
        Interrupted: The answer was no.
    """
    if yes:
        return
    if not _has_terminal():
        raise ConsentMissing(
            f"{question.rstrip('?')}: needs confirmation, but there is no terminal",
            hint="add --yes; use --dry-run, where available, to preview first",
        )
    if not typer.confirm(question, err=True):
        raise Interrupted("nothing was changed")
