"""The number of waiting and running jobs, at one moment."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from wearon_cli.core.jobs.breakers import Halt


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueStats:
    """The number of waiting and running jobs, at one moment of Redis's clock."""

    at: datetime
    queued: int  # payloads that no consumer has taken from the platform's list
    ready: int  # jobs that can be released
    waiting_since: datetime | None  # age of the next job; None when none is ready
    released: int  # jobs whose message was sent and which no worker has claimed
    running: int  # jobs claimed by a worker
    waiting: int  # jobs that wait for their due time
    overdue: int  # released or waiting past their time: perhaps no consumer is running
    dead_letters: int
    consumers: int  # alive
    workers: int  # registered worker processes
    slots: int  # jobs that all of them run at once
    permits_used: int  # image requests of the last minute
    halts: tuple[Halt, ...]  # open breakers, the oldest first


class QueueStatsPort(Protocol):
    """Reads the state of the whole queue. Changes nothing."""

    async def look(self) -> QueueStats:
        """
        Raises:
            QueueUnavailable: Redis does not answer.
        """
