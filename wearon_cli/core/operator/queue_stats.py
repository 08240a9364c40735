"""What waits and what runs, at one moment."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueStats:
    """What waits and what runs, at one moment of Redis's clock."""

    at: datetime
    queued: int  # payloads nobody has taken from the platform's list
    ready: int  # journalled jobs whose turn has not come
    waiting_since: datetime | None  # of the job whose turn is next; None when none waits
    held: int  # jobs being done, or waiting for a time
    overdue: int  # of these, lease or time has run out: recovery's next pass takes them
    dead_letters: int
    consumers: int  # alive
    permits_used: int  # image requests of the last minute
    calls_waiting: int  # Celery messages nobody has taken
    halted_because: str | None  # why calls to the image API are halted; None when they are not


class QueueStatsPort(Protocol):
    """Looks at the queue as a whole. Changes nothing."""

    async def look(self) -> QueueStats:
        """
        Raises:
            QueueUnavailable: Redis does not answer.
        """
