"""
Size charts as data, and the probability of each size for a body that is known only within bands.

A chart gives, for each girth it sizes by, the upper bound of every size but the last, which is
unbounded: `{"name", "source", "sizes": [...], "up_to_cm": {"chest": [...], "waist": [...], ...}}`.
A girth belongs to the first size whose bound it does not exceed. If several girths count for a
garment, the largest size that any of them needs is used, since cloth can be taken in.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Final, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from wearon_cli.core.body.stated import GarmentKind
from wearon_cli.core.errors import ChartUnusable

#: Charts that come with the product, `charts/NAME.json`.
BUILT_IN: Final = ("default", "women", "men")
#: A store's chart file is short; anything longer is not a chart.
MAX_CHART_BYTES: Final = 64 * 1024

#: Probability with which `size_range` contains the right size, at least.
RANGE_ODDS: Final = 0.8

Name = Annotated[str, Field(min_length=1, max_length=40)]
Bound = Annotated[float, Field(gt=0, lt=400)]


#: Girths that matter for a garment, of those the chart sizes by.
GIRTHS_OF: Final[Mapping[GarmentKind, tuple[str, ...]]] = {
    GarmentKind.TOP: ("chest",),
    GarmentKind.BOTTOM: ("waist", "hip"),
    GarmentKind.DRESS: ("chest", "waist", "hip"),
}


class SizeChart(BaseModel):
    """One size chart. Bounds in cm, rising, one fewer than there are sizes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Name
    source: str = Field("", max_length=400)
    sizes: tuple[Name, ...] = Field(min_length=2, max_length=30)
    up_to_cm: dict[str, tuple[Bound, ...]] = Field(min_length=1)

    @model_validator(mode="after")
    def _bounds_fit_the_sizes(self) -> Self:
        if len(set(self.sizes)) != len(self.sizes):
            raise ValueError("a size is listed twice")
        for girth, bounds in self.up_to_cm.items():
            if girth not in GIRTHS_OF[GarmentKind.DRESS]:
                raise ValueError(f"{girth!r} is not a girth; known are chest, waist and hip")
            if len(bounds) != len(self.sizes) - 1:
                raise ValueError(
                    f"{girth} needs {len(self.sizes) - 1} bounds for {len(self.sizes)} sizes "
                    f"(the last size is open), not {len(bounds)}"
                )
            if any(low >= high for low, high in pairwise(bounds)):
                raise ValueError(f"the {girth} bounds do not increase")
        return self

    def girths_for(self, garment: GarmentKind) -> tuple[str, ...]:
        """
        The girths that decide this garment's size.

        Raises:
            ChartUnusable: The chart has none of them.
        """
        girths = tuple(g for g in GIRTHS_OF[garment] if g in self.up_to_cm)
        if not girths:
            wanted = " or ".join(GIRTHS_OF[garment])
            raise ChartUnusable(
                f"the chart {self.name!r} has no {wanted}, so it cannot size a {garment}",
                hint="use --chart women or men, or a chart with those girths",
            )
        return girths


@dataclass(frozen=True, slots=True, kw_only=True)
class SizeOdds:
    """How likely each size of a chart is to be the right one."""

    odds: Mapping[str, float]  # in the chart's order; sums to 1
    recommended: str  # the most likely
    lower: str  # smallest run of sizes whose probabilities add up to `RANGE_ODDS`
    upper: str

    @property
    def confidence(self) -> float:
        """Probability that the recommended size is the right one."""
        return self.odds[self.recommended]


def size_odds(
    chart: SizeChart, garment: GarmentKind, draws_cm: Mapping[str, NDArray[np.float64]]
) -> SizeOdds:
    """
    Probability of each size.

    Args:
        chart: The chart.
        garment: Decides which girths count.
        draws_cm: For each girth, equally likely values, `(n,)`; the i-th values of all girths
            belong together.

    Raises:
        ChartUnusable: The chart has no girth that this garment needs.
    """
    girths = chart.girths_for(garment)
    # side="left": a girth equal to the bound still has that size ("up to").
    needed = [np.searchsorted(chart.up_to_cm[g], draws_cm[g], side="left") for g in girths]
    index = np.max(needed, axis=0)
    share = np.bincount(index, minlength=len(chart.sizes)) / len(index)
    first, last = _shortest_run(share, RANGE_ODDS)
    return SizeOdds(
        odds={size: float(p) for size, p in zip(chart.sizes, share, strict=True)},
        recommended=chart.sizes[int(share.argmax())],
        lower=chart.sizes[first],
        upper=chart.sizes[last],
    )


def size_of(chart: SizeChart, garment: GarmentKind, girths_cm: Mapping[str, float]) -> str:
    """The size for girths known exactly."""
    exact = {name: np.array([value]) for name, value in girths_cm.items()}
    return size_odds(chart, garment, exact).recommended


def _shortest_run(share: NDArray[np.float64], enough: float) -> tuple[int, int]:
    """Shortest run with a probability of at least `enough`; of equally short ones the most
    likely.
    """
    total = np.concatenate([[0.0], np.cumsum(share)])
    for length in range(1, len(share)):
        held = total[length:] - total[:-length]
        if held.max() >= enough - 1e-9:
            first = int(held.argmax())
            return first, first + length - 1
    return 0, len(share) - 1


def load_chart(name_or_path: str) -> SizeChart:
    """
    A built-in chart by name, or a store's own from a JSON file.

    Raises:
        ChartUnusable: There is no such chart, or the file is not a size chart; the message says
            why.
    """
    if name_or_path in BUILT_IN:
        return built_in_chart(name_or_path)
    path = Path(name_or_path)
    if not path.is_file():
        raise ChartUnusable(
            f"there is no size chart {name_or_path!r}",
            hint=f"use a JSON file, or one of: {', '.join(BUILT_IN)}",
        )
    if path.stat().st_size > MAX_CHART_BYTES:
        raise ChartUnusable(f"the size chart file is larger than {MAX_CHART_BYTES} bytes")
    return parse_chart(path.read_bytes())


@cache
def built_in_chart(name: str) -> SizeChart:
    """One of `BUILT_IN`."""
    return parse_chart(files(__package__).joinpath("charts", f"{name}.json").read_bytes())


def parse_chart(document: bytes) -> SizeChart:
    """
    Read a chart from JSON.

    Raises:
        ChartUnusable: It is not a valid chart; the message says why.
    """
    try:
        return SizeChart.model_validate(json.loads(document))
    except ValidationError as exc:
        raise ChartUnusable(f"the size chart is invalid: {_first_fault(exc)}") from exc
    except ValueError as exc:
        raise ChartUnusable("the size chart is not JSON") from exc


def _first_fault(exc: ValidationError) -> str:
    fault = exc.errors(include_url=False, include_context=False, include_input=False)[0]
    where = ".".join(str(part) for part in fault["loc"])
    message = fault["msg"].removeprefix("Value error, ")
    return f"{where}: {message}" if where else message
