"""Tables that use the available width: more columns on wide terminals, and ids are never cut."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

#: Wider than any terminal.
WIDEST: Final = 10_000
#: Between two columns.
GAP: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """
    One column, with all its cells.

    `rank` 0 is always shown; of the others, the lowest come first when the width grows. A column
    with `least` folds its words down to that width; any other is never cut or folded. A column of
    prose also folds to make room for columns of a higher rank.
    """

    name: str
    cells: Sequence[str | Text]
    rank: int = 0
    least: int | None = None
    is_number: bool = False
    is_prose: bool = False

    @property
    def width(self) -> int:
        """The width of its widest cell."""
        return max(len(self.name), *(len(cell) for cell in self.cells), 0)

    @property
    def least_width(self) -> int:
        return self.width if self.least is None else min(self.width, self.least)


class ByWidth:
    """A renderable that is built when the width is known."""

    def __init__(self, render: Callable[[int], RenderableType]) -> None:
        """
        Args:
            render: Gets the width in characters.
        """
        self._render = render

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        shown = self._render(options.max_width)
        # Rich would narrow every column of a table that is too wide, and cut the ids.
        least = Measurement.get(console, options.update_width(WIDEST), shown).minimum
        yield from console.render(shown, options.update_width(max(options.max_width, least)))


def fitted(columns: Iterable[Column]) -> ByWidth:
    """A table with as many of these columns as fit, in this order; empty columns are left out."""
    given = list(columns)
    return ByWidth(lambda width: table_of(given, width))


def table_of(columns: Sequence[Column], width: int) -> Table:
    """As `fitted`, for this width."""
    chosen = _chosen([each for each in columns if any(map(len, each.cells))], width)
    spare = max(0, width - _total([each.least_width for each in chosen]))
    table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="bold")
    for each in chosen:
        own = min(each.width, each.least_width + spare)
        spare -= own - each.least_width
        table.add_column(
            each.name,
            width=own,
            min_width=own,
            no_wrap=each.least is None,
            overflow="fold",
            justify="right" if each.is_number else "left",
        )
    for row in zip(*(each.cells for each in chosen), strict=True):
        table.add_row(*(Text(cell) if isinstance(cell, str) else cell for cell in row))
    return table


def _chosen(columns: Sequence[Column], width: int) -> list[Column]:
    """The next rank is shown if no column but prose has to fold for it."""
    ranks = {0}
    for rank in sorted({each.rank for each in columns} - {0}):
        before = [
            each.least_width if each.is_prose else each.width
            for each in columns
            if each.rank in ranks
        ]
        new = [each.least_width for each in columns if each.rank == rank]
        if _total([*before, *new]) > width:
            break
        ranks.add(rank)
    return [each for each in columns if each.rank in ranks]


def _total(widths: Sequence[int]) -> int:
    """The width of a table of these."""
    return sum(widths) + GAP * max(0, len(widths) - 1)
