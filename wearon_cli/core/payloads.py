"""
Reads what it can from an unchecked payload, which may not be a job at all.

Separate from the contract, because operators' commands read queues without running jobs.
"""

from datetime import datetime
from typing import Final
from uuid import UUID

from pydantic_core import from_json

from wearon_cli.core.session import Channel, SessionKey

#: Far larger than any payload of the platform; a larger one is an attack or a mistake.
MAX_PAYLOAD_BYTES: Final = 256 * 1024


def salvage(raw: bytes) -> SessionKey | None:
    """Session and channel of a payload that does not validate, if both can still be read."""
    try:
        document = from_json(raw[:MAX_PAYLOAD_BYTES])
        channel = Channel(document["channel"])
        return SessionKey(channel=channel, session_id=str(UUID(document["session_id"])))
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def pushed_at(raw: bytes) -> datetime | None:
    """When a payload says it was pushed; None when that cannot be read."""
    try:
        at = datetime.fromisoformat(from_json(raw[:MAX_PAYLOAD_BYTES])["created_at"])
    except (ValueError, KeyError, TypeError):
        return None
    return at if at.tzinfo else None
