"""What was paid for pictures, kept or not, added up from the book of purchases."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from wearon_cli.core.purchases import B2C_OWNER, BookRow


class GroupBy(StrEnum):
    """How costs are grouped."""

    DAY = "day"
    STORE = "store"
    MODEL = "model"
    PROVIDER = "provider"
    OUTCOME = "outcome"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """One line of the costs."""

    name: str
    purchases: int
    cost_usd: float


_NAMES: Final[dict[GroupBy, Callable[[BookRow], str]]] = {
    GroupBy.DAY: lambda row: row.day.isoformat(),
    GroupBy.STORE: lambda row: "b2c users" if row.owner == B2C_OWNER else row.owner,
    GroupBy.MODEL: lambda row: row.model,
    GroupBy.PROVIDER: lambda row: row.provider,
    GroupBy.OUTCOME: lambda row: row.outcome,
}


def costs(rows: Iterable[BookRow], by: GroupBy) -> list[Cost]:
    """The most expensive first; days in order."""
    counts: dict[str, int] = {}
    sums: dict[str, float] = {}
    for row in rows:
        name = _NAMES[by](row)
        counts[name] = counts.get(name, 0) + row.count
        sums[name] = sums.get(name, 0.0) + row.cost_usd
    lines = [
        Cost(name=name, purchases=counts[name], cost_usd=round(usd, 6))
        for name, usd in sums.items()
    ]
    if by is GroupBy.DAY:
        return sorted(lines, key=lambda line: line.name)
    return sorted(lines, key=lambda line: (-line.cost_usd, line.name))
