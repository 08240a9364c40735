"""Payloads that are not retried automatically."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """A payload that is not retried automatically."""

    letter_id: str
    raw: bytes
    reason: str
    error_code: str
    attempts: int
    died_at: datetime
    session_id: str | None = None
    facts: Mapping[str, object] = field(default_factory=dict)


class DeadLetters(Protocol):
    """Payloads that cannot be run, kept for 30 days."""

    async def bury(
        self,
        raw: bytes,
        *,
        reason: str,
        error_code: str,
        attempts: int,
        session_id: str | None,
    ) -> str:
        """Store a payload and return its id. Burying the same payload twice stores it once."""

    async def list(self, *, limit: int) -> Sequence[DeadLetter]:
        """Newest first."""

    async def get(self, letter_id: str) -> DeadLetter | None: ...

    async def drop(self, letter_id: str) -> bool:
        """False when there was no such letter."""
