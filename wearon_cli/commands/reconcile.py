"""`wearon reconcile`: rows, credits, pictures and jobs, compared."""

from collections import Counter
from typing import TYPE_CHECKING, Annotated

import typer

from wearon_cli.cli.consent import YesOption, consent
from wearon_cli.cli.durations import A_DAY, SinceOption, ago
from wearon_cli.cli.operator import operator_name, with_tools
from wearon_cli.cli.options import DataDirOption, LocalOption, OperatorOption
from wearon_cli.cli.output import Result
from wearon_cli.core.errors import NeedsAPerson
from wearon_cli.core.session import utc_now

if TYPE_CHECKING:
    from rich.text import Text

    from wearon_cli.core.operator.reconcile import Case
    from wearon_cli.core.settings import Settings
    from wearon_cli.wiring.operator import OperatorTools


def reconcile(
    since: SinceOption = A_DAY,
    fix: Annotated[bool, typer.Option("--fix", help="Fix what is proved wrong.")] = False,
    yes: YesOption = False,
    limit: Annotated[
        int, typer.Option(min=1, max=100_000, help="Compare at most this many sessions.")
    ] = 2000,
    operator: OperatorOption = None,
    local: LocalOption = False,
    data_dir: DataDirOption = None,
) -> Result:
    """
    Compare sessions, ledger, pictures and jobs, and list the discrepancies.

    Skips rows younger than two minutes and sessions a worker holds. Without --fix it changes
    nothing. With --fix it asks first, then returns credits that are proved owed and hands stuck
    sessions to the workers; it reads each session again just before. If the records do not show
    whether a credit was returned, it leaves the session for a person to decide.

    Exit codes: 0 no discrepancies are left, 5 some need a person.
    """

    by = operator_name(operator)

    async def work(tools: "OperatorTools", _: "Settings") -> Result:
        looked_at, cases = await tools.reconciler.find(utc_now() - since, limit=limit)
        fixable = [case for case in cases if case.is_fixable]
        if fix and fixable:
            question = (
                f"fix {len(fixable)} cases (return credits, hand stuck sessions to the workers)?"
            )
            await consent(question, yes=yes)
            cases = [await tools.reconciler.fix(case, by=by) for case in cases]
        left = [case for case in cases if case.is_left]
        error = NeedsAPerson(f"{len(left)} of {looked_at} sessions need a person")
        return Result(
            data={
                "looked_at": looked_at,
                "is_whole": looked_at < limit,
                "cases": [_facts(case) for case in cases],
            },
            lines=_report_lines(looked_at, limit, cases),
            error=error if left else None,
        )

    return with_tools(work, local=local, data_dir=data_dir, needs_whole_view=True)


def _facts(case: "Case") -> dict[str, object]:
    row = case.session
    return {
        "session_id": row.session_id,
        "channel": row.channel,
        "owner_id": row.owner_id,
        "status": row.status if case.was_created else None,
        "discrepancy": case.discrepancy,
        "reason": case.reason,
        "needs_a_person": case.is_left,
        "hint": case.hint,
        "fixed": case.fixed,
        "refused": case.refused,
    }


def _report_lines(looked_at: int, limit: int, cases: "list[Case]") -> list[object]:
    part = ["there are more sessions: raise --limit"] if looked_at >= limit else []
    if not cases:
        return [f"{looked_at} sessions compared: no discrepancies", *part]
    return [
        f"{looked_at} sessions compared, {len(cases)} with discrepancies:",
        "",
        *_case_lines(cases),
        *part,
    ]


def _case_lines(cases: "list[Case]") -> list[object]:
    from wearon_cli.cli.tables import Column, fitted
    from wearon_cli.core.operator.reconcile import HINTS, Discrepancy

    table = fitted(
        [
            Column(name="session", cells=[case.session.session_id for case in cases]),
            Column(
                name="created",
                cells=[f"{ago(case.session.created_at)} ago" for case in cases],
                rank=2,
            ),
            Column(name="discrepancy", cells=[_discrepancy(case) for case in cases]),
            Column(name="done", cells=[_done(case) for case in cases], rank=1, least=10),
            Column(name="store or user", cells=[case.session.owner_id for case in cases], rank=3),
        ]
    )
    kinds = Counter(case.discrepancy for case in cases if not case.fixed)
    hints = [f"  {kind.value} ({count}): {HINTS[kind]}" for kind, count in kinds.items()]
    reasons = [
        f"  {case.session.session_id}: {case.reason}"
        for case in cases
        if not case.fixed and case.discrepancy is Discrepancy.CREDIT_UNCLEAR
    ]
    return [table, "", *hints, *reasons]


def _discrepancy(case: "Case") -> "Text":
    from wearon_cli.cli.looks import Tone

    tone = Tone.OK if case.fixed else Tone.FAILED if case.is_left else Tone.WARNING
    return tone.text(case.discrepancy.value)


def _done(case: "Case") -> str:
    return case.fixed or (f"refused: {case.refused}" if case.refused else "-")
