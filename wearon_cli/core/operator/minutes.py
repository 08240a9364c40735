"""How many jobs ended, minute by minute, and why those that failed did."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class EndingCount:
    """Jobs that ended in a span of time: a minute, or several added up."""

    at: datetime  # its beginning, UTC
    completed: int = 0
    failures: Mapping[str, int] = field(default_factory=dict)  # by code of the error

    @property
    def failed(self) -> int:
        return sum(self.failures.values())


class EndingCounts(Protocol):
    """Reads the workers' counters, which are kept for eight days."""

    async def minutes(self, since: datetime, until: datetime) -> Sequence[EndingCount]:
        """
        The minutes in which a job ended, oldest first.

        Raises:
            QueueUnavailable: Redis does not answer.
        """


def in_steps(
    counts: Iterable[EndingCount], *, since: datetime, until: datetime, step: timedelta
) -> list[EndingCount]:
    """
    Add up counts in steps of equal length, including steps without a job.

    Args:
        counts: As read.
        since: Beginning of the first step.
        until: End: a step that begins before it is the last.
        step: Length of each.
    """
    number = max(1, -((since - until) // step))
    completed = [0] * number
    failures: list[dict[str, int]] = [{} for _ in range(number)]
    for each in counts:
        place = (each.at - since) // step
        if 0 <= place < number:
            completed[place] += each.completed
            for code, count in each.failures.items():
                failures[place][code] = failures[place].get(code, 0) + count
    return [
        EndingCount(at=since + step * i, completed=completed[i], failures=failures[i])
        for i in range(number)
    ]
