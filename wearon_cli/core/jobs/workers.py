"""Worker processes and their leases."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """A worker process, as it registers."""

    worker_id: str
    slots: int  # jobs that it runs at once
    host: str
    pid: int


class WorkerRegistry(Protocol):
    """The lease of a worker process; all its jobs depend on it."""

    async def register(self, worker: Worker) -> None:
        """Register, with a new lease."""

    async def renew(self, worker_id: str) -> bool:
        """Renew the lease. False: it expired, and other workers have the jobs."""

    async def leave(self, worker_id: str) -> None:
        """Unregister: no more jobs are released to it. Jobs it still holds become ready."""
