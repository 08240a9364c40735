"""`wearon session` and `wearon sessions`: what happened to one, and which there are."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.table import Table

from wearon_cli.cli.durations import AN_HOUR, SinceOption, ago
from wearon_cli.cli.durations import local as local_time
from wearon_cli.cli.operator import with_tools
from wearon_cli.cli.options import DataDirOption, LocalOption
from wearon_cli.cli.output import Result
from wearon_cli.core.errors import InputError
from wearon_cli.core.image_models import PREVIEW
from wearon_cli.core.operator.filters import checked_error_class, near_owners
from wearon_cli.core.operator.inputs import InputPicture
from wearon_cli.core.operator.inspector import (
    SEARCHED,
    Found,
    Search,
    SessionReport,
    checked_session_id,
)
from wearon_cli.core.operator.words import LOCATION_WORDS, credit_sentence
from wearon_cli.core.session import Channel, Session, Status, utc_now

if TYPE_CHECKING:
    from wearon_cli.core.jobs.halts import HaltState
    from wearon_cli.core.settings import Settings
    from wearon_cli.wiring.operator import OperatorTools

#: Members of a timeline's line that have a column of their own.
_HEAD: Final = frozenset({"at", "event"})


def session(
    session_id: Annotated[str, typer.Argument(help="The session, from either table.")],
    local: LocalOption = False,
    data_dir: DataDirOption = None,
) -> Result:
    """
    Tell everything that is known of one session.

    The row, what became of its credit and why that is known, the ledger's entries, its pictures,
    what was paid, every attempt and purchase with its time, the error that ended it, and where its
    job is now. Changes nothing. A timeline is kept for seven days, a record of it for 90; the row
    and the ledger stay.

      wearon session 0193a1c0-7b1e-7c4a-9f00-3f2c6f0a9d01
    """
    wanted = checked_session_id(session_id)

    async def work(tools: "OperatorTools", settings: "Settings") -> Result:
        report = await tools.inspector.inspect(wanted)
        inputs = await tools.inspector.input_pictures(report)
        halt, refund_at = await _halt(tools, settings, report)
        return Result(
            data={**_facts(report, inputs), "halt": halt, "refund_at": refund_at},
            lines=[_sheet(report, inputs), *_halt_lines(halt, refund_at), "", _timeline(report)],
        )

    return with_tools(work, local=local, data_dir=data_dir)


async def _halt(
    tools: "OperatorTools", settings: "Settings", report: SessionReport
) -> tuple["HaltState | None", datetime | None]:
    """What keeps its job waiting, and when its credit goes back if that goes on."""
    from wearon_cli.core.jobs.halts import halt_state, refund_at

    if report.job is None:
        return None, None
    halt = halt_state((await tools.queue_stats.look()).halts, settings)
    return halt, refund_at(halt, report.session, report.job, settings)


def _halt_lines(halt: "HaltState | None", refund_at: datetime | None) -> list[str]:
    lines = halt.lines() if halt else []
    if refund_at is not None:
        lines.append(f"unless that ends, this job's credit goes back at {refund_at:%H:%M:%S UTC}")
    return lines


def sessions(
    since: SinceOption = AN_HOUR,
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
    error_class = checked_error_class(error)
    wanted = Status.FAILED if failed or error else status

    async def work(tools: "OperatorTools", _: "Settings") -> Result:
        found = await tools.inspector.search(
            Search(
                since=utc_now() - since,
                statuses={wanted} if wanted else (),
                owner_id=store,
                error_class=error_class,
                limit=limit,
            )
        )
        lines = [_list(found)] if found else await _no_such(store, since, tools)
        data = {
            "sessions": [
                {**row_facts(each.session), "error_code": each.error_class} for each in found
            ]
        }
        return Result(data=data, lines=lines)

    return with_tools(work, local=local, data_dir=data_dir)


async def _no_such(store: str | None, since: timedelta, tools: "OperatorTools") -> list[object]:
    """Nothing was found: a store or user of which nothing is known is told, with its like."""
    lines: list[object] = ["no such sessions"]
    if store is not None:
        rows = await tools.sessions.since(utc_now() - since, limit=SEARCHED)
        if near := near_owners(store, rows):
            lines.append(f"no store or user {store} in this time; there are {', '.join(near)}")
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


def _sheet(report: SessionReport, inputs: Sequence[InputPicture]) -> Table:
    row, record = report.session, report.record
    sheet = Table.grid(padding=(0, 2))
    sheet.add_column(style="dim")
    sheet.add_column(overflow="fold")
    kind = "store" if row.channel is Channel.B2B else "user"
    entries = ", ".join(
        f"{e.kind.value} {e.amount:+d} at {local_time(e.created_at)}" for e in report.facts.entries
    )
    facts = [
        ("session", f"{row.session_id} ({row.channel.value})"),
        (kind, row.owner_id),
        ("made", f"{local_time(row.created_at)} ({ago(row.created_at)} ago)"),
        ("status", row.status.value),
        ("ended", local_time(row.completed_at) if row.completed_at else ""),
        ("shopper reads", row.error_message or ""),
        ("failed by" if row.status is Status.FAILED else "last failure", report.error_class or ""),
        ("last call", record.failed_call.words() if record and record.failed_call else ""),
        ("credit", credit_sentence(report)),
        ("ledger", entries),
        ("picture", "stored" if report.is_stored else "none stored"),
        ("inputs", _inputs(inputs)),
        ("paid", _paid(report)),
        ("replays", str(record.replays) if record and record.replays else ""),
        ("request", row.request_id or ""),
        ("job", LOCATION_WORDS[report.location]),
    ]
    for name, fact in facts:
        if fact:
            sheet.add_row(name, fact)
    return sheet


def _inputs(inputs: Sequence[InputPicture]) -> str:
    return ", ".join(f"{each.kind.value} {each.state.value}" for each in inputs)


def _paid(report: SessionReport) -> str:
    paid = f"${report.cost_usd:.4f}"
    record = report.record
    if record is not None and record.model == PREVIEW:
        return "nothing: a preview"
    if record is None or not record.purchases:
        return paid
    lost = f", {record.purchases_lost} of them lost" if record.purchases_lost else ""
    return f"{paid} for {record.purchases} purchase{'s' if record.purchases > 1 else ''}{lost}"


def _timeline(report: SessionReport) -> object:
    if not report.timeline:
        return "no timeline is kept of it (any more)"
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim")
    table.add_column()
    table.add_column(overflow="fold")
    for event in report.timeline:
        at = datetime.fromisoformat(str(event["at"]))
        facts = (_fact(name, value) for name, value in event.items() if name not in _HEAD)
        table.add_row(local_time(at), str(event["event"]), " ".join(facts))
    return table


def _fact(name: str, value: object) -> str:
    is_money = name.endswith("_usd") and isinstance(value, int | float)
    return f"{name}={value:.4f}" if is_money else f"{name}={value}"


def _list(found: Sequence[Found]) -> Table:
    table = Table("session", "made", "status", "why", box=None, pad_edge=False)
    for each in found:
        row = each.session
        made = f"{ago(row.created_at)} ago"
        table.add_row(row.session_id, made, row.status.value, each.error_class or "")
    return table
