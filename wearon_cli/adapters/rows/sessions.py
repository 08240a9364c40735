"""How a session row is written and read: the columns of both tables, in every session store."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from wearon_cli.core.errors import StoreRefused
from wearon_cli.core.session import Channel, NewSession, Session, SessionMove, Status

_COMMON: Final = (
    "id",
    "status",
    "model_image_url",
    "outfit_image_url",
    "prompt_system",
    "generated_image_url",
    "credits_used",
    "error_message",
    "processing_time_ms",
    "created_at",
    "completed_at",
    "input_tokens",
    "output_tokens",
    "estimated_cost_usd",
)

#: Columns this worker reads or writes.
COLUMNS: Final = {
    Channel.B2C: (*_COMMON, "user_id", "accessories"),
    Channel.B2B: (*_COMMON, "store_id", "shopper_email", "request_id"),
}


def session_from_row(channel: Channel, row: Mapping[str, Any]) -> Session:
    """
    Read one row.

    Raises:
        StoreRefused: A column is missing or has an invalid value.
    """
    try:
        return Session(
            session_id=str(row["id"]),
            channel=channel,
            owner_id=_required(row, channel.owner_column),
            status=Status(row["status"]),
            created_at=_parsed_time(row["created_at"]),
            model_image_url=row["model_image_url"],
            outfit_image_url=row["outfit_image_url"],
            accessories=tuple(row.get("accessories") or ()),
            prompt_system=row["prompt_system"],
            generated_image_url=row["generated_image_url"],
            credits_used=1 if row["credits_used"] is None else int(row["credits_used"]),
            error_message=row["error_message"],
            processing_time_ms=row["processing_time_ms"],
            completed_at=_parsed_time(row["completed_at"]) if row["completed_at"] else None,
            input_tokens=row["input_tokens"],
            output_tokens=row["output_tokens"],
            estimated_cost_usd=_number(row["estimated_cost_usd"]),
            request_id=row.get("request_id"),
            shopper_email=row.get("shopper_email"),
        )
    except (KeyError, ValueError, TypeError, AttributeError) as exc:
        raise StoreRefused(
            f"a row of {channel.table} has an unexpected value ({type(exc).__name__})",
            hint="the platform's schema changed: `wearon doctor` names the column",
        ) from exc


def insert_values(new: NewSession) -> dict[str, Any]:
    """What the platform writes when it makes a session; the rest are the table's defaults."""
    values: dict[str, Any] = {
        "id": new.session_id,
        new.channel.owner_column: new.owner_id,
        "status": Status.QUEUED.value,
        "model_image_url": new.model_image_url,
        "outfit_image_url": new.outfit_image_url,
        "prompt_system": new.prompt_system,
    }
    if new.channel is Channel.B2B:
        return values | {"request_id": new.request_id, "shopper_email": new.shopper_email}
    return values | {"accessories": [dict(each) for each in new.accessories]}


def update_values(move: SessionMove) -> dict[str, Any]:
    """What a move writes."""
    return {**move.writes, "status": move.to.value}


def expected_statuses(channel: Channel, move: SessionMove) -> list[str]:
    """The statuses a move starts from, as far as the channel's table knows them."""
    unknown = {Status.PENDING} if channel is Channel.B2B else set()
    return sorted(status.value for status in move.expected - unknown)


def _required(row: Mapping[str, Any], column: str) -> str:
    if not row[column]:
        raise ValueError(column)
    return str(row[column])


def _parsed_time(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _number(value: Any) -> float | None:
    return None if value is None else float(value)
