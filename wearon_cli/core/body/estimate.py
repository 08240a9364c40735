"""
Measure a body from a photo or two: the one entry point for the HTTP app and the command line.

    estimate(front, reader, request, side=None) -> Estimate      raises PhotoRefused
    EstimateRequest(height_cm=..., weight_kg=..., sex=..., chart=..., garment=...)
    Estimate.to_response() -> dict in the callers' shape

Pure except for the reader's inference; call it on a thread, never on an event loop.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from wearon_cli.core.body.body_types import BodyType, body_type
from wearon_cli.core.body.clothing import looseness, without_loose_cloth
from wearon_cli.core.body.gates import (
    Refusal,
    check_front,
    check_side,
    refuse,
    the_person,
)
from wearon_cli.core.body.girths import (
    MEASURES,
    Girths,
    expected_weight_kg,
    predict,
    variant_name,
    variants,
)
from wearon_cli.core.body.light import is_blurred, is_dark
from wearon_cli.core.body.pose import PoseReader, PoseReading
from wearon_cli.core.body.profile import Profile, measure_side
from wearon_cli.core.body.silhouette import Silhouette, measure_front
from wearon_cli.core.body.sizes import SizeChart, SizeOdds, built_in_chart, size_odds
from wearon_cli.core.body.stated import HEIGHT_RANGE_CM, WEIGHT_RANGE_KG, GarmentKind, Sex
from wearon_cli.core.errors import InputError

#: What is assumed when no height is given: mean and spread of ANSUR II, both sexes
#: in equal parts (169.2 and 9.3), rounded.
ASSUMED_HEIGHT_CM: Final = 170.0
ASSUMED_HEIGHT_SD_CM: Final = 9.5
#: How far girths corrected for loose clothes may be off: share of the correction.
LOOSE_DOUBT: Final = 0.4
#: Limits of the given weight over the weight expected from the outline; outside them the weight is
#: not used. Renders: 0.85 to 1.18; pounds given as kg: 2.2.
WEIGHT_FITS: Final = (0.78, 1.28)


@dataclass(frozen=True, slots=True, kw_only=True)
class EstimateRequest:
    """What is known about the person, and what is requested."""

    height_cm: float | None = None  # None: `ASSUMED_HEIGHT_CM` is taken, bands widen
    weight_kg: float | None = None
    sex: Sex | None = None
    chart: SizeChart = field(default_factory=lambda: built_in_chart("default"))
    garment: GarmentKind = GarmentKind.TOP

    def __post_init__(self) -> None:
        _check_range("height", self.height_cm, HEIGHT_RANGE_CM, "cm")
        _check_range("weight", self.weight_kg, WEIGHT_RANGE_KG, "kg")
        self.chart.girths_for(self.garment)


@dataclass(frozen=True, slots=True, kw_only=True)
class Caution:
    """A warning about the numbers."""

    code: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Outline:
    """What was read from the photos."""

    front: PoseReading
    silhouette: Silhouette
    side: PoseReading | None
    profile: Profile | None
    features: Mapping[str, float]  # of all photos together


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A measured body."""

    request: EstimateRequest
    variant: str  # what the numbers are based on, such as "front+weight"
    girths: Girths
    odds: SizeOdds
    body_type: BodyType | None
    warnings: tuple[Caution, ...]
    outline: Outline

    def to_response(self) -> dict[str, object]:
        """The JSON answer of `POST /estimate-body`."""
        measurements = {f"{m}_cm": round(self.girths.value(m), 1) for m in MEASURES}
        if self.request.height_cm is not None:
            measurements["height_cm"] = round(self.request.height_cm, 1)
        return {
            "recommended_size": self.odds.recommended,
            "measurements": measurements,
            "confidence": round(self.odds.confidence, 3),
            "body_type": self.body_type.value if self.body_type else None,
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
    side: NDArray[np.uint8] | None = None,
) -> Estimate:
    """
    Measure the person in a photo.

    Args:
        front: (rows, cols, 3) uint8, RGB, upright (see `photo.read_photo`); facing the camera.
        reader: The pose network.
        request: What is known about the person.
        side: The same person seen exactly from the side, if there is such a photo.

    Raises:
        PhotoRefused: No body can be measured here; `reason` is a `gates.Refusal`, `hint` says
            what the shopper should do.
    """
    height_cm = request.height_cm or ASSUMED_HEIGHT_CM
    outline = _outline(front, side, reader, height_cm)
    return _measured(outline, request, height_cm)


def _outline(
    front: NDArray[np.uint8], side: NDArray[np.uint8] | None, reader: PoseReader, height_cm: float
) -> Outline:
    reading = _only_person(front, reader)
    check_front(reading)
    _check_sharp(front, reading)
    silhouette = measure_front(reading, height_cm=height_cm)
    if silhouette is None:
        refuse(Refusal.UNCLEAR)
    side_photo, profile = _from_side(side, reader, height_cm) if side is not None else (None, None)
    return Outline(
        front=reading,
        silhouette=silhouette,
        side=side_photo,
        profile=profile,
        features={**silhouette.features, **(profile.features if profile else {})},
    )


def _from_side(
    side: NDArray[np.uint8], reader: PoseReader, height_cm: float
) -> tuple[PoseReading, Profile]:
    reading = _only_person(side, reader)
    check_side(reading)
    _check_sharp(side, reading)
    profile = measure_side(reading, height_cm=height_cm)
    if profile is None:
        refuse(Refusal.UNCLEAR)
    return reading, profile


def _only_person(photo: NDArray[np.uint8], reader: PoseReader) -> PoseReading:
    if is_dark(photo):  # first: in the dark the network finds no person
        refuse(Refusal.TOO_DARK)
    return the_person(reader.read(photo))


def _check_sharp(photo: NDArray[np.uint8], reading: PoseReading) -> None:
    if is_dark(photo, reading):
        refuse(Refusal.TOO_DARK)
    if is_blurred(photo, reading):
        refuse(Refusal.BLURRED)


def _measured(outline: Outline, request: EstimateRequest, height_cm: float) -> Estimate:
    features = outline.features
    loose_cm = looseness().at_cm(features)
    is_loose = loose_cm > looseness().suspect_cm
    body = without_loose_cloth(features, loose_cm) if is_loose else features
    weight_fits = _weight_fits(body, request.weight_kg)
    variant = variants()[
        variant_name(
            side=outline.profile is not None,
            weight=request.weight_kg is not None and weight_fits,
            sex=request.sex is not None,
        )
    ]
    girths = predict(
        {**body, **_given_inputs(request)},
        variant,
        height_sd_cm=0.0 if request.height_cm else ASSUMED_HEIGHT_SD_CM,
        doubt=({**features, **_given_inputs(request)}, LOOSE_DOUBT) if is_loose else None,
    )
    return Estimate(
        request=request,
        variant=variant.name,
        girths=girths,
        odds=size_odds(request.chart, request.garment, {m: girths.drawn(m) for m in MEASURES}),
        body_type=body_type(girths, height_cm=height_cm),
        warnings=_warnings(request, loose_cm if is_loose else None, weight_fits=weight_fits),
        outline=outline,
    )


def _given_inputs(request: EstimateRequest) -> dict[str, float]:
    given: dict[str, float] = {}
    if request.weight_kg is not None:
        given["weight"] = request.weight_kg
    if request.sex is not None:
        given["male"] = float(request.sex is Sex.MALE)
    return given


def _weight_fits(features: Mapping[str, float], weight_kg: float | None) -> bool:
    if weight_kg is None:
        return True
    low, high = WEIGHT_FITS
    return low <= weight_kg / max(expected_weight_kg(features), 1.0) <= high


def _warnings(
    request: EstimateRequest, loose_cm: float | None, *, weight_fits: bool
) -> tuple[Caution, ...]:
    found = []
    if request.height_cm is None:
        found.append(
            Caution(
                code="height_assumed",
                text=f"No height was given, so {ASSUMED_HEIGHT_CM:.0f} cm is assumed. All "
                "measurements depend on it: give your height for a better result.",
            )
        )
    if loose_cm is not None:
        found.append(
            Caution(
                code="loose_clothing",
                text=f"The clothes look loose, about {loose_cm:.1f} cm off the body. The "
                "measurements are corrected for that and are less certain. Close-fitting "
                "clothes give the best result.",
            )
        )
    if not weight_fits:
        found.append(
            Caution(
                code="weight_unlikely",
                text="The weight does not match the body in the photo, so it is ignored. Check "
                "that the height is in cm and the weight in kg.",
            )
        )
    return tuple(found)


def _check_range(name: str, value: float | None, allowed: tuple[float, float], unit: str) -> None:
    if value is not None and not allowed[0] <= value <= allowed[1]:
        raise InputError(
            f"a {name} of {value:g} {unit} is outside {allowed[0]:g} to {allowed[1]:g}"
        )
