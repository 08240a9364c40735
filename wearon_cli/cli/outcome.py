"""The result of a followed session: picture, cost and time, or why there is no picture."""

from pathlib import Path
from typing import Final

from rich.table import Table

from wearon_cli.cli.output import Result
from wearon_cli.core.errors import InputError, TryOnFailed
from wearon_cli.core.operator.follow import CreditFate, Ending
from wearon_cli.core.session import Session, Status

#: What an operator reads about the credit.
CREDIT_WORDS: Final = {
    CreditFate.SPENT: "spent on this picture",
    CreditFate.RETURNED: "returned",
    CreditFate.NOT_TAKEN: "none was taken",
    CreditFate.OVERAGE: "charged as overage: a person must check it",
    CreditFate.PENDING: "not returned yet: recovery returns it within a minute",
}


def check_target(out: Path) -> Path:
    """
    Check that the picture can be written, before it is paid for.

    Raises:
        InputError: The folder does not exist, or the name is a folder's.
    """
    if out.is_dir():
        raise InputError(f"{out} is a folder", hint="name a file: --out picture.jpg")
    if not out.absolute().parent.is_dir():
        raise InputError(f"there is no folder {out.parent}", hint="make it, or name another --out")
    return out


def outcome(ending: Ending, *, picture: Path | None, elapsed_s: float) -> Result:
    """The answer of a command that followed a session to its end."""
    row = ending.session
    data = {
        "session_id": row.session_id,
        "channel": row.channel,
        "owner_id": row.owner_id,
        "status": row.status,
        "picture": picture,
        "message": row.error_message,
        "credit": ending.credit,
        "error_code": ending.error_code,
        "cost_usd": row.estimated_cost_usd,
        "input_tokens": row.input_tokens,
        "output_tokens": row.output_tokens,
        "processing_time_ms": row.processing_time_ms,
        "elapsed_s": round(elapsed_s, 2),
    }
    error = None if row.status is Status.COMPLETED else _failure(ending)
    return Result(data=data, lines=[_table(ending, picture, elapsed_s)], error=error)


def _failure(ending: Ending) -> TryOnFailed:
    why = f" ({ending.error_code})" if ending.error_code else ""
    return TryOnFailed(
        f"the try-on failed{why}",
        hint="search the workers' log for the session id",
    )


def _table(ending: Ending, picture: Path | None, elapsed_s: float) -> Table:
    row = ending.session
    facts = [
        ("picture", str(picture) if picture else None),
        ("session", row.session_id),
        ("status", row.status.value),
        ("message", row.error_message),
        ("credit", CREDIT_WORDS[ending.credit]),
        ("cost", _cost(row)),
        ("time", _time(row, elapsed_s)),
    ]
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    for name, fact in facts:
        if fact:
            table.add_row(name, fact)
    return table


def _cost(row: Session) -> str | None:
    if row.status is not Status.COMPLETED:
        return None
    if row.estimated_cost_usd is None:
        return "nothing"
    return f"${row.estimated_cost_usd:.4f}"


def _time(row: Session, elapsed_s: float) -> str:
    if row.processing_time_ms is None:
        return f"{elapsed_s:.1f} s"
    return f"{elapsed_s:.1f} s, of it {row.processing_time_ms / 1000:.1f} s of work"
