"""`wearon reconcile`: rows, credits, pictures and jobs, compared."""

from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from wearon_cli.cli.durations import SinceOption, ago
from wearon_cli.cli.operator import inspector, with_tools
from wearon_cli.cli.options import DataDirOption, LocalOption
from wearon_cli.cli.output import Result
from wearon_cli.core.errors import NeedsAPerson
from wearon_cli.core.operator.reconcile import HINTS, Case, Reconciler
from wearon_cli.core.session import utc_now
from wearon_cli.wiring import OperatorTools

if TYPE_CHECKING:
    from wearon_cli.core.settings import Settings


def reconcile(
    since: SinceOption = timedelta(days=1),
    fix: Annotated[bool, typer.Option("--fix", help="Mend what is safe to mend.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="Most rows compared.")] = 2000,
    local: LocalOption = False,
    data_dir: DataDirOption = None,
) -> Result:
    """
    Compare sessions, ledger, pictures and jobs, and list what does not fit together.

    Finds sessions that are stuck without a job, failed ones whose credit was not returned, credits
    returned twice, completed ones without a picture, pictures of failed ones, and overages that a
    person must handle. Rows younger than two minutes are left alone. Without --fix it changes
    nothing; with it, stuck sessions go to the workers and missing refunds are given, by the same
    rules as always, so that doing it twice does no harm.

    Exit codes: 0 all fits, or all that did not was mended; 5 something is left for a person.
    """

    async def work(tools: OperatorTools, settings: "Settings") -> Result:
        found = _reconciler(tools, settings)
        looked_at, cases = await found.find(utc_now() - since, limit=limit)
        if fix:
            cases = [await found.fix(case) for case in cases]
        left = [case for case in cases if not case.fixed]
        return Result(
            data={"looked_at": looked_at, "cases": [_facts(case) for case in cases]},
            lines=_told(looked_at, cases),
            error=NeedsAPerson(f"{len(left)} of {looked_at} sessions need looking at")
            if left
            else None,
        )

    return with_tools(work, local=local, data_dir=data_dir)


def _reconciler(tools: OperatorTools, settings: "Settings") -> Reconciler:
    return Reconciler(
        sessions=tools.sessions,
        ledger=tools.ledger,
        journal=tools.journal,
        waker=tools.waker,
        inspector=inspector(tools),
        settlement=tools.settlement,
        orphan_age_s=settings.orphan_age_s,
    )


def _facts(case: Case) -> dict[str, object]:
    row = case.session
    return {
        "session_id": row.session_id,
        "channel": row.channel,
        "owner_id": row.owner_id,
        "status": row.status,
        "discrepancy": case.discrepancy,
        "hint": case.hint,
        "fixed": case.fixed or None,
    }


def _told(looked_at: int, cases: list[Case]) -> list[object]:
    if not cases:
        return [f"{looked_at} sessions compared: all of them fit together"]
    table = Table("session", "made", "discrepancy", "done", box=None, pad_edge=False)
    for case in cases:
        row = case.session
        table.add_row(
            row.session_id, f"{ago(row.created_at)} ago", case.discrepancy.value, case.fixed or "-"
        )
    kinds = Counter(case.discrepancy for case in cases)
    advice = [f"  {kind.value} ({count}): {HINTS[kind]}" for kind, count in kinds.items()]
    return [f"{looked_at} sessions compared, {len(cases)} do not fit:", "", table, "", *advice]
