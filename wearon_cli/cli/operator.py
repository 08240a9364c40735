"""Running a piece of work with the operator tools, of production or of a local stack."""

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING

from wearon_cli.cli.output import Result
from wearon_cli.cli.stack import stack_settings

if TYPE_CHECKING:
    from wearon_cli.core.settings import Settings
    from wearon_cli.wiring.operator import OperatorTools


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
        work: Gets the tools.
        local: Of the local stack.
        data_dir: Its data folder.
        needs_workers: A local stack that does not run is started with its workers.
        needs_whole_view: Refuse a key that sees only a part of the rows.
    """

    async def run(settings: "Settings") -> Result:
        from wearon_cli.wiring.operator import open_operator_tools

        async with open_operator_tools(settings, needs_whole_view=needs_whole_view) as tools:
            return await work(tools, settings)

    with stack_settings(local, data_dir, needs_workers=needs_workers) as settings:
        return asyncio.run(run(settings))


def operator_name() -> str:
    """Who runs this command, for the timeline: the user and the machine."""
    try:
        import pwd

        user = pwd.getpwuid(os.getuid()).pw_name
    except (ImportError, KeyError, AttributeError):
        user = "unknown"
    return f"{user}@{socket.gethostname()}"
