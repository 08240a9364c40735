"""
Depths at levels of a person's outline seen from the side, in cm.

Levels are the front view's: fractions of the way from the shoulders (0) to the hips (1), and
further down the thighs. A hanging arm covers part of the trunk's front; there the front is
interpolated between the levels above and below the arm.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from wearon_cli.core.body.pose import Landmark, PoseReading
from wearon_cli.core.body.silhouette import (
    Line,
    extent_px,
    row_at,
    run_around,
    with_fingers,
)

Array = NDArray[np.float64]

#: Where depth is read: from above the armpits down to the upper thigh.
SIDE_LEVELS: Final = tuple(round(0.26 + 0.04 * i, 2) for i in range(33))
#: Of these, the levels searched for the narrowest belly and for the deepest buttocks.
SHALLOW_LEVELS: Final = (0.5, 0.8)
DEEP_LEVELS: Final = (0.78, 1.22)
#: A level next to one covered by an arm counts as covered too when the outline juts out by this
#: share of the height, up to this many levels further.
_JUT: Final = 0.008
_ADJACENT_LEVELS: Final = 5
#: Distance from an arm's middle line within which the outline's front is the arm's: share of the
#: person's height.
_ARM_REACH: Final = 0.015

_ARMS: Final = tuple(
    [Landmark[f"{side}_{joint}"] for joint in ("SHOULDER", "ELBOW", "WRIST", "INDEX")]
    for side in ("LEFT", "RIGHT")
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """The measured outline of one person from the side."""

    bottom_px: float  # soles
    cm_per_px: float
    trunk: Mapping[float, Line]  # by level, from back to front or front to back
    features: Mapping[str, float]  # inputs of the regressions, cm


def measure_side(reading: PoseReading, *, height_cm: float) -> Profile | None:
    """
    Read the depths of a person seen from the side.

    Args:
        reading: One person; already checked by `gates.check_side`.
        height_cm: Stature. Sets the scale.

    Returns:
        The outline, or None when the mask has no body where the landmarks are.
    """
    extent = extent_px(reading.mask)
    if extent is None:
        return None
    top, bottom = extent
    joints = reading.pixels().astype(np.float64)
    edges = _edges(reading.mask, joints)
    if edges is None:
        return None
    y_px, left_px, right_px = edges
    forward = _forward(joints)
    front_px = right_px if forward > 0 else left_px
    free = ~_hidden(joints, y_px, front_px, forward, bottom - top)
    if not free.any():
        return None
    front_px[:] = np.interp(y_px, y_px[free], front_px[free])
    scale = height_cm / (bottom - top)
    return Profile(
        bottom_px=bottom,
        cm_per_px=scale,
        trunk={
            level: Line(y_px=float(y), left_px=float(a), right_px=float(b), arms_cut=int(not f))
            for level, y, a, b, f in zip(SIDE_LEVELS, y_px, left_px, right_px, free, strict=True)
        },
        features=_features(scale * (right_px - left_px)),
    )


def _features(depths_cm: Array) -> dict[str, float]:
    features = {
        f"depth_{level:.2f}": float(depth)
        for level, depth in zip(SIDE_LEVELS, depths_cm, strict=True)
    }

    def within(low: float, high: float) -> list[float]:
        return [features[f"depth_{t:.2f}"] for t in SIDE_LEVELS if low <= t <= high]

    return {
        **features,
        "waist_shallowest": min(within(*SHALLOW_LEVELS)),
        "hip_deepest": max(within(*DEEP_LEVELS)),
    }


def _edges(mask: NDArray[np.float32], joints: Array) -> tuple[Array, Array, Array] | None:
    """Height, left and right edge of the trunk at every level, in pixels."""
    shoulders, hips, knees = (_mid(joints, name) for name in ("SHOULDER", "HIP", "KNEE"))
    if not shoulders[1] < hips[1] < knees[1]:
        return None
    y_px = shoulders[1] + np.array(SIDE_LEVELS) * (hips[1] - shoulders[1])
    x_px = np.interp(y_px, [shoulders[1], hips[1], knees[1]], [shoulders[0], hips[0], knees[0]])
    runs = []
    for x, y in zip(x_px, y_px, strict=True):
        row = row_at(mask, float(y))
        inside = np.flatnonzero(row > 0.5) if row is not None else np.array([])
        if row is None or not len(inside):
            return None
        runs.append(run_around(row, int(inside[np.abs(inside - x).argmin()])))
    left, right = np.array(runs).T.copy()
    return y_px, left, right


def _forward(joints: Array) -> int:
    """1 when the person looks to the right of the picture, -1 when to the left."""
    toes = _mid(joints, "FOOT_INDEX")[0] - _mid(joints, "HEEL")[0]
    nose = joints[Landmark.NOSE, 0] - _mid(joints, "EAR")[0]
    return 1 if toes + nose > 0 else -1


def _hidden(
    joints: Array, y_px: Array, front_px: Array, forward: int, tall_px: float
) -> NDArray[np.bool_]:
    """The levels at which the outline's front is that of an arm or a hand."""
    arms = [with_fingers(joints[arm]) for arm in _ARMS]
    hidden = np.array(
        [
            any(_arm_at_front(arm, y, x, forward, tall_px) for arm in arms)
            for y, x in zip(y_px, front_px, strict=True)
        ]
    )
    for _ in range(_ADJACENT_LEVELS):  # extended over what juts out next to it: palms and sleeves
        adjacent = ~hidden & np.convolve(hidden, [1, 0, 1], "same").astype(bool)
        sure = ~hidden & ~adjacent
        if not sure.any():
            break
        straight_px = np.interp(y_px, y_px[sure], front_px[sure])
        hidden |= adjacent & ((front_px - straight_px) * forward > _JUT * tall_px)
    return np.asarray(hidden)


def _arm_at_front(arm: Array, y_px: float, front_px: float, forward: int, tall_px: float) -> bool:
    """
    Whether the outline's front at a height is, or may be, an arm.

    A hand held forward is nearly horizontal: every part of it near the height counts, not only the
    point where its middle line crosses it.
    """
    slack = _ARM_REACH * tall_px
    low, high = y_px - slack, y_px + slack
    for upper, lower in pairwise(arm):
        (x0, y0), (x1, y1) = sorted((upper, lower), key=lambda joint: float(joint[1]))
        if y0 <= high and y1 >= low:
            ends = np.clip((np.array([low, high]) - y0) / (y1 - y0 + 1e-9), 0, 1)
            if ((x0 + (x1 - x0) * ends - front_px) * forward > -slack).any():
                return True
    return False


def _mid(joints: Array, name: str) -> Array:
    return np.asarray((joints[Landmark[f"LEFT_{name}"]] + joints[Landmark[f"RIGHT_{name}"]]) / 2)
