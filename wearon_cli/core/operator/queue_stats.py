"""What waits and what runs, at one time."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from wearon_cli.core.jobs.breakers import Halt


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueStats:
    """What waits and what runs, at one time of Redis's clock."""

    at: datetime
    queued: int  # payloads that no consumer has taken from the platform's list
    ready: int  # jobs that can be released
    waiting_since: datetime | None  # of the job that is next; None when none is ready
    released: int  # jobs whose message is out, and which no worker has claimed
    running: int  # jobs claimed by a worker
    waiting: int  # jobs that wait for their due time
    overdue: int  # released or waiting past their time: a consumer may be missing
    dead_letters: int
    consumers: int  # alive
    workers: int  # registered worker processes
    slots: int  # jobs that all of them do at once
    permits_used: int  # image requests of the last minute
    halts: tuple[Halt, ...]  # open breakers, the oldest first


class QueueStatsPort(Protocol):
    """Looks at the queue as a whole. Changes nothing."""

    async def look(self) -> QueueStats:
        """
        Raises:
            QueueUnavailable: Redis does not answer.
        """
