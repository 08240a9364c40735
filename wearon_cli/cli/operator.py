"""Runs work with the operator tools of production or of a local stack."""

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from wearon_cli.cli.output import Result
from wearon_cli.cli.stack import stack_settings
from wearon_cli.core.errors import InputError

if TYPE_CHECKING:
    from wearon_cli.core.settings import Settings
    from wearon_cli.wiring.operator import OperatorTools

#: Long enough for a person's name or handle.
MAX_NAME_CHARS: Final = 80


def with_tools(
    work: "Callable[[OperatorTools, Settings], Awaitable[Result]]",
    *,
    local: bool,
    data_dir: Path | None,
    needs_workers: bool = False,
    needs_whole_view: bool = False,
) -> Result:
    """
    Open the tools, do the work, close them.

    Args:
        work: x
        data_dir: Its data folder.
        needs_workers: If the local stack is not running, start it with its workers.
        needs_whole_view: Refuse a key that sees only some of the rows.
    """

    async def run(settings: "Settings") -> Result:
        from wearon_cli.wiring.operator import open_operator_tools

        async with open_operator_tools(settings, needs_whole_view=needs_whole_view) as tools:
            return await work(tools, settings)

    with stack_settings(local, data_dir, needs_workers=needs_workers) as settings:
        return asyncio.run(run(settings))


def operator_name(given: str | None = None) -> str:
    """
    The operator's name, for the timeline: the name given with `--as`, else this user and machine.

    Raises:
        InputError: It is not a name: empty, too long, or with invisible characters.
    """
    if given is None:
        return _system_user()
    name = " ".join(given.split())
    if not 1 <= len(name) <= MAX_NAME_CHARS or not name.isprintable():
        raise InputError(
            "--as is not a valid name", hint=f"use 1 to {MAX_NAME_CHARS} printable characters"
        )
    return name


def _system_user() -> str:
    try:
        import pwd

        user = pwd.getpwuid(os.getuid()).pw_name
    except (ImportError, KeyError, AttributeError):
        user = "unknown"
    return f"{user}@{socket.gethostname()}"
