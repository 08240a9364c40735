"""Circuit breakers for paid calls, shared by all workers."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

#: Picture storage. While it is open nothing is bought, because nothing could be stored.
STORAGE: Final = "storage"


def provider_breaker(provider: str) -> str:
    """Name of the breaker of one image provider with its configured models."""
    return f"provider:{provider}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Halt:
    """An open breaker: what `status`, `session`, `doctor`, `/health` and the metrics show."""

    name: str
    reason: str  # code of the error that opened it
    since: datetime
    next_probe_at: datetime  # when one call is let through as a probe


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """Whether a call may be made."""

    wait_s: float = 0.0  # 0: it may be made now; otherwise seconds until it is worth asking again
    is_probe: bool = False  # the breaker is open, and this call tests whether it can close


class Breakers(Protocol):
    """
    One circuit breaker for each name.

    Raises `QueueUnavailable` when Redis does not answer.
    """

    async def admit(self, name: str) -> Admission:
        """
        Ask whether a call may be made. While the breaker is open, one call per interval may: a
        probe.
        """

    async def trip(self, name: str, reason: str, *, retry_after_s: float = 0.0) -> None:
        """
        Open the breaker: no call would succeed. Logs when the breaker was closed.

        Args:
            name: The breaker.
            reason: Code of the error.
            retry_after_s: The first probe is made after this time, or after the usual interval.
        """

    async def reset(self, name: str) -> None:
        """A call succeeded: close the breaker. Free unless it was seen open."""

    async def halts(self) -> Sequence[Halt]:
        """Every open breaker."""
