"""Telling a worker that a job is ready."""

from typing import Protocol


class Waker(Protocol):
    """Calls a worker: some job wants doing. A call lost costs time, one too many costs nothing."""

    async def wake(self) -> None: ...
