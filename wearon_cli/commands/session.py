"""`wearon session` and `wearon sessions`: what happened to one, and which there are."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from wearon_cli.cli.durations import SinceOption, ago
from wearon_cli.cli.durations import local as local_time
from wearon_cli.cli.operator import inspector, with_tools
from wearon_cli.cli.options import DataDirOption, LocalOption
from wearon_cli.cli.outcome import CREDIT_WORDS
from wearon_cli.cli.output import Result
from wearon_cli.core.errors import InputError
from wearon_cli.core.operator.figures import error_class
from wearon_cli.core.operator.replay import checked_session_id
from wearon_cli.core.operator.timeline import LOCATION_WORDS, Inspection
from wearon_cli.core.session import Session, Status, utc_now
from wearon_cli.wiring import OperatorTools

if TYPE_CHECKING:
    from wearon_cli.core.settings import Settings


def session(
    session_id: Annotated[str, typer.Argument(help="The session, from either table.")],
    local: LocalOption = False,
    data_dir: DataDirOption = None,
) -> Result:
    """
    Tell the whole inspection of one session.

    The row, what became of its credit, the ledger's entries, every attempt and paid call with its
    time and cost, the error that ended it, and where its job is now. Changes nothing. Stories are
    kept for seven days; the row and the ledger stay.

      wearon session 0193a1c0-7b1e-7c4a-9f00-3f2c6f0a9d01
    """
    wanted = checked_session_id(session_id)

    async def work(tools: OperatorTools, _: "Settings") -> Result:
        inspection = await inspector(tools).inspect(wanted)
        return Result(data=_facts(inspection), lines=[_sheet(inspection), "", *_events(inspection)])

    return with_tools(work, local=local, data_dir=data_dir)


def sessions(
    since: SinceOption = timedelta(hours=1),
    failed: Annotated[bool, typer.Option("--failed", help="Failed ones only.")] = False,
    status: Annotated[
        Status | None, typer.Option(help="Of this status only.", case_sensitive=False)
    ] = None,
    store: Annotated[str | None, typer.Option(help="Of this store or user only.")] = None,
    error: Annotated[
        str | None, typer.Option(help="Failed by this class of error only, as rate_limited.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="Most sessions shown.")] = 50,
    local: LocalOption = False,
    data_dir: DataDirOption = None,
) -> Result:
    """
    List sessions, newest first.

      wearon sessions --failed --since 2h

      wearon sessions --store STORE_ID --since 1d --json
    """
    if failed and status not in {None, Status.FAILED}:
        raise InputError("--failed and --status say different things", hint="give one of them")
    wanted = Status.FAILED if failed or error else status

    async def work(tools: OperatorTools, _: "Settings") -> Result:
        rows = await tools.sessions.since(utc_now() - since, limit=10_000)
        found = []
        for row in rows:
            if (wanted and row.status is not wanted) or (store and row.owner_id != store):
                continue
            code = await error_class(row, tools.journal) if row.status is Status.FAILED else None
            if error in {None, code}:
                found.append((row, code))
            if len(found) == limit:
                break
        data = {"sessions": [{**row_facts(row), "error_code": code} for row, code in found]}
        return Result(data=data, lines=[_list(found)] if found else ["no such sessions"])

    return with_tools(work, local=local, data_dir=data_dir)


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


def _facts(inspection: Inspection) -> dict[str, object]:
    return {
        **row_facts(inspection.session),
        "credit": inspection.credit,
        "place": inspection.location,
        "picture_stored": inspection.is_stored,
        "cost_usd": inspection.cost_usd,
        "calls_lost": inspection.calls_lost,
        "ledger": [
            {"kind": entry.kind, "amount": entry.amount, "at": entry.created_at}
            for entry in inspection.entries
        ],
        "events": list(inspection.events),
    }


def _sheet(inspection: Inspection) -> Table:
    row = inspection.session
    sheet = Table.grid(padding=(0, 2))
    sheet.add_column(style="dim")
    sheet.add_column(overflow="fold")
    kind = "store" if row.channel.value == "b2b" else "user"
    entries = ", ".join(
        f"{e.kind.value} {e.amount:+d} at {local_time(e.created_at)}" for e in inspection.entries
    )
    facts = [
        ("session", f"{row.session_id} ({row.channel.value})"),
        (kind, row.owner_id),
        ("made", f"{local_time(row.created_at)} ({ago(row.created_at)} ago)"),
        ("status", row.status.value),
        ("ended", local_time(row.completed_at) if row.completed_at else ""),
        ("shopper reads", row.error_message or ""),
        ("credit", CREDIT_WORDS[inspection.credit]),
        ("ledger", entries),
        ("picture", "stored" if inspection.is_stored else "none stored"),
        ("cost", f"${inspection.cost_usd:.4f}"),
        ("lost calls", str(inspection.calls_lost) if inspection.calls_lost else ""),
        ("request", row.request_id or ""),
        ("now", LOCATION_WORDS[inspection.location]),
    ]
    for name, fact in facts:
        if fact:
            sheet.add_row(name, fact)
    return sheet


def _events(inspection: Inspection) -> list[str]:
    if not inspection.events:
        return ["no inspection is kept of it (any more)"]
    return [_event(event) for event in inspection.events]


def _event(event: Mapping[str, object]) -> str:
    at = datetime.fromisoformat(str(event["at"]))
    facts = " ".join(
        f"{name}={value}" for name, value in event.items() if name not in {"at", "event"}
    )
    return f"  {local_time(at)}  {event['event']:<20} {facts}".rstrip()


def _list(found: list[tuple[Session, str | None]]) -> Table:
    table = Table("session", "made", "status", "why", box=None, pad_edge=False)
    for row, code in found:
        table.add_row(row.session_id, f"{ago(row.created_at)} ago", row.status.value, code or "")
    return table
