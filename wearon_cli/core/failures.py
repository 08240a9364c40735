"""
Records of failed jobs that outlive their timelines: causes, and counts for each day.

A session's record keeps its `FailedCall` for 90 days, the counts are kept for 400.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedCall:
    """The last paid call of a failed job, which gave no usable picture."""

    provider: str
    model: str
    error_code: str | None = None  # our class of error; None: its end was not recorded
    status: int | None = None  # of HTTP
    code: str | None = None  # the provider's name of the error
    vendor_request_id: str | None = None  # the id that the provider's support asks for

    def words(self) -> str:
        """In one line: "openai gpt-image-2: 400, invalid_image_file, request req_1"."""
        request = f"request {self.vendor_request_id}" if self.vendor_request_id else ""
        said = ", ".join(str(each) for each in (self.status, self.code, request) if each)
        return f"{self.provider} {self.model}" + (f": {said}" if said else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureRow:
    """A count of failed jobs of one day (UTC) with the same owner, cause and call."""

    day: date
    owner: str  # merchant store id, or `B2C_OWNER`
    error_code: str
    provider: str  # of the last paid call; "": none was made
    model: str
    vendor_code: str  # the provider's name of the error; "": it gave none
    count: int


class FailureCounts(Protocol):
    """Reads the counts. Raises `QueueUnavailable` when Redis does not answer."""

    async def failures(self, since: date, until: date) -> Sequence[FailureRow]:
        """The rows of these days, both included, in any order."""
