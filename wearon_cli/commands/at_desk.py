"""Running a piece of work at the operators' desk, of production or of a local stack."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from wearon_cli.commands.stack import desk_settings
from wearon_cli.core.desk.story import Teller
from wearon_cli.core.settings import Settings
from wearon_cli.output import Result
from wearon_cli.wiring import Desk, open_desk


def at_desk(
    work: Callable[[Desk, Settings], Awaitable[Result]], *, local: bool, data_dir: Path | None
) -> Result:
    """Open the desk, do the work, close it."""

    async def run(settings: Settings) -> Result:
        async with open_desk(settings) as desk:
            return await work(desk, settings)

    with desk_settings(local, data_dir, needs_workers=False) as settings:
        return asyncio.run(run(settings))


def teller(desk: Desk) -> Teller:
    """Whoever tells stories at this desk."""
    return Teller(
        sessions=desk.sessions,
        ledger=desk.ledger,
        storage=desk.storage,
        intake=desk.intake,
        journal=desk.journal,
    )
