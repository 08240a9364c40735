"""
From breadths to girths: linear regressions, each with its own band.

The coefficients are in `girths.json`, with their source, their cross-validated error and their
anchor; `scripts/fit_body.py` writes that file and docs/measuring.md explains it. Nothing is
clamped: an input far from the fitted data gives an implausible number with a wider band.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

#: What is measured, in the order of every array here.
MEASURES: Final = ("chest", "waist", "hip", "shoulder", "inseam")
#: Probability that a band contains the true value.
BAND_ODDS: Final = 0.8
#: Standard deviations from the middle to the edge of an 80 % band.
BAND_SD: Final = 1.2816
#: Random draws per distribution: enough for probabilities accurate to half a percent.
DRAWS: Final = 4000


@dataclass(frozen=True, slots=True, kw_only=True)
class Regression:
    """One linear model, and its error on bodies that it was not fitted on."""

    constant: float
    per_unit: Mapping[str, float]  # by input: cm of girth per cm (per kg, per sex)
    band_cm: float  # half the width of the 80 % band

    def at(self, inputs: Mapping[str, float]) -> float:
        """
        Raises:
            KeyError: An input is missing.
        """
        return self.constant + sum(c * inputs[name] for name, c in self.per_unit.items())


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """The regressions for one set of inputs."""

    name: str
    regressions: tuple[Regression, ...]  # in the order of MEASURES
    correlation: Array  # (5, 5), of their errors


@dataclass(frozen=True, slots=True, kw_only=True)
class Girths:
    """Measurements with their uncertainty, in cm and in the order of MEASURES."""

    middle: Array  # (5,)
    sd: Array  # (5,)
    draws: Array  # (DRAWS, 5): equally likely bodies

    def value(self, measure: str) -> float:
        return float(self.middle[MEASURES.index(measure)])

    def band(self, measure: str) -> tuple[float, float]:
        i = MEASURES.index(measure)
        half = BAND_SD * self.sd[i]
        return float(self.middle[i] - half), float(self.middle[i] + half)

    def drawn(self, measure: str) -> Array:
        return np.asarray(self.draws[:, MEASURES.index(measure)])


def variant_name(*, side: bool, weight: bool, sex: bool) -> str:
    """Name of the variant for the inputs that are known in addition to the front photo and the
    stature.
    """
    parts = ("front", "side" * side, "weight" * weight, "sex" * sex)
    return "+".join(part for part in parts if part)


def predict(
    inputs: Mapping[str, float],
    variant: Variant,
    *,
    height_sd_cm: float = 0.0,
    doubt: tuple[Mapping[str, float], float] | None = None,
) -> Girths:
    """
    Predict all measures.

    Args:
        inputs: Breadths, depths and the given values, by name.
        variant: The regressions to use.
        height_sd_cm: Standard deviation of the stature. Every breadth scales with it.
        doubt: Alternative inputs, and the share of the difference they make that is added to the
            standard deviation.
    """
    middle = _predicted(inputs, variant)
    own_sd = np.array([r.band_cm for r in variant.regressions]) / BAND_SD
    if doubt is not None:
        others, share = doubt
        own_sd = np.hypot(own_sd, share * (_predicted(others, variant) - middle))
    per_cm = _predicted(_one_cm_taller(inputs), variant) - middle
    spread = np.linalg.cholesky(variant.correlation) * own_sd[:, None]
    noise = _noise()
    draws = middle + noise[:, :-1] @ spread.T + height_sd_cm * noise[:, -1:] * per_cm
    return Girths(middle=middle, sd=np.hypot(own_sd, height_sd_cm * per_cm), draws=draws)


def expected_weight_kg(features: Mapping[str, float]) -> float:
    """The expected weight of a body with this outline."""
    weight = _document()["weight"]
    return float(weight["constant"] + sum(c * features[n] for n, c in weight["per_unit"].items()))


def _predicted(inputs: Mapping[str, float], variant: Variant) -> Array:
    return np.array([regression.at(inputs) for regression in variant.regressions])


#: Inputs that are given, not read from a photo: they do not change with the scale.
_TOLD: Final = ("weight", "male")


def _one_cm_taller(inputs: Mapping[str, float]) -> dict[str, float]:
    factor = 1 + 1 / inputs["stature"]
    return {k: v if k in _TOLD else v * factor for k, v in inputs.items()}


@cache
def _noise() -> Array:
    """
    Fixed standard normal draws, `(DRAWS, 6)`: the same photo gives the same probabilities every
    time.

    Each column is exactly normal (shuffled midpoints of equal slices); the columns are independent.
    """
    chance = np.random.default_rng(1)
    slices = (np.arange(DRAWS) + 0.5) / DRAWS
    quantiles = _normal_quantile(slices)
    return np.column_stack([chance.permutation(quantiles) for _ in range(len(MEASURES) + 1)])


def _normal_quantile(p: Array) -> Array:
    from statistics import NormalDist

    inverse = NormalDist().inv_cdf
    return np.array([inverse(float(x)) for x in p])


@cache
def variants() -> Mapping[str, Variant]:
    """All fitted variants, by name."""
    return {name: parse_variant(name, part) for name, part in _document()["variants"].items()}


@cache
def _document() -> Mapping[str, Any]:
    document: Mapping[str, Any] = json.loads(
        files(__package__).joinpath("girths.json").read_bytes()
    )
    return document


def parse_variant(name: str, part: Mapping[str, Any]) -> Variant:
    """A variant as it is written in `girths.json`."""
    return Variant(
        name=name,
        regressions=tuple(
            Regression(
                constant=part[m]["constant"],
                per_unit=part[m]["per_unit"],
                band_cm=part[m]["band_80_cm"],
            )
            for m in MEASURES
        ),
        correlation=np.array(part["correlation"]),
    )
