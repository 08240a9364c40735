"""
Measure a body from a photo: the one entry point for the HTTP app and the command line.

    estimate(front, reader, request) -> Estimate      raises PhotoRefused
    EstimateRequest(height_cm=..., weight_kg=..., sex=..., chart=..., garment=...)
    Estimate.to_response() -> dict in the callers' shape

Pure but for the reader's inference; call it on a thread, never on an event loop.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from wearon_cli.core.body.gates import (
    Refusal,
    Stance,
    check_front,
    refuse,
    the_person,
)
from wearon_cli.core.body.girths import MEASURES, Girths, Sex, predict, variant_name, variants
from wearon_cli.core.body.pose import PoseReader, PoseReading
from wearon_cli.core.body.silhouette import Silhouette, measure_front
from wearon_cli.core.body.sizes import Garment, SizeChart, SizeOdds, built_in_chart, size_odds
from wearon_cli.core.errors import InputError

#: What is assumed of somebody whose height is not told: mean and spread of ANSUR II, both sexes
#: in equal parts (169.2 and 9.3), rounded.
ASSUMED_HEIGHT_CM: Final = 170.0
ASSUMED_HEIGHT_SD_CM: Final = 9.5
#: Limits of the HTTP contract.
HEIGHT_RANGE_CM: Final = (100.0, 250.0)
WEIGHT_RANGE_KG: Final = (25.0, 300.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class EstimateRequest:
    """What is told about the person, and what the answer is for."""

    height_cm: float | None = None  # None: `ASSUMED_HEIGHT_CM` is taken, bands widen
    weight_kg: float | None = None
    sex: Sex | None = None
    chart: SizeChart = field(default_factory=lambda: built_in_chart("default"))
    garment: Garment = Garment.TOP

    def __post_init__(self) -> None:
        _check_range("height", self.height_cm, HEIGHT_RANGE_CM, "cm")
        _check_range("weight", self.weight_kg, WEIGHT_RANGE_KG, "kg")
        self.chart.girths_for(self.garment)


@dataclass(frozen=True, slots=True, kw_only=True)
class Caution:
    """Something the reader of the numbers should know."""

    code: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A measured body."""

    request: EstimateRequest
    variant: str  # what the numbers rest on, such as "front+weight"
    girths: Girths
    odds: SizeOdds
    body_type: str | None
    warnings: tuple[Caution, ...]
    reading: PoseReading
    silhouette: Silhouette
    stance: Stance

    @property
    def height_is_assumed(self) -> bool:
        return self.request.height_cm is None

    def to_response(self) -> dict[str, object]:
        """The answer as callers of `POST /estimate-body` parse it."""
        measurements = {f"{m}_cm": round(self.girths.value(m), 1) for m in MEASURES}
        if self.request.height_cm is not None:
            measurements["height_cm"] = round(self.request.height_cm, 1)
        return {
            "recommended_size": self.odds.recommended,
            "measurements": measurements,
            "confidence": round(self.odds.confidence, 3),
            "body_type": self.body_type,
            "size_range": {"lower": self.odds.lower, "upper": self.odds.upper},
            "size_odds": {size: round(p, 3) for size, p in self.odds.odds.items()},
            "bands": {
                f"{m}_cm": [round(edge, 1) for edge in self.girths.band(m)] for m in MEASURES
            },
            "warnings": [{"code": w.code, "text": w.text} for w in self.warnings],
            "based_on": self.variant,
            "chart": self.request.chart.name,
            "garment": self.request.garment.value,
        }


def estimate(
    front: NDArray[np.uint8],
    reader: PoseReader,
    request: EstimateRequest,
) -> Estimate:
    """
    Measure the person in a photo.

    Args:
        front: (rows, cols, 3) uint8, RGB, upright (see `photo.read_photo`); facing the camera.
        reader: The pose network.
        request: What is told about the person.

    Raises:
        PhotoRefused: No body can be measured here; `reason` is a `gates.Refusal`, `hint` tells
            the shopper what to do.
    """
    reading = the_person(reader.read(front))
    stance = check_front(reading)
    height_cm = request.height_cm or ASSUMED_HEIGHT_CM
    silhouette = measure_front(reading, height_cm=height_cm)
    if silhouette is None:
        refuse(Refusal.UNCLEAR)
    variant = variants()[
        variant_name(side=False, weight=request.weight_kg is not None, sex=request.sex is not None)
    ]
    girths = predict(
        _inputs(silhouette.features, request),
        variant,
        height_sd_cm=0.0 if request.height_cm else ASSUMED_HEIGHT_SD_CM,
    )
    drawn = {m: girths.drawn(m) for m in MEASURES}
    return Estimate(
        request=request,
        variant=variant.name,
        girths=girths,
        odds=size_odds(request.chart, request.garment, drawn),
        body_type=None,
        warnings=_warnings(request),
        reading=reading,
        silhouette=silhouette,
        stance=stance,
    )


def _inputs(features: Mapping[str, float], request: EstimateRequest) -> dict[str, float]:
    inputs = dict(features)
    if request.weight_kg is not None:
        inputs["weight"] = request.weight_kg
    if request.sex is not None:
        inputs["male"] = float(request.sex is Sex.MALE)
    return inputs


def _warnings(request: EstimateRequest) -> tuple[Caution, ...]:
    if request.height_cm is not None:
        return ()
    return (
        Caution(
            code="height_assumed",
            text=f"The height was not told: {ASSUMED_HEIGHT_CM:.0f} cm is assumed. "
            "Every measurement grows with it; tell the height for narrower bands.",
        ),
    )


def _check_range(name: str, value: float | None, allowed: tuple[float, float], unit: str) -> None:
    if value is not None and not allowed[0] <= value <= allowed[1]:
        raise InputError(
            f"a {name} of {value:g} {unit} is outside {allowed[0]:g} to {allowed[1]:g}"
        )
