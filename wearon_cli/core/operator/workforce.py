"""The worker processes and the jobs that each has."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerView:
    """A registered worker process."""

    worker_id: str
    host: str
    pid: int
    slots: int  # jobs it does at once
    since: datetime
    session_ids: Sequence[str]  # its jobs; only the first ones when there are very many
    jobs: int  # the number of its jobs


class Workforce(Protocol):
    """Reads the workers. Changes nothing."""

    async def look(self) -> Sequence[WorkerView]:
        """
        The workers in order of their names.

        Raises:
            QueueUnavailable: Redis does not answer.
        """
