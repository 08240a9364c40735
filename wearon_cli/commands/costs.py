"""`wearon costs`: what pictures cost, by store, day or model."""

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from wearon_cli.cli.durations import SinceOption
from wearon_cli.cli.operator import with_tools
from wearon_cli.cli.options import DataDirOption, LocalOption
from wearon_cli.cli.output import Result
from wearon_cli.core.operator.figures import By
from wearon_cli.core.operator.figures import costs as parted
from wearon_cli.core.session import utc_now
from wearon_cli.wiring import OperatorTools

if TYPE_CHECKING:
    from wearon_cli.core.settings import Settings


def costs(
    by: Annotated[By, typer.Option(help="How to part them.")] = By.DAY,
    since: SinceOption = timedelta(days=7),
    limit: Annotated[int, typer.Option(min=1, max=1_000_000, help="Most rows read.")] = 50_000,
    local: LocalOption = False,
    data_dir: DataDirOption = None,
) -> Result:
    """
    Add up what pictures cost.

    Estimates of completed sessions, by the model's prices when they were made. What lost calls may
    have cost is not in them: `wearon session` shows those. Which model made a picture is known for
    seven days.

      wearon costs --by store --since 30d
    """

    async def work(tools: OperatorTools, _: "Settings") -> Result:
        rows = await tools.sessions.since(utc_now() - since, limit=limit)
        lines = await parted(rows, by, tools.journal)
        total = sum(line.cost_usd for line in lines)
        table = Table(by.value, "pictures", "USD", box=None, pad_edge=False)
        for line in lines:
            table.add_row(line.name, str(line.pictures), f"{line.cost_usd:.2f}")
        table.add_row("total", str(sum(line.pictures for line in lines)), f"{total:.2f}")
        data = {"by": by, "lines": lines, "total_usd": total, "is_whole": len(rows) < limit}
        return Result(data=data, lines=[table])

    return with_tools(work, local=local, data_dir=data_dir)
