"""Worker processes and their leases."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """A worker process, as it registers."""

    worker_id: str
    slots: int  # jobs it does at once
    host: str
    pid: int


class WorkerRegistry(Protocol):
    """The lease of a worker process: all its jobs hang on it."""

    async def register(self, worker: Worker) -> None:
        """Join, with a new lease."""

    async def renew(self, worker_id: str) -> bool:
        """Keep the lease for another life. False: it ran out, and the jobs are others' now."""

    async def leave(self, worker_id: str) -> None:
        """Go: no more jobs are released for it. Jobs it still holds become ready."""
