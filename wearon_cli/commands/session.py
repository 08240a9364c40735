"""`wearon session` and `wearon sessions`: what happened to one, and which there are."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated

import typer
from rich.table import Table

from wearon_cli.commands.at_desk import at_desk, teller
from wearon_cli.commands.moments import SinceOption, ago
from wearon_cli.commands.moments import local as local_time
from wearon_cli.commands.options import DataDirOption, LocalOption
from wearon_cli.commands.outcome import CREDIT_WORDS
from wearon_cli.core.desk.figures import error_class
from wearon_cli.core.desk.replay import checked_session_id
from wearon_cli.core.desk.story import PLACE_WORDS, Story
from wearon_cli.core.errors import InputError
from wearon_cli.core.session import Session, Status, utc_now
from wearon_cli.core.settings import Settings
from wearon_cli.output import Result
from wearon_cli.wiring import Desk


def session(
    session_id: Annotated[str, typer.Argument(help="The session, from either table.")],
    local: LocalOption = False,
    data_dir: DataDirOption = None,
) -> Result:
    """
    Tell the whole story of one session.

    The row, what became of its credit, the ledger's entries, every attempt and paid call with its
    time and cost, the error that ended it, and where its job is now. Changes nothing. Stories are
    kept for seven days; the row and the ledger stay.

      wearon session 0193a1c0-7b1e-7c4a-9f00-3f2c6f0a9d01
    """
    wanted = checked_session_id(session_id)

    async def work(desk: Desk, _: Settings) -> Result:
        story = await teller(desk).tell(wanted)
        return Result(data=_facts(story), lines=[_sheet(story), "", *_events(story)])

    return at_desk(work, local=local, data_dir=data_dir)


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

    async def work(desk: Desk, _: Settings) -> Result:
        rows = await desk.sessions.since(utc_now() - since, limit=10_000)
        found = []
        for row in rows:
            if (wanted and row.status is not wanted) or (store and row.owner_id != store):
                continue
            code = await error_class(row, desk.journal) if row.status is Status.FAILED else None
            if error in {None, code}:
                found.append((row, code))
            if len(found) == limit:
                break
        data = {"sessions": [{**row_facts(row), "error_code": code} for row, code in found]}
        return Result(data=data, lines=[_list(found)] if found else ["no such sessions"])

    return at_desk(work, local=local, data_dir=data_dir)


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


def _facts(story: Story) -> dict[str, object]:
    return {
        **row_facts(story.session),
        "credit": story.credit,
        "place": story.place,
        "picture_stored": story.is_stored,
        "cost_usd": story.cost_usd,
        "calls_lost": story.calls_lost,
        "ledger": [
            {"kind": entry.kind, "amount": entry.amount, "at": entry.created_at}
            for entry in story.entries
        ],
        "events": list(story.events),
    }


def _sheet(story: Story) -> Table:
    row = story.session
    sheet = Table.grid(padding=(0, 2))
    sheet.add_column(style="dim")
    sheet.add_column(overflow="fold")
    kind = "store" if row.channel.value == "b2b" else "user"
    entries = ", ".join(
        f"{e.kind.value} {e.amount:+d} at {local_time(e.created_at)}" for e in story.entries
    )
    facts = [
        ("session", f"{row.session_id} ({row.channel.value})"),
        (kind, row.owner_id),
        ("made", f"{local_time(row.created_at)} ({ago(row.created_at)} ago)"),
        ("status", row.status.value),
        ("ended", local_time(row.completed_at) if row.completed_at else ""),
        ("shopper reads", row.error_message or ""),
        ("credit", CREDIT_WORDS[story.credit]),
        ("ledger", entries),
        ("picture", "stored" if story.is_stored else "none stored"),
        ("cost", f"${story.cost_usd:.4f}"),
        ("lost calls", str(story.calls_lost) if story.calls_lost else ""),
        ("request", row.request_id or ""),
        ("now", PLACE_WORDS[story.place]),
    ]
    for name, fact in facts:
        if fact:
            sheet.add_row(name, fact)
    return sheet


def _events(story: Story) -> list[str]:
    if not story.events:
        return ["no story is kept of it (any more)"]
    return [_event(event) for event in story.events]


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
