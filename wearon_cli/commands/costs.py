"""`wearon costs`: what was paid for pictures, by day, store, model, provider or outcome."""

from typing import TYPE_CHECKING, Annotated

import typer

from wearon_cli.cli.durations import A_WEEK, SinceOption
from wearon_cli.cli.operator import with_tools
from wearon_cli.cli.options import DataDirOption, LocalOption
from wearon_cli.cli.output import Result
from wearon_cli.core.operator.costs import GroupBy
from wearon_cli.core.operator.costs import costs as parted
from wearon_cli.core.operator.days import whole_days
from wearon_cli.core.session import utc_now

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

    from wearon_cli.core.operator.costs import Cost
    from wearon_cli.core.settings import Settings
    from wearon_cli.wiring.operator import OperatorTools


def costs(
    by: Annotated[GroupBy, typer.Option(help="Group by.")] = GroupBy.DAY,
    since: SinceOption = A_WEEK,
    local: LocalOption = False,
    data_dir: DataDirOption = None,
) -> Result:
    """
    Add up what was paid for pictures, including lost ones.

    Reads the workers' book of purchases. Every paid call counts, even if its picture was replaced,
    unusable or lost. A lost one counts at its expected price, because it may have been billed. Days
    are whole UTC days: --since 2h means all of today.

      wearon costs --by store --since 30d

      wearon costs --by outcome
    """

    async def work(tools: "OperatorTools", _: "Settings") -> Result:
        first, last = whole_days(since, now=utc_now())
        lines = parted(await tools.book.rows(first, last), by)
        purchases = sum(line.purchases for line in lines)
        total_usd = sum(line.cost_usd for line in lines)
        data = {
            "by": by,
            "since": first,
            "until": last,
            "lines": lines,
            "purchases": purchases,
            "total_usd": round(total_usd, 6),
        }
        return Result(data=data, lines=[_table(by, lines, purchases, total_usd)])

    return with_tools(work, local=local, data_dir=data_dir)


def _table(
    by: GroupBy, lines: "Sequence[Cost]", purchases: int, total_usd: float
) -> "RenderableType":
    from wearon_cli.cli.bars import bars
    from wearon_cli.cli.tables import Column, fitted

    usd = [line.cost_usd for line in lines]
    return fitted(
        [
            Column(name=by.value, cells=[*(line.name for line in lines), "total"]),
            Column(
                name="purchases",
                cells=[*(str(line.purchases) for line in lines), str(purchases)],
                is_number=True,
            ),
            Column(
                name="USD",
                cells=[*(f"{each:.2f}" for each in usd), f"{total_usd:.2f}"],
                is_number=True,
            ),
            Column(name="share", cells=[*bars(usd), ""], rank=1),
        ]
    )
