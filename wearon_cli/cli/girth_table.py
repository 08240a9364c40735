"""An estimate as text: girths with their bands, and the probability of each size as bars."""

from collections.abc import Sequence
from typing import Final

from rich.table import Table
from rich.text import Text

from wearon_cli.cli.bars import bar
from wearon_cli.cli.looks import Tone, shows_unicode
from wearon_cli.cli.tables import ByWidth, Column, fitted
from wearon_cli.core.body.estimate import Estimate
from wearon_cli.core.body.girths import MEASURES, Girths
from wearon_cli.core.errors import InputError

#: Characters of a band: line, middle, its ends, and ends beyond which it continues.
_DRAWN: Final = ("─", "●", ("├", "┤"), ("◄", "►"))
_DRAWN_ASCII: Final = ("-", "o", ("|", "|"), ("<", ">"))
#: Width in characters of a bar of 100 %, and of the scale that a band is drawn on.
BAR_WIDTH: Final = 30
#: cm of the scale to either side of the middle.
SCALE_CM: Final = 15.0


def lines_of(measured: Estimate) -> list[object]:
    """The estimate, for `Result.lines`."""
    build = f"build: {measured.body_type.value}" if measured.body_type else "build: unclear"
    return [_girths(measured), build, "", *_sizes(measured)]


def batch_table(photos: Sequence[str], ends: Sequence[Estimate | InputError]) -> ByWidth:
    """Many photos: size and girths of each, in cm, or why it could not be measured."""
    girths = [
        Column(name=name, cells=[_girth(end, name) for end in ends], rank=2, is_number=True)
        for name in MEASURES
    ]
    return fitted(
        [
            Column(name="photo", cells=list(photos), least=12, is_prose=True),
            Column(name="size", cells=[_size(end) for end in ends]),
            *girths,
            Column(name="bands", cells=[_bands(end) for end in ends], rank=4, is_number=True),
            Column(
                name="note", cells=[_note(end) for end in ends], rank=1, least=14, is_prose=True
            ),
        ]
    )


def _girth(end: Estimate | InputError, name: str) -> str:
    return "" if isinstance(end, InputError) else f"{end.girths.value(name):.0f}"


def _size(end: Estimate | InputError) -> Text:
    if isinstance(end, InputError):
        return Tone.FAILED.text("none")
    return Tone.OK.text(f"{end.odds.recommended} {end.odds.confidence:4.0%}")


def _bands(end: Estimate | InputError) -> str:
    """Half of the widest band: how uncertain the girths are."""
    if isinstance(end, InputError):
        return ""
    halves = [(high - low) / 2 for low, high in (end.girths.band(name) for name in MEASURES)]
    return f"{'±' if shows_unicode() else '+-'}{max(halves):.0f}"


def _note(end: Estimate | InputError) -> str:
    if isinstance(end, InputError):
        return str(end).rpartition(": ")[2] or str(end)
    return "; ".join(warning.text for warning in end.warnings)


def _girths(measured: Estimate) -> Table:
    known = measured.request.height_cm
    height = f"height {known:g} cm" if known else "height assumed"
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("")
    table.add_column("cm", justify="right", style="bold")
    table.add_column("80 % band", justify="right")
    table.add_column(f"({height}; each mark 1 cm)", style="dim", no_wrap=True)
    for name in MEASURES:
        low, high = measured.girths.band(name)
        middle = f"{measured.girths.value(name):.0f}"
        table.add_row(name, middle, f"{low:.0f} to {high:.0f}", _scale(measured.girths, name))
    return table


def _scale(girths: Girths, name: str) -> str:
    """The band around its middle, one character per cm; arrows where it continues."""
    half = (girths.band(name)[1] - girths.band(name)[0]) / 2
    reach = min(round(half), int(SCALE_CM))
    line, middle, ends, open_ends = _DRAWN if shows_unicode() else _DRAWN_ASCII
    start, end = open_ends if half > SCALE_CM else ends
    return " " * (int(SCALE_CM) - reach) + start + line * reach + middle + line * reach + end


def _sizes(measured: Estimate) -> list[str]:
    odds = measured.odds
    widest = max(len(size) for size in odds.odds)
    bars = [
        f"{'>' if size == odds.recommended else ' '} {size:<{widest}}  "
        f"{bar(p, width=BAR_WIDTH):<{BAR_WIDTH}} {p:4.0%}"
        for size, p in odds.odds.items()
    ]
    run = odds.lower if odds.lower == odds.upper else f"{odds.lower} to {odds.upper}"
    chart, garment = measured.request.chart.name, measured.request.garment.value
    return [
        f"size {odds.recommended} ({odds.confidence:.0%}); with 80 % it is {run}   "
        f"(chart {chart}, {garment})",
        "",
        *bars,
    ]
