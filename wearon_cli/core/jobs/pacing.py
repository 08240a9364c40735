"""What holds paid calls back: the rate limit and the circuit breaker."""

from typing import Protocol


class Limiter(Protocol):
    """The rate limit of the image API, over all workers: never exceeded in any window."""

    async def acquire(self, *, pictures: int, max_wait_s: float) -> bool:
        """
        Wait for a permit for one request with this many input pictures.

        Returns False when none came within `max_wait_s`.
        """


class Breaker(Protocol):
    """The circuit breaker before the image API, shared by all workers."""

    async def wait_s(self) -> float:
        """
        Seconds to wait before calling; 0 when calls may go.

        While open, one caller at a time is let through to probe.
        """

    async def trip(self, reason: str) -> None:
        """Stop the calls: nobody's would succeed. Raises the alarm when it was closed."""

    async def reset(self) -> None:
        """A call succeeded."""
