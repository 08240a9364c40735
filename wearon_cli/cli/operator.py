"""Runs work with the operator tools, of production or of a local stack."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING

from wearon_cli.cli.output import Result
from wearon_cli.cli.stack import stack_settings
from wearon_cli.core.operator.timeline import Inspector
from wearon_cli.wiring import OperatorTools, open_operator_tools

if TYPE_CHECKING:
    from wearon_cli.core.settings import Settings


def with_tools(
    work: "Callable[[OperatorTools, Settings], Awaitable[Result]]",
    *,
    local: bool,
    data_dir: Path | None,
) -> Result:
    """Open the tools, do the work, close them."""
    import asyncio  # a page of help does without

    async def run(settings: "Settings") -> Result:
        async with open_operator_tools(settings) as tools:
            return await work(tools, settings)

    with stack_settings(local, data_dir, needs_workers=False) as settings:
        return asyncio.run(run(settings))


def inspector(tools: OperatorTools) -> Inspector:
    """The inspector over these tools."""
    return Inspector(
        sessions=tools.sessions,
        ledger=tools.ledger,
        storage=tools.storage,
        intake=tools.intake,
        journal=tools.journal,
    )
