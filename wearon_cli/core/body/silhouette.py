"""
Breadths at levels of a standing person's outline, in cm.

The person mask gives the outline, the landmarks say where on the body a row lies. The scale is the
stated stature over the mask's vertical extent, since no landmark marks the crown or the soles.
Levels of the trunk are fractions of the way from the shoulders (0) to the hips (1).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from wearon_cli.core.body.pose import Landmark, PoseReading

Array = NDArray[np.float64]

#: Where the trunk's breadth is read: from the armpits down to the crotch.
TRUNK_LEVELS: Final = tuple(round(0.3 + 0.04 * i, 2) for i in range(21))
#: Of the trunk's levels, those between ribs and hips; the narrowest counts.
WAIST_LEVELS: Final = (0.5, 0.8)
#: Of the trunk's levels, those around the buttocks; the broadest counts.
HIP_LEVELS: Final = (0.8, 1.1)
#: Legs, as fractions of the way from hip to knee and from knee to ankle.
THIGH_LEVELS: Final = (0.6, 0.8)
CALF_LEVELS: Final = (0.2, 0.35, 0.5, 0.7)

#: A row belongs to the person when at least this many of its pixels do: fewer are noise.
_PIXELS_OF_A_ROW: Final = 3
#: No limb is broader than this share of the person's height in the picture.
_REACH: Final = 0.15

#: Length from the knuckle to the fingertip, over that from the wrist to the knuckle.
FINGERS_PER_PALM: Final = 1.0

_LEFT_ARM: Final = (
    Landmark.LEFT_SHOULDER,
    Landmark.LEFT_ELBOW,
    Landmark.LEFT_WRIST,
    Landmark.LEFT_INDEX,
)
_RIGHT_ARM: Final = (
    Landmark.RIGHT_SHOULDER,
    Landmark.RIGHT_ELBOW,
    Landmark.RIGHT_WRIST,
    Landmark.RIGHT_INDEX,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A breadth where it was read, in pixels of the photo."""

    y_px: float
    left_px: float
    right_px: float
    arms_cut: int = 0  # sides where an arm touched the body and was cut off

    @property
    def breadth_px(self) -> float:
        return self.right_px - self.left_px


@dataclass(frozen=True, slots=True, kw_only=True)
class Silhouette:
    """The measured outline of one person."""

    bottom_px: float  # soles
    cm_per_px: float
    trunk: Mapping[float, Line]  # by level
    features: Mapping[str, float]  # inputs of the regressions, cm unless the name says otherwise


def extent_px(mask: NDArray[np.float32]) -> tuple[float, float] | None:
    """Top and bottom edge of the person, to a fraction of a pixel; None without a person."""
    rows = np.flatnonzero(np.count_nonzero(mask > 0.5, axis=1) >= _PIXELS_OF_A_ROW)
    if not len(rows):
        return None
    first, last = int(rows[0]), int(rows[-1])
    inside, above = _strength(mask, first), _strength(mask, first - 1)
    top = first - (inside - 0.5) / (inside - above + 1e-9)
    inside, below = _strength(mask, last), _strength(mask, last + 1)
    bottom = last + 1 + (inside - 0.5) / (inside - below + 1e-9)
    return float(top), float(bottom)


def _strength(mask: NDArray[np.float32], row: int) -> float:
    """How likely a row belongs to the person; 0 outside the picture."""
    if not 0 <= row < len(mask):
        return 0.0
    return float(np.partition(mask[row], -_PIXELS_OF_A_ROW)[-_PIXELS_OF_A_ROW])


def measure_front(reading: PoseReading, *, height_cm: float) -> Silhouette | None:
    """
    Read the breadths of a person who faces the camera.

    Args:
        reading: One person; already checked by `gates`.
        height_cm: Stature. Sets the scale.

    Returns:
        The outline, or None when the mask has no body where the landmarks are.
    """
    extent = extent_px(reading.mask)
    if extent is None:
        return None
    top, bottom = extent
    scale = height_cm / (bottom - top)
    joints = reading.pixels().astype(np.float64)
    trunk = dict(_trunk_lines(reading.mask, joints))
    if len(trunk) < len(TRUNK_LEVELS):
        return None
    reach_px = _REACH * (bottom - top)
    features = {f"trunk_{level:.2f}": scale * line.breadth_px for level, line in trunk.items()}
    features |= _extremes(features)
    features |= {k: scale * v for k, v in _limbs(reading.mask, joints, reach_px).items()}
    features |= {k: scale * v for k, v in _spans(joints).items()}
    area_cm2 = float(np.count_nonzero(reading.mask > 0.5)) * scale**2
    features |= {"area_per_stature": area_cm2 / height_cm, "stature": height_cm}
    return Silhouette(bottom_px=bottom, cm_per_px=scale, trunk=trunk, features=features)


def _middle(joints: Array, *which: Landmark) -> Array:
    return np.asarray(joints[list(which)].mean(axis=0))


def _trunk_lines(mask: NDArray[np.float32], joints: Array) -> Iterator[tuple[float, Line]]:
    shoulders = _middle(joints, Landmark.LEFT_SHOULDER, Landmark.RIGHT_SHOULDER)
    hips = _middle(joints, Landmark.LEFT_HIP, Landmark.RIGHT_HIP)
    # The picture's right is the left of a person who faces the camera.
    arms = [with_fingers(joints[list(arm)]) for arm in (_LEFT_ARM, _RIGHT_ARM)]
    arms.sort(key=lambda arm: float(arm[0, 0]))
    for level in TRUNK_LEVELS:
        x, y = shoulders + level * (hips - shoulders)
        row = row_at(mask, float(y))
        if row is None or not 0 <= x < len(row) or row[int(x)] <= 0.5:
            continue
        left, right = run_around(row, int(x))
        left, cut_left = _without_arm(left, arms[0], float(y), side=-1)
        right, cut_right = _without_arm(right, arms[1], float(y), side=1)
        if right > left:
            yield (
                level,
                Line(y_px=float(y), left_px=left, right_px=right, arms_cut=cut_left + cut_right),
            )


def with_fingers(arm: Array) -> Array:
    """An arm's joints and its fingertips: the network's last landmark is the first knuckle."""
    wrist, knuckle = arm[-2:]
    return np.vstack([arm, knuckle + FINGERS_PER_PALM * (knuckle - wrist)])


def row_at(mask: NDArray[np.float32], y_px: float) -> NDArray[np.float32] | None:
    """The mask at a height between pixel rows (row `i` is at `i + 0.5`); None outside it."""
    low = int(np.floor(y_px - 0.5))
    if not 0 <= low < len(mask) - 1:
        return None
    share = np.float32(y_px - 0.5 - low)
    return np.asarray(mask[low] * (1 - share) + mask[low + 1] * share)


def run_around(row: NDArray[np.float32], start: int) -> tuple[float, float]:
    """Edges of the run above one half that contains `start`, to a fraction of a pixel."""
    outside = np.flatnonzero(row <= 0.5)
    at = int(np.searchsorted(outside, start))
    right = float(len(row))
    if at < len(outside):
        o = int(outside[at])
        right = o - 0.5 + (row[o - 1] - 0.5) / (row[o - 1] - row[o] + 1e-9)
    left = 0.0
    if at:
        o = int(outside[at - 1])
        left = o + 1.5 - (row[o + 1] - 0.5) / (row[o + 1] - row[o] + 1e-9)
    return float(left), float(right)


def _without_arm(edge_px: float, arm: Array, y_px: float, *, side: int) -> tuple[float, int]:
    """
    Move an edge inwards to the arm's inner side when the run includes the arm.

    The arm reaches as far inwards from its middle line as it does outwards.
    """
    for (x0, y0), (x1, y1) in pairwise(arm):
        if y0 <= y_px <= y1:
            middle = x0 + (x1 - x0) * (y_px - y0) / (y1 - y0 + 1e-9)
            if (edge_px - middle) * side > 0:
                return float(2 * middle - edge_px), 1
            return edge_px, 0
    return edge_px, 0


def _extremes(features: Mapping[str, float]) -> dict[str, float]:
    def within(low: float, high: float) -> list[float]:
        return [features[f"trunk_{t:.2f}"] for t in TRUNK_LEVELS if low <= t <= high]

    return {"waist_narrowest": min(within(*WAIST_LEVELS)), "hip_broadest": max(within(*HIP_LEVELS))}


def _limbs(mask: NDArray[np.float32], joints: Array, reach_px: float) -> dict[str, float]:
    """
    Breadths across both legs (mean of the two), in pixels.

    The neck and the head are not measured: hair covers the neck and enlarges the head.
    """
    legs = (
        (Landmark.LEFT_HIP, Landmark.LEFT_KNEE, Landmark.LEFT_ANKLE),
        (Landmark.RIGHT_HIP, Landmark.RIGHT_KNEE, Landmark.RIGHT_ANKLE),
    )
    found: dict[str, float] = {}
    for name, upper, levels in (("thigh", 0, THIGH_LEVELS), ("calf", 1, CALF_LEVELS)):
        for level in levels:
            across = [
                _across(mask, joints[leg[upper]], joints[leg[upper + 1]], level, reach_px)
                for leg in legs
            ]
            found[f"{name}_{level:.2f}"] = float(np.mean(across))
    return found


def _across(
    mask: NDArray[np.float32], start: Array, end: Array, level: float, reach_px: float
) -> float:
    """Breadth at right angles to the line from `start` to `end`."""
    along = end - start
    length = float(np.hypot(*along)) or 1.0
    normal = np.array([-along[1], along[0]]) / length
    return _breadth(mask, start + level * along, normal, reach_px)


def _breadth(mask: NDArray[np.float32], centre: Array, unit: Array, reach_px: float) -> float:
    """Breadth of the mask through a point, both ways along a unit vector, in pixels."""
    steps = np.arange(0.0, reach_px, 0.5)
    return sum(_reach(_sample(mask, centre + s * steps[:, None] * unit), steps) for s in (1, -1))


def _reach(values: NDArray[np.float32], steps: Array) -> float:
    outside = np.flatnonzero(values <= 0.5)
    if not len(outside):
        return float(steps[-1])
    at = int(outside[0])
    if at == 0:
        return 0.0
    inner, outer = values[at - 1], values[at]
    return float(steps[at - 1] + (steps[at] - steps[at - 1]) * (inner - 0.5) / (inner - outer))


def _sample(mask: NDArray[np.float32], points: Array) -> NDArray[np.float32]:
    """The mask between its pixels, bilinear; `(n, 2)` x, y in pixels."""
    rows, cols = mask.shape
    x = np.clip(points[:, 0] - 0.5, 0, cols - 1.001)
    y = np.clip(points[:, 1] - 0.5, 0, rows - 1.001)
    x0, y0 = x.astype(np.intp), y.astype(np.intp)
    fx, fy = (x - x0).astype(np.float32), (y - y0).astype(np.float32)
    upper = mask[y0, x0] * (1 - fx) + mask[y0, x0 + 1] * fx
    lower = mask[y0 + 1, x0] * (1 - fx) + mask[y0 + 1, x0 + 1] * fx
    return np.asarray(upper * (1 - fy) + lower * fy)


def _spans(joints: Array) -> dict[str, float]:
    """Distances between landmarks, in pixels."""
    left, right = joints[Landmark.LEFT_SHOULDER], joints[Landmark.RIGHT_SHOULDER]
    hip_left, hip_right = joints[Landmark.LEFT_HIP], joints[Landmark.RIGHT_HIP]
    hips, shoulders = (hip_left + hip_right) / 2, (left + right) / 2
    ankles = _middle(joints, Landmark.LEFT_ANKLE, Landmark.RIGHT_ANKLE)
    return {
        "shoulder_span": float(np.hypot(*(left - right))),
        "hip_span": float(np.hypot(*(hip_left - hip_right))),
        "trunk_length": float(np.hypot(*(hips - shoulders))),
        "leg_length": float(ankles[1] - hips[1]),
    }
