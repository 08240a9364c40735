"""
How the regressions of body measuring are fitted, judged and anchored. Used by `fit_body.py` and by
`benchmarks/bench_body.py`, so that what is printed is what was fitted.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from body_data import Bodies, Renders
from numpy.typing import NDArray

Array = NDArray[np.float64]

FOLDS = 5
REPEATS = 10
#: A told weight is off by this much (bathroom scales, clothes, vanity).
WEIGHT_SD_KG = 2.0
#: Copies of each body with different weight errors, so that the fit does not trust one draw.
WEIGHT_COPIES = 8

GIRTHS = ("chest", "waist", "hip")
FITTED = (*GIRTHS, "shoulder")

FRONT = (
    "stature",
    *(f"trunk_{0.38 + 0.08 * i:.2f}" for i in range(10)),
    *("waist_narrowest", "hip_broadest", "thigh_0.80", "calf_0.35", "calf_0.70", "neck"),
    *("shoulder_span", "hip_span", "trunk_length", "area_per_stature"),
)
#: Ridge penalty, in units of one standardised body.
PENALTY = {"chest": 6.0, "waist": 6.0, "hip": 6.0, "shoulder": 1.0}
#: An input that was told is not shrunk: its slope is real.
FREE = ("weight", "male")


@dataclass(frozen=True, slots=True, kw_only=True)
class Linear:
    """A fitted linear model in plain units."""

    inputs: tuple[str, ...]
    constant: float
    per_unit: Array

    def at(self, bodies: Bodies) -> Array:
        return np.asarray(self.constant + bodies.table(self.inputs) @ self.per_unit)


def fit(bodies: Bodies, target: str, inputs: Sequence[str], penalty: float) -> Linear:
    """Ridge regression on standardised inputs, told back in plain units."""
    table, truth = bodies.table(inputs), bodies.columns[target]
    mean, sd = table.mean(axis=0), table.std(axis=0) + 1e-9
    scaled = (table - mean) / sd
    copies = len(truth) / len(np.unique(truth)) if "weight" in inputs else 1.0
    shrink = np.array([1e-3 if name in FREE else penalty * copies for name in inputs])
    normal = scaled.T @ scaled + np.diag(shrink)
    slopes = np.linalg.solve(normal, scaled.T @ (truth - truth.mean())) / sd
    return Linear(
        inputs=tuple(inputs),
        constant=float(truth.mean() - mean @ slopes),
        per_unit=slopes,
    )


def take(bodies: Bodies, which: NDArray[np.intp]) -> Bodies:
    return Bodies(columns={name: column[which] for name, column in bodies.columns.items()})


def with_weight_error(bodies: Bodies, copies: int, seed: int) -> Bodies:
    """Each body `copies` times, its weight told with an error each time."""
    columns = {name: np.tile(column, copies) for name, column in bodies.columns.items()}
    error = np.random.default_rng(seed).normal(0, WEIGHT_SD_KG, len(columns["weight"]))
    return Bodies(columns={**columns, "weight": columns["weight"] + error})


def cross_validated(
    bodies: Bodies, target: str, inputs: Sequence[str], *, repeats: int = REPEATS
) -> Array:
    """
    Errors, predicted less true, of models that never saw the body: `(repeats, n)`.

    Folds hold whole bodies, with all their photos.
    """
    told = "weight" in inputs
    errors = np.empty((repeats, len(bodies)))
    for repeat in range(repeats):
        tested = with_weight_error(bodies, 1, 1000 + repeat) if told else bodies
        order = np.random.default_rng(repeat).permutation(len(bodies))
        for fold in range(FOLDS):
            out = order[fold::FOLDS]
            kept = take(bodies, np.setdiff1d(order, out))
            if told:
                kept = with_weight_error(kept, WEIGHT_COPIES, repeat * FOLDS + fold)
            model = fit(kept, target, inputs, PENALTY[target])
            errors[repeat, out] = (model.at(tested) - tested.columns[target])[out]
    return errors


# --------------------------------------------------------------------------- people

#: How much of the difference between people and renders is moved, see `anchor_cm`.
ANCHOR_SHARE = 0.5


def anchor_cm(
    people: Bodies, renders: Renders, target: str, *, side: bool, told: Sequence[str]
) -> float:
    """
    How far the model's answers are moved towards people.

    The difference is between what people of the renders' sex, stature and breadths (and depths
    and weight, when known) measure and what the renders measure. Half of it is taken: ANSUR's
    breadths are taken with a caliper that presses in, a silhouette is not, its shoulder points
    are not the renders', and how much of the difference is that cannot be told from these data.
    Half is never wrong by more than half; the bands hold on both sides.
    """
    inputs = ["stature", "male", *(t for t in told if t != "male")]
    if target in GIRTHS:
        inputs += ["waist_breadth", "hip_breadth"]
        if side:
            inputs += ["chest_depth", "waist_depth", "hip_depth"]
    table = np.column_stack([np.ones(len(people)), people.table(inputs)])
    slopes = np.linalg.lstsq(table, people.columns[target], rcond=None)[0]
    expected = np.column_stack([np.ones(len(renders)), renders.table(inputs)]) @ slopes
    return float(ANCHOR_SHARE * np.mean(expected - renders.columns[target]))
