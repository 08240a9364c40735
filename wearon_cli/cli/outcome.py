"""The result of a followed session: picture, cost and time, or why there is no picture."""

from pathlib import Path
from typing import TYPE_CHECKING

from wearon_cli.cli.output import Result
from wearon_cli.core.errors import InputError, Interrupted, QueueUnavailable, TryOnFailed
from wearon_cli.core.operator.follow import Ended
from wearon_cli.core.operator.words import credit_words
from wearon_cli.core.session import Session, Status

if TYPE_CHECKING:
    from rich.table import Table

    from wearon_cli.core.settings import Settings


def check_target(out: Path) -> Path:
    """
    Check that the picture can be written, before it is paid for.

    Raises:
        InputError: The folder does not exist, or the name is that of a folder.
    """
    if out.is_dir():
        raise InputError(f"{out} is a folder", hint="use a file name, such as --out picture.jpg")
    if not out.absolute().parent.is_dir():
        raise InputError(f"there is no folder {out.parent}", hint="create it, or use another --out")
    return out


def followed_result(
    ended: Ended, settings: "Settings", *, picture: Path | None, elapsed_s: float
) -> Result:
    """The answer of a command that followed a session to its end."""
    row = ended.report.session
    data = {
        "session_id": row.session_id,
        "channel": row.channel,
        "owner_id": row.owner_id,
        "status": row.status,
        "succeeded": ended.succeeded,
        "picture": picture,
        "message": row.error_message,
        "credit": ended.report.credit.state,
        "error_code": ended.error_class,
        "cost_usd": round(ended.cost_usd, 6),
        "input_tokens": row.input_tokens,
        "output_tokens": row.output_tokens,
        "processing_time_ms": row.processing_time_ms,
        "elapsed_s": round(elapsed_s, 2),
    }
    error = None if ended.succeeded else _failure(ended, settings)
    return Result(data=data, lines=[_table(ended, picture, elapsed_s)], error=error)


def not_followed(row: Session, settings: "Settings") -> Interrupted:
    """What to tell someone who stopped following: which session, and how to continue."""
    told = f"session {row.session_id} is queued; stopped following it"
    if local := _local_words(settings):
        return Interrupted(
            told,
            hint=f"it continues in the running stack, or when `wearon all{local}` starts one; "
            f"`wearon session {row.session_id}{local}` shows its state",
        )
    return Interrupted(
        told,
        hint=f"it continues: `wearon session {row.session_id}` shows its state; if it fails, use "
        f"`wearon replay-task {row.session_id}`",
    )


def lost_sight(row: Session, settings: "Settings") -> QueueUnavailable:
    """What to tell someone whose Redis stopped answering while a session was followed."""
    if local := _local_words(settings):
        return QueueUnavailable(
            f"the local stack stopped while session {row.session_id} was followed",
            hint=f"`wearon all{local}` continues it; `wearon session {row.session_id}{local}` "
            "shows its state",
        )
    return QueueUnavailable(
        f"Redis stopped answering while session {row.session_id} was followed",
        hint=f"check Redis, then look: `wearon session {row.session_id}`",
    )


def _local_words(settings: "Settings") -> str:
    """The options that name the same local stack, with a space in front; "" in production."""
    return f" --local --data-dir {settings.local_dir}" if settings.is_local else ""


def _failure(ended: Ended, settings: "Settings") -> TryOnFailed:
    why = f" ({ended.error_class})" if ended.error_class else ""
    row = ended.report.session
    if row.status is Status.COMPLETED:
        return TryOnFailed(
            f"no new picture was generated{why}", hint="the session keeps its current picture"
        )
    return TryOnFailed(
        f"the try-on failed{why}",
        hint=f"`wearon session {row.session_id}{_local_words(settings)}` shows what happened",
    )


def _table(ended: Ended, picture: Path | None, elapsed_s: float) -> "Table":
    from rich.table import Table
    from rich.text import Text

    from wearon_cli.cli.looks import status_text

    row = ended.report.session
    facts: list[tuple[str, str | Text | None]] = [
        ("picture", str(picture) if picture else None),
        ("session", row.session_id),
        ("status", status_text(row.status)),
        ("message", row.error_message),
        ("credit", credit_words(ended.report.credit)),
        ("cost", f"${ended.cost_usd:.4f}" if ended.cost_usd else "nothing"),
        ("time", _time(row, elapsed_s)),
    ]
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    for name, fact in facts:
        if fact:
            table.add_row(name, Text(fact) if isinstance(fact, str) else fact)
    return table


def _time(row: Session, elapsed_s: float) -> str:
    if row.processing_time_ms is None:
        return f"{elapsed_s:.1f} s"
    return f"{elapsed_s:.1f} s in total; the job took {row.processing_time_ms / 1000:.1f} s"
