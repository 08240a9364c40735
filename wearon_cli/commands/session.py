"""`wearon session`: everything known about one session."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wearon_cli.cli.operator import with_tools
from wearon_cli.cli.options import DataDirOption, LocalOption
from wearon_cli.cli.output import Result
from wearon_cli.cli.session_facts import row_facts

if TYPE_CHECKING:
    from wearon_cli.core.jobs.halts import HaltState
    from wearon_cli.core.operator.inputs import InputPicture
    from wearon_cli.core.operator.inspector import SessionReport
    from wearon_cli.core.settings import Settings
    from wearon_cli.wiring.operator import OperatorTools

OpenOption = Annotated[bool, typer.Option("--open", help="Show the session's pictures.")]
SaveOption = Annotated[
    Path | None,
    typer.Option("--save", file_okay=False, help="Save the session's pictures to this folder."),
]


def session(
    session_id: Annotated[str, typer.Argument(help="Session id (b2c or b2b).")],
    opens: OpenOption = False,
    save: SaveOption = None,
    local: LocalOption = False,
    data_dir: DataDirOption = None,
    *,
    ctx: typer.Context,
) -> Result:
    """
    Show everything known about one session.

    Shows the row, the state of its credit and the reason, the ledger entries, the pictures, the
    cost, every attempt and purchase, the error that ended it, and where its job is now. Read-only.
    The timeline is kept for 7 days and a summary for 90; the row and the ledger entries are never
    deleted.

    --open shows the person, the garment and the result in the terminal (kitty, iTerm2 or sixel) or
    in the desktop's image viewer. --save saves them to a folder. Both print links to the files.

      wearon session 0193a1c0-7b1e-7c4a-9f00-3f2c6f0a9d01

      wearon session 0193a1c0-7b1e-7c4a-9f00-3f2c6f0a9d01 --save pictures/
    """
    from wearon_cli.core.operator.inspector import checked_session_id

    wanted = checked_session_id(session_id)
    as_json = ctx.find_root().obj.as_json

    wants_pictures = opens or save is not None

    async def work(tools: "OperatorTools", settings: "Settings") -> Result:
        report = await tools.inspector.inspect(wanted)
        inputs = await tools.inspector.input_pictures(report)
        halt, refund_at = await _halt(tools, settings, report)
        saved, pictures = [], []
        if wants_pictures:
            from wearon_cli.cli.session_pictures import save_pictures, shown

            saved = await save_pictures(report, inputs, tools.storage, save)
            pictures = [] if as_json else ["", *await shown(saved, settings, opens=opens)]
        from wearon_cli.cli.session_sheet import session_lines

        return Result(
            data={
                **_facts(report, inputs),
                "halt": halt,
                "refund_at": refund_at,
                **({"pictures": saved} if wants_pictures else {}),
            },
            lines=[*session_lines(report, inputs, halt, refund_at), *pictures],
        )

    return with_tools(work, local=local, data_dir=data_dir)


async def _halt(
    tools: "OperatorTools", settings: "Settings", report: "SessionReport"
) -> tuple["HaltState | None", datetime | None]:
    """What keeps its job waiting, and when its credit is returned if that continues."""
    from wearon_cli.core.jobs.halts import halt_state, refund_at

    if report.job is None:
        return None, None
    halt = halt_state((await tools.queue_stats.look()).halts, settings)
    return halt, refund_at(halt, report.session, report.job, settings)


def _facts(report: "SessionReport", inputs: "Sequence[InputPicture]") -> dict[str, object]:
    record = report.record
    return {
        **row_facts(report.session),
        "credit": report.credit.state,
        "credit_reason": report.credit.reason,
        "error_code": report.error_class,
        "job": report.location,
        "picture_stored": report.is_stored,
        "inputs": [{"kind": each.kind, "state": each.state} for each in inputs],
        "cost_usd": round(report.cost_usd, 6),
        "purchases": record.purchases if record else None,
        "purchases_lost": record.purchases_lost if record else None,
        "replays": record.replays if record else None,
        "attempts": record.attempts if record else None,
        "failed_call": record.failed_call if record else None,
        "ledger": [
            {"kind": entry.kind, "amount": entry.amount, "at": entry.created_at}
            for entry in report.facts.entries
        ],
        "timeline": list(report.timeline),
    }
