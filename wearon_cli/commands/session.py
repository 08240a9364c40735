"""`wearon session` and `wearon sessions`: one session in detail, and the list."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wearon_cli.cli.durations import AN_HOUR, SinceOption
from wearon_cli.cli.operator import with_tools
from wearon_cli.cli.options import DataDirOption, LocalOption
from wearon_cli.cli.output import Result
from wearon_cli.core.errors import InputError
from wearon_cli.core.operator.filters import checked_error_class, near_owners
from wearon_cli.core.operator.inputs import InputPicture
from wearon_cli.core.operator.inspector import (
    SEARCHED,
    Found,
    Search,
    SessionReport,
    checked_session_id,
)
from wearon_cli.core.session import Session, Status, utc_now

if TYPE_CHECKING:
    from wearon_cli.core.jobs.halts import HaltState
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
    wanted = checked_session_id(session_id)
    as_json = ctx.find_root().obj.as_json

    wants_pictures = opens or save is not None

    async def work(tools: "OperatorTools", settings: "Settings") -> Result:
        from wearon_cli.cli.session_sheet import session_lines

        report = await tools.inspector.inspect(wanted)
        inputs = await tools.inspector.input_pictures(report)
        halt, refund_at = await _halt(tools, settings, report)
        saved, pictures = [], []
        if wants_pictures:
            from wearon_cli.cli.session_pictures import save_pictures, shown

            saved = await save_pictures(report, inputs, tools.storage, save)
            pictures = [] if as_json else ["", *await shown(saved, settings, opens=opens)]
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
    tools: "OperatorTools", settings: "Settings", report: SessionReport
) -> tuple["HaltState | None", datetime | None]:
    """What keeps its job waiting, and when its credit is returned if that continues."""
    from wearon_cli.core.jobs.halts import halt_state, refund_at

    if report.job is None:
        return None, None
    halt = halt_state((await tools.queue_stats.look()).halts, settings)
    return halt, refund_at(halt, report.session, report.job, settings)


def sessions(
    since: SinceOption = AN_HOUR,
    failed: Annotated[bool, typer.Option("--failed", help="Only failed sessions.")] = False,
    status: Annotated[
        Status | None, typer.Option(help="Only sessions with this status.", case_sensitive=False)
    ] = None,
    store: Annotated[str | None, typer.Option(help="Only sessions of this store or user.")] = None,
    error: Annotated[
        str | None,
        typer.Option(help="Only sessions that failed with this error class, such as rate_limited."),
    ] = None,
    suspect: Annotated[
        bool,
        typer.Option("--suspect", help="Only ended sessions whose pictures failed a check."),
    ] = False,
    limit: Annotated[
        int, typer.Option(min=1, max=10_000, help="Show at most this many sessions.")
    ] = 50,
    local: LocalOption = False,
    data_dir: DataDirOption = None,
) -> Result:
    """
    List sessions, newest first.

      wearon sessions --failed --since 2h

      wearon sessions --store STORE_ID --since 1d --json

      wearon sessions --suspect --since 1d
    """
    if failed and status not in {None, Status.FAILED}:
        raise InputError("--failed and --status contradict each other", hint="use one of them")
    error_class = checked_error_class(error)
    wanted = Status.FAILED if failed or error else status

    async def work(tools: "OperatorTools", _: "Settings") -> Result:
        from wearon_cli.cli.session_table import sessions_table

        found = await tools.inspector.search(
            Search(
                since=utc_now() - since,
                statuses={wanted} if wanted else (),
                owner_id=store,
                error_class=error_class,
                is_suspect=suspect,
                limit=limit,
            )
        )
        lines = [sessions_table(found)] if found else await _no_such(store, since, tools)
        data = {"sessions": [_found_facts(each, suspect=suspect) for each in found]}
        return Result(data=data, lines=lines)

    return with_tools(work, local=local, data_dir=data_dir)


def _found_facts(found: Found, *, suspect: bool) -> dict[str, object]:
    facts = {**row_facts(found.session), "error_code": found.error_class}
    return {**facts, "suspicions": found.suspicions} if suspect else facts


async def _no_such(store: str | None, since: timedelta, tools: "OperatorTools") -> list[object]:
    """After an empty answer: says that a store or user has no sessions, or names similar ones."""
    lines: list[object] = ["no sessions found"]
    if store is not None:
        rows = await tools.sessions.since(utc_now() - since, limit=SEARCHED)
        if near := near_owners(store, rows):
            lines.append(
                f"no sessions of store or user {store} in this period; there are some of "
                f"{', '.join(near)}"
            )
    return lines


def row_facts(row: Session) -> dict[str, object]:
    """A row as JSON keys; addresses are left out, since they grant access."""
    return {
        "session_id": row.session_id,
        "channel": row.channel,
        "owner_id": row.owner_id,
        "status": row.status,
        "created_at": row.created_at,
        "completed_at": row.completed_at,
        "message": row.error_message,
        "request_id": row.request_id,
        "cost_usd": row.estimated_cost_usd,
        "processing_time_ms": row.processing_time_ms,
    }


def _facts(report: SessionReport, inputs: Sequence[InputPicture]) -> dict[str, object]:
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
