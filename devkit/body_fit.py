"""
Fits, evaluates and anchors the regressions of body measuring. Used by `fit_body.py` and by
`benchmarks/bench_body.py`, so that the benchmark evaluates exactly what is fitted.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from devkit.body_data import Bodies, Renders
from wearon_cli.core.body.clothing import REFERENCE_CM, growth
from wearon_cli.core.body.girths import MEASURES
from wearon_cli.core.body.silhouette import TRUNK_LEVELS

Array = NDArray[np.float64]
#: A part of `girths.json`.
type Entry = dict[str, Any]

FOLDS = 5
REPEATS = 10
#: A given weight is off by this much (bathroom scales, clothes, vanity).
WEIGHT_SD_KG = 2.0
#: Copies of each body with different weight errors, so that the fit does not depend on one draw.
WEIGHT_COPIES = 8

GIRTHS = ("chest", "waist", "hip")
FITTED = (*GIRTHS, "shoulder")

#: The trunk's breadth is read from this level on, every so many levels of 0.04. Around the armpits
#: only the chest uses it, for which few inputs were best.
TRUNK_FROM = {"chest": 0.3, "waist": 0.38, "hip": 0.38, "shoulder": 0.38}
TRUNK_EVERY = {"chest": 4, "waist": 2, "hip": 2, "shoulder": 2}
#: Of the rest of the outline, only what hair, skirts and wide trousers do not cover. Neck, thighs
#: and calves would lower the error on these renders by 0.1 cm at most, and make it large for such
#: people.
OUTLINE = (
    *("stature", "waist_narrowest", "hip_broadest", "shoulder_span", "hip_span"),
    *("trunk_length", "area_per_stature"),
)
#: From the side. Dense where it matters: at the armpits (chest) and below the buttocks (hip).
SIDE = (
    *("depth_0.30", "depth_0.34"),
    *(f"depth_{0.38 + 0.08 * i:.2f}" for i in range(11)),
    *("depth_1.30", "depth_1.38", "depth_1.42", "depth_1.46"),
    *("waist_shallowest", "hip_deepest"),
)
#: Ridge penalty, in units of one standardised body.
PENALTY = {"chest": 10.0, "waist": 6.0, "hip": 6.0, "shoulder": 1.0}
PENALTY_WITH_SIDE = {"chest": 4.0, "waist": 4.0, "hip": 4.0, "shoulder": 1.0}
#: Given inputs are not shrunk: their slopes are real.
FREE = ("weight", "male")
#: Least reduction of the cross-validated error for which an input is used, in cm.
LEAST_HELP_CM = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """The inputs of a variant in addition to the front photo and the stature."""

    side: bool = False
    given: tuple[str, ...] = ()  # of FREE

    def seen(self, target: str) -> tuple[str, ...]:
        levels = [level for level in TRUNK_LEVELS if level >= TRUNK_FROM[target]]
        trunk = (f"trunk_{level:.2f}" for level in levels[:: TRUNK_EVERY[target]])
        return (*OUTLINE, *trunk, *(SIDE if self.side else ()))

    def penalty(self, target: str) -> float:
        return (PENALTY_WITH_SIDE if self.side else PENALTY)[target]


@dataclass(frozen=True, slots=True, kw_only=True)
class Linear:
    """A fitted linear model in plain units."""

    inputs: tuple[str, ...]
    constant: float
    per_unit: Array

    def at(self, bodies: Bodies) -> Array:
        return np.asarray(self.constant + bodies.table(self.inputs) @ self.per_unit)


def fit(bodies: Bodies, target: str, inputs: Sequence[str], penalty: float) -> Linear:
    """Ridge regression on standardised inputs, returned in plain units."""
    table, truth = bodies.table(inputs), bodies.columns[target]
    mean, sd = table.mean(axis=0), table.std(axis=0) + 1e-9
    scaled = (table - mean) / sd
    copies = WEIGHT_COPIES if "weight" in inputs else 1
    shrink = np.array([1e-3 if name in FREE else penalty * copies for name in inputs])
    normal = scaled.T @ scaled + np.diag(shrink)
    slopes = np.linalg.solve(normal, scaled.T @ (truth - truth.mean())) / sd
    return Linear(
        inputs=tuple(inputs),
        constant=float(truth.mean() - mean @ slopes),
        per_unit=slopes,
    )


def fit_told(
    bodies: Bodies, target: str, inputs: Sequence[str], penalty: float, seed: int
) -> Linear:
    """As `fit`, but if weight is an input, it has errors."""
    given = with_weight_error(bodies, WEIGHT_COPIES, seed) if "weight" in inputs else bodies
    return fit(given, target, inputs, penalty)


def take(bodies: Bodies, which: NDArray[np.intp]) -> Bodies:
    return Bodies(columns={name: column[which] for name, column in bodies.columns.items()})


def with_weight_error(bodies: Bodies, copies: int, seed: int) -> Bodies:
    """Each body `copies` times, each time with another error of its weight."""
    columns = {name: np.tile(column, copies) for name, column in bodies.columns.items()}
    error = np.random.default_rng(seed).normal(0, WEIGHT_SD_KG, len(columns["weight"]))
    return Bodies(columns={**columns, "weight": columns["weight"] + error})


def cross_validated(
    bodies: Bodies, target: str, inputs: Sequence[str], penalty: float, *, repeats: int
) -> Array:
    """
    Errors, predicted less true, of models that never saw the body: `(repeats, n)`.

    Folds hold whole bodies, with all their photos.
    """
    errors = np.empty((repeats, len(bodies)))
    for repeat in range(repeats):
        tested = with_weight_error(bodies, 1, 1000 + repeat)
        for fold, (kept, out) in enumerate(folds(len(bodies), repeat)):
            seed = repeat * FOLDS + fold
            model = fit_told(take(bodies, kept), target, inputs, penalty, seed)
            errors[repeat, out] = (model.at(tested) - tested.columns[target])[out]
    return errors


def folds(n: int, seed: int) -> list[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """The bodies to fit on and the bodies to evaluate; each body is evaluated once."""
    order = np.random.default_rng(seed).permutation(n)
    return [(np.setdiff1d(order, order[i::FOLDS]), order[i::FOLDS]) for i in range(FOLDS)]


# --------------------------------------------------------------------------- one variant


def fit_variant(
    people: Bodies, renders: Renders, inputs: Inputs, *, repeats: int = REPEATS
) -> Entry:
    """The regressions of one variant, in the form of `girths.json`."""
    part: Entry = {}
    residuals = []
    for target in FITTED:
        part[target], errors = _fitted(people, renders, target, inputs, repeats)
        residuals.append(errors)
    part["inseam"] = _inseam(people, inputs.given)
    correlation = np.eye(len(MEASURES))
    correlation[: len(FITTED), : len(FITTED)] = np.corrcoef(residuals)
    return {**part, "correlation": correlation.round(3).tolist()}


def _fitted(
    people: Bodies, renders: Renders, target: str, inputs: Inputs, repeats: int
) -> tuple[Entry, Array]:
    penalty = inputs.penalty(target)
    used = [*inputs.seen(target), *(t for t in inputs.given if _helps(renders, target, t, inputs))]
    errors = cross_validated(renders, target, used, penalty, repeats=repeats)
    anchor = anchor_cm(people, renders, target)
    model = fit_told(renders, target, used, penalty, seed=7)
    entry = {
        "cv_mae_cm": round(float(np.abs(errors).mean()), 2),
        "band_80_cm": round(float(np.quantile(np.abs(errors + anchor), 0.8)), 2),
        "anchor_cm": round(anchor, 2),
        "constant": round(model.constant + anchor, 3),
        "per_unit": _rounded(model.inputs, model.per_unit),
    }
    return entry, errors.mean(axis=0)


def _helps(renders: Renders, target: str, one: str, inputs: Inputs) -> bool:
    """Drops the inputs that do not lower the cross-validated error of a measure."""
    others = [*inputs.seen(target), *(t for t in inputs.given if t != one)]
    without, with_it = (
        np.abs(cross_validated(renders, target, names, inputs.penalty(target), repeats=4)).mean()
        for names in (others, [*others, one])
    )
    return bool(with_it < without - LEAST_HELP_CM)


def _inseam(people: Bodies, given: Sequence[str]) -> Entry:
    """Crotch height from stature (and sex), on people alone: the renders have no true value of
    it.
    """
    inputs = ["stature", *(t for t in given if t == "male")]
    slopes = least_squares(people, "inseam", inputs)
    errors = with_one(people, inputs) @ slopes - people.columns["inseam"]
    return {
        "cv_mae_cm": round(float(np.abs(errors).mean()), 2),
        "band_80_cm": round(float(np.quantile(np.abs(errors), 0.8)), 2),
        "anchor_cm": 0.0,
        "constant": round(float(slopes[0]), 3),
        "per_unit": _rounded(inputs, slopes[1:]),
    }


def _rounded(names: Sequence[str], slopes: Array) -> dict[str, float]:
    return {name: round(float(slope), 5) for name, slope in zip(names, slopes, strict=True)}


# --------------------------------------------------------------------------- people

#: The share of the difference between people and renders that is corrected, see `anchor_cm`.
ANCHOR_SHARE = 0.5


def anchor_cm(people: Bodies, renders: Renders, target: str) -> float:
    """
    The correction of the model's results towards measured people; the same for every variant.

    The difference is between what people of the renders' sex, stature and breadths measure and what
    the renders measure. Half of it is corrected: ANSUR's breadths were measured with a caliper that
    presses in, unlike a silhouette, and its shoulder points differ from the renders'. These data do
    not show how much of the difference that explains. Half is never wrong by more than half, and
    the bands cover both sides. Weight and depths are not used: a render's weight is its volume
    times one density, and a caliper presses most on depths.
    """
    known = ["stature", "male"]
    if target in GIRTHS:
        known += ["waist_breadth", "hip_breadth"]
    expected = with_one(renders, known) @ least_squares(people, target, known)
    return float(ANCHOR_SHARE * np.mean(expected - renders.columns[target]))


def with_one(bodies: Bodies, names: Sequence[str]) -> Array:
    """A table of these columns, a column of ones before them."""
    return np.column_stack([np.ones(len(bodies)), bodies.table(names)])


def least_squares(bodies: Bodies, target: str, names: Sequence[str]) -> Array:
    """Constant and slopes."""
    return np.linalg.lstsq(with_one(bodies, names), bodies.columns[target], rcond=None)[0]


# --------------------------------------------------------------------------- clothes

#: Share of bodies in close-fitting clothes that may look loosely dressed.
FALSE_ALARMS = 0.02
#: Ridge on the correlation of features: 100 bodies do not separate 35 directions.
CLOTHING_RIDGE = 0.1


def fit_clothing(renders: Renders) -> Entry:
    """
    The estimate of how loose clothes are: generalised least squares along the direction in which
    cloth moves the outline, relative to the natural variation of bodies.
    """
    legs = ("thigh_0.80", "calf_0.20", "calf_0.35", "calf_0.50", "calf_0.70", "leg_length")
    names = [name for name in (*Inputs().seen("waist"), *legs) if name != "stature"]
    weights, constant = _clothing_model(renders, names)
    held_out = np.empty(len(renders))
    for kept, out in folds(len(renders), 0):
        w, c = _clothing_model(renders.take(kept), names)
        held_out[out] = c + at_reference(renders.take(out), names) @ w
    suspect = float(held_out.mean() + np.quantile(held_out - held_out.mean(), 1 - FALSE_ALARMS))
    return {
        "constant": round(constant, 4),
        "per_unit": _rounded(names, weights),
        "suspect_cm": round(suspect, 2),
    }


def fit_weight(renders: Renders) -> Entry:
    """The expected weight for an outline, to detect a given weight that does not fit."""
    inputs = Inputs().seen("waist")
    model = fit(renders, "weight", inputs, penalty=6.0)
    errors = cross_validated(renders, "weight", inputs, 6.0, repeats=4)
    ratio = renders.columns["weight"] / (renders.columns["weight"] + errors)
    return {
        "cv_mae_kg": round(float(np.abs(errors).mean()), 2),
        "given_over_expected": [round(float(ratio.min()), 2), round(float(ratio.max()), 2)],
        "constant": round(model.constant, 3),
        "per_unit": _rounded(model.inputs, model.per_unit),
    }


def at_reference(bodies: Bodies, names: Sequence[str]) -> Array:
    """Features scaled to one stature."""
    return bodies.table(names) * (REFERENCE_CM / bodies.columns["stature"])[:, None]


def _clothing_model(renders: Renders, names: Sequence[str]) -> tuple[Array, float]:
    table = at_reference(renders, names)
    mean, sd = table.mean(axis=0), table.std(axis=0)
    scaled = (table - mean) / sd
    spread = np.cov(scaled.T) + CLOTHING_RIDGE * np.eye(len(names))
    direction = np.array([growth(name) for name in names]) / sd
    weights = np.linalg.solve(spread, direction)
    weights = weights / (weights @ direction) / sd
    return weights, float(-mean @ weights)
