"""The book of purchases: daily counters of what was paid for pictures, kept or not."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final, Protocol

#: Owner of all b2c purchases in the book, which does not distinguish users.
B2C_OWNER: Final = "b2c"


@dataclass(frozen=True, slots=True, kw_only=True)
class BookRow:
    """Purchases of one day (UTC) with the same owner, provider, model and outcome."""

    day: date
    owner: str  # merchant store id, or `B2C_OWNER`
    provider: str
    model: str
    outcome: str  # a `PurchaseOutcome`
    count: int
    cost_usd: float  # as billed; for lost ones the expected price


class PurchaseBook(Protocol):
    """Reads the book. Raises `QueueUnavailable` when Redis does not answer."""

    async def rows(self, since: date, until: date) -> Sequence[BookRow]:
        """The rows of these days, both included, in any order."""
