"""A session as text: what is known about it, and its timeline."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from wearon_cli.cli.durations import ago
from wearon_cli.cli.durations import local as local_time
from wearon_cli.cli.looks import Tone, status_text
from wearon_cli.cli.timeline import timeline
from wearon_cli.core.operator.inputs import InputPicture
from wearon_cli.core.operator.inspector import SessionReport
from wearon_cli.core.operator.words import LOCATION_WORDS, credit_sentence
from wearon_cli.core.provider_names import PREVIEW
from wearon_cli.core.session import Channel, Status

if TYPE_CHECKING:
    from wearon_cli.core.jobs.halts import HaltState


def session_lines(
    report: SessionReport,
    inputs: Sequence[InputPicture],
    halt: "HaltState | None" = None,
    refund_at: datetime | None = None,
) -> list[RenderableType]:
    """A session as text."""
    halted = [Tone.HALTED.text(line) for line in _halt_lines(halt, refund_at)]
    return [_sheet(report, inputs), *halted, "", timeline(report.timeline)]


def _halt_lines(halt: "HaltState | None", refund_at: datetime | None) -> list[str]:
    lines = halt.lines() if halt else []
    if refund_at is not None:
        lines.append(f"otherwise this job's credit is returned at {refund_at:%H:%M:%S UTC}")
    return lines


def _sheet(report: SessionReport, inputs: Sequence[InputPicture]) -> Table:
    row, record = report.session, report.record
    sheet = Table.grid(padding=(0, 2))
    sheet.add_column(style="dim")
    sheet.add_column(overflow="fold")
    kind = "store" if row.channel is Channel.B2B else "user"
    entries = ", ".join(
        f"{e.kind.value} {e.amount:+d} at {local_time(e.created_at)}" for e in report.facts.entries
    )
    facts: list[tuple[str, str | Text]] = [
        ("session", f"{row.session_id} ({row.channel.value})"),
        (kind, row.owner_id),
        ("created", f"{local_time(row.created_at)} ({ago(row.created_at)} ago)"),
        ("status", status_text(row.status)),
        ("ended", local_time(row.completed_at) if row.completed_at else ""),
        ("shopper reads", row.error_message or ""),
        ("failed by" if row.status is Status.FAILED else "last failure", report.error_class or ""),
        ("failed call", record.failed_call.words() if record and record.failed_call else ""),
        ("credit", credit_sentence(report)),
        ("ledger", entries),
        ("picture", "stored" if report.is_stored else "none stored"),
        ("inputs", _inputs(inputs)),
        ("cost", _cost(report)),
        ("replays", str(record.replays) if record and record.replays else ""),
        ("request", row.request_id or ""),
        ("job", LOCATION_WORDS[report.location]),
    ]
    for name, fact in facts:
        if fact:
            sheet.add_row(name, Text(fact) if isinstance(fact, str) else fact)
    return sheet


def _inputs(inputs: Sequence[InputPicture]) -> str:
    return ", ".join(f"{each.kind.value} {each.state.value}" for each in inputs)


def _cost(report: SessionReport) -> str:
    cost = f"${report.cost_usd:.4f}"
    record = report.record
    if record is not None and record.model == PREVIEW:
        return "nothing: a preview"
    if record is None or not record.purchases:
        return cost
    lost = f", {record.purchases_lost} of them lost" if record.purchases_lost else ""
    return f"{cost} for {record.purchases} purchase{'s' if record.purchases > 1 else ''}{lost}"
