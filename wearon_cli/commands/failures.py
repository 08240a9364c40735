"""`wearon failures`: how many jobs failed, by cause, provider's code, model, store or day."""

from typing import TYPE_CHECKING, Annotated

import typer

from wearon_cli.cli.durations import A_WEEK, SinceOption
from wearon_cli.cli.operator import with_tools
from wearon_cli.cli.options import DataDirOption, LocalOption
from wearon_cli.cli.output import Result
from wearon_cli.core.operator.days import whole_days
from wearon_cli.core.operator.failures import FailuresBy
from wearon_cli.core.operator.failures import failures as parted
from wearon_cli.core.session import utc_now

if TYPE_CHECKING:
    from wearon_cli.core.settings import Settings
    from wearon_cli.wiring.operator import OperatorTools


def failures(
    by: Annotated[FailuresBy, typer.Option(help="Group by.")] = FailuresBy.CAUSE,
    since: SinceOption = A_WEEK,
    local: LocalOption = False,
    data_dir: DataDirOption = None,
) -> Result:
    """
    Count failed jobs by cause, provider's error code, model, provider, store or day.

    Jobs are counted when they end; the counts are kept for 400 days, much longer than the
    timelines. A session that fails, is replayed and fails again counts twice. Days are whole UTC
    days: --since 2h means all of today.

      wearon failures --by model --since 30d

      wearon failures --by code
    """

    async def work(tools: "OperatorTools", _: "Settings") -> Result:
        from wearon_cli.cli.bars import bars
        from wearon_cli.cli.tables import Column, fitted

        first, last = whole_days(since, now=utc_now())
        lines = parted(await tools.failures.failures(first, last), by)
        total = sum(line.jobs for line in lines)
        jobs = [line.jobs for line in lines]
        table = fitted(
            [
                Column(name=by.value, cells=[*(line.name for line in lines), "total"]),
                Column(name="failed jobs", cells=[*map(str, jobs), str(total)], is_number=True),
                Column(name="share", cells=[*bars(jobs), ""], rank=1),
            ]
        )
        data = {"by": by, "since": first, "until": last, "lines": lines, "jobs": total}
        return Result(data=data, lines=[table])

    return with_tools(work, local=local, data_dir=data_dir)
