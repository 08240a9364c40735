"""Asks before anything is spent, refunded, replaced or deleted."""

import sys
from typing import Annotated

import typer

from wearon_cli.core.errors import ConsentMissing, Interrupted

YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")]


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
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise ConsentMissing(
            f"{question.rstrip('?')}: needs confirmation, but there is no terminal",
            hint="add --yes; use --dry-run, where available, to preview first",
        )
    if not typer.confirm(question, err=True):
        raise Interrupted("nothing was changed")
