"""Adds up the daily counts of failed jobs."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from wearon_cli.core.failures import FailureRow
from wearon_cli.core.purchases import B2C_OWNER

#: Shown when a job failed before any provider was asked, or the provider gave no code.
NONE: Final = "none"


class FailuresBy(StrEnum):
    """How failures are grouped."""

    CAUSE = "cause"  # the class of error
    CODE = "code"  # the provider's own name of the error
    MODEL = "model"
    PROVIDER = "provider"
    STORE = "store"
    DAY = "day"


@dataclass(frozen=True, slots=True, kw_only=True)
class Failures:
    """One line of the failures."""

    name: str
    jobs: int


_NAMES: Final[dict[FailuresBy, Callable[[FailureRow], str]]] = {
    FailuresBy.CAUSE: lambda row: row.error_code,
    FailuresBy.CODE: lambda row: row.vendor_code or NONE,
    FailuresBy.MODEL: lambda row: row.model or NONE,
    FailuresBy.PROVIDER: lambda row: row.provider or NONE,
    FailuresBy.STORE: lambda row: "b2c users" if row.owner == B2C_OWNER else row.owner,
    FailuresBy.DAY: lambda row: row.day.isoformat(),
}


def failures(rows: Iterable[FailureRow], by: FailuresBy) -> list[Failures]:
    """The most frequent first; days in order."""
    counts: Counter[str] = Counter()
    for row in rows:
        counts[_NAMES[by](row)] += row.count
    lines = [Failures(name=name, jobs=jobs) for name, jobs in counts.items()]
    if by is FailuresBy.DAY:
        return sorted(lines, key=lambda line: line.name)
    return sorted(lines, key=lambda line: (-line.jobs, line.name))
