"""An estimate as a person reads it: girths with their bands, and the odds of each size as bars."""

from typing import Final

from rich.table import Table

from wearon_cli.core.body.estimate import Estimate
from wearon_cli.core.body.girths import MEASURES, Girths

#: Characters of a bar that stands for certainty, and of the scale that a band is drawn on.
BAR_WIDTH: Final = 30
#: cm that the scale of the bands reaches to either side of the middle.
SCALE_CM: Final = 15.0


def lines_of(measured: Estimate) -> list[object]:
    """What `Result.lines` takes."""
    build = f"build: {measured.body_type.value}" if measured.body_type else "build: no clear word"
    return [_girths(measured), build, "", *_sizes(measured)]


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
    """The band around its middle, a character a cm; `<` and `>` where it goes on."""
    half = (girths.band(name)[1] - girths.band(name)[0]) / 2
    reach = min(round(half), int(SCALE_CM))
    start, end = ("<", ">") if half > SCALE_CM else ("|", "|")
    return " " * (int(SCALE_CM) - reach) + start + "-" * reach + "o" + "-" * reach + end


def _sizes(measured: Estimate) -> list[str]:
    odds = measured.odds
    widest = max(len(size) for size in odds.odds)
    bars = [
        f"{'>' if size == odds.recommended else ' '} {size:<{widest}}  "
        f"{'#' * round(p * BAR_WIDTH):<{BAR_WIDTH}} {p:4.0%}"
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
