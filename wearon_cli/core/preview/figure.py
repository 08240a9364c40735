"""
Where a garment goes on a person: joints, outline of the torso without the arms, arms as strips.

Everything is in pixels of the person's photo; x goes right, y down. Left and right are the photo's.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from wearon_cli.core.body.pose import Landmark, PoseReading
from wearon_cli.core.errors import NotDressable
from wearon_cli.core.preview.rasters import Floats, Mask

#: Arm landmarks from the shoulder to the fingers, for the person's left and right.
_ARMS: Final = (
    (Landmark.LEFT_SHOULDER, Landmark.LEFT_ELBOW, Landmark.LEFT_WRIST, Landmark.LEFT_INDEX),
    (Landmark.RIGHT_SHOULDER, Landmark.RIGHT_ELBOW, Landmark.RIGHT_WRIST, Landmark.RIGHT_INDEX),
)
_HIPS: Final = (Landmark.LEFT_HIP, Landmark.RIGHT_HIP)

# Proportions below are shares of the torso (shoulder joints to hip joints). No source: set by eye
# on rendered people.
ARMPIT_DOWN: Final = 0.2  # armpit under the shoulder joint
ARM_RADIUS: Final = 0.07, 0.2  # half an arm's width: thinnest, thickest at the shoulder,
HAND_RADIUS: Final = 0.12  # and thickest at the fingers
SEATED_DROP: Final = 0.6  # from hip to knee; standing, 0.75 and more
LEAST_TORSO_PX: Final = 40
#: Half a neck over the distance of the shoulder joints, thinnest and thickest.
NECK_HALF: Final = (0.15, 0.26)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Arm:
    """An arm as a bent strip: a way along its bones, a distance across."""

    side: int  # -1: on the left of the photo, 1: on the right
    bones: Floats  # (4, 2) shoulder, elbow, wrist, fingers
    starts: Floats  # (4,) way along at each of them
    radius: Floats  # half its width, at each pixel along
    is_hidden: bool  # behind the body, or out of the photo

    def along_across(self, points: Floats) -> tuple[Floats, Floats]:
        """
        Way along (negative before the shoulder joint, longer than the arm past the fingers) and
        across (outwards positive) of (n, 2) points, by the nearest bone.
        """
        best = np.full(len(points), np.inf)
        way, across = np.zeros(len(points)), np.zeros(len(points))
        for first in range(3):
            start, end = self.bones[first], self.bones[first + 1]
            span = max(float(np.hypot(*(end - start))), 1.0)
            along = (end - start) / span
            out = np.array([along[1], -along[0]]) * self.side
            offset = points - start
            along_bone = offset @ along
            # The first bone goes on into the shoulder; past the fingers there is a way as well.
            low, high = -np.inf if first == 0 else 0.0, np.inf if first == 2 else span
            rest = offset - np.clip(along_bone, low, span)[:, None] * along
            distance = np.hypot(rest[:, 0], rest[:, 1])
            nearer = distance < best
            best[nearer] = distance[nearer]
            way[nearer] = (self.starts[first] + np.clip(along_bone, low, high))[nearer]
            across[nearer] = (offset @ out)[nearer]
        return way, across

    def radius_at(self, way: Floats) -> Floats:
        return np.asarray(np.interp(way, np.arange(len(self.radius)), self.radius))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Figure:
    """A standing person, as far as a top needs it."""

    torso_px: float
    joints: Floats  # (2, 2) shoulder joints, left and right
    hips: Floats  # (2, 2) hip joints, left and right
    arms: tuple[Arm, Arm]
    armpit: float  # row
    neck_x: float
    neck_half: float
    person: Mask  # (rows, cols)

    def sides(self, rows: Floats) -> tuple[Floats, Floats]:
        """Columns of the torso's outline, arms cut off, at some rows from the armpit down."""
        return self._side(rows, -1), self._side(rows, 1)

    def shoulder_line(self, columns: Floats) -> Floats:
        """Rows of the outline above the shoulder joints, smoothed."""
        base = np.interp(columns, self.joints[:, 0], self.joints[:, 1])
        steps = np.arange(int(0.5 * self.torso_px))
        rows = np.clip(base[:, None] - steps, 0, len(self.person) - 1).astype(int)
        cols = np.clip(columns, 0, self.person.shape[1] - 1).astype(int)
        height = (~self.person[rows, cols[:, None]]).argmax(1)
        return np.asarray(base - height)

    def _side(self, rows: Floats, side: int) -> Floats:
        index = 0 if side < 0 else 1
        middle = np.interp(
            rows,
            [self.joints[:, 1].mean(), self.hips[:, 1].mean()],
            [self.joints[:, 0].mean(), self.hips[:, 0].mean()],
        )
        row = np.clip(rows, 0, len(self.person) - 1).astype(int)
        steps = np.arange(self.person.shape[1])
        cols = np.clip(middle[:, None] + side * steps, 0, self.person.shape[1] - 1).astype(int)
        reach = (~self.person[row[:, None], cols]).argmax(1).astype(float)
        # An arm that touches the torso is no part of it; the line of the joints always is.
        joint, hip = self.joints[index], self.hips[index]
        inside = np.interp(rows, [joint[1], hip[1]], [joint[0], hip[0] + side * 0.3 * self._hip()])
        bone, radius = self._arm_at(rows, self.arms[index])
        is_outside = side * (bone - inside) > 0
        limit = np.where(is_outside, side * (bone - middle) - 0.95 * radius, np.inf)
        reach = np.maximum(np.minimum(reach, limit), side * (inside - middle))
        return np.asarray(middle + side * reach)

    def _hip(self) -> float:
        return float(self.hips[1, 0] - self.hips[0, 0])

    @staticmethod
    def _arm_at(rows: Floats, arm: Arm) -> tuple[Floats, Floats]:
        """Column of the arm's bones and their radius at some rows; infinite where there is none."""
        order = np.argsort(arm.bones[:, 1])
        y, x = arm.bones[order, 1], arm.bones[order, 0]
        far = arm.side * np.inf
        column = np.interp(rows, y, x, left=far, right=far)
        return column, arm.radius_at(np.interp(rows, y, arm.starts[order]))


def on_arm(arm: Arm, x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """Way along an arm and distance across it of every pixel of a frame."""
    way, across = arm.along_across(np.stack([x.ravel(), y.ravel()], axis=1))
    return way.reshape(x.shape), across.reshape(x.shape)


def is_seated(pose: PoseReading, torso_px: float) -> bool:
    """True when the thighs do not hang down."""
    points = pose.pixels()
    drops = [
        float(points[knee, 1] - points[hip, 1])
        for hip, knee in zip(_HIPS, (Landmark.LEFT_KNEE, Landmark.RIGHT_KNEE), strict=True)
    ]
    return max(drops) < SEATED_DROP * torso_px


def read_figure(pose: PoseReading) -> Figure:
    """
    Find the places on a person where a top is laid.

    Raises:
        NotDressable: Shoulders and hips are not both where a torso has them.
    """
    points = pose.pixels().astype(float)
    person = np.asarray(pose.mask > 0.5)
    arms = sorted(_ARMS, key=lambda arm: points[arm[0], 0])
    hips = points[sorted(_HIPS, key=lambda hip: points[hip, 0])]
    joints = points[[arm[0] for arm in arms]]
    torso_px = float(np.hypot(*(hips.mean(0) - joints.mean(0))))
    rows, cols = person.shape
    inside = (joints >= 0).all() and (joints < [cols, rows]).all()
    upright = hips[:, 1].min() > joints[:, 1].max() + 0.3 * torso_px
    if not inside or not upright or torso_px < LEAST_TORSO_PX:
        raise NotDressable("the person's upper body cannot be seen well enough")
    left, right = (
        _arm(points[list(arm)], pose.visibility[list(arm)].astype(float), person, side, torso_px)
        for arm, side in zip(arms, (-1, 1), strict=True)
    )
    neck_x, neck_half = _neck(points, joints, person)
    return Figure(
        torso_px=torso_px,
        joints=joints,
        hips=hips,
        arms=(left, right),
        armpit=float(joints[:, 1].mean() + ARMPIT_DOWN * torso_px),
        neck_x=neck_x,
        neck_half=neck_half,
        person=person,
    )


def _arm(bones: Floats, seen: Floats, person: Mask, side: int, torso_px: float) -> Arm:
    spans = np.hypot(*np.diff(bones, axis=0).T)
    starts = np.concatenate([[0.0], np.cumsum(spans)])
    way = np.arange(int(starts[-1]) + 1, dtype=float)
    spots = np.stack([np.interp(way, starts, bones[:, axis]) for axis in (0, 1)], axis=1)
    bone = np.clip(np.searchsorted(starts, way, side="right") - 1, 0, 2)
    along = (np.diff(bones, axis=0) / np.maximum(spans, 1)[:, None])[bone]
    out = np.stack([along[:, 1], -along[:, 0]], axis=1) * side
    # Only the outer half: on the inner one the torso may be in touch.
    steps = np.arange(int(ARM_RADIUS[1] * torso_px) + 2)
    cells = np.rint(spots[:, None] + steps[None, :, None] * out[:, None]).astype(int)
    col = np.clip(cells[..., 0], 0, person.shape[1] - 1)
    row = np.clip(cells[..., 1], 0, person.shape[0] - 1)
    reach = np.where((~person[row, col]).any(1), (~person[row, col]).argmax(1), steps[-1])
    # In front of the body the outer edge found is the body's: arms get thinner all the same.
    thickest = torso_px * np.interp(way, [0, starts[-1]], [ARM_RADIUS[1], HAND_RADIUS])
    return Arm(
        side=side,
        bones=bones,
        starts=starts,
        radius=_smoothed(np.clip(reach, ARM_RADIUS[0] * torso_px, thickest), int(0.12 * torso_px)),
        is_hidden=bool(seen[1:3].max() < 0.5),
    )


def _neck(points: Floats, joints: Floats, person: Mask) -> tuple[float, float]:
    """Column of the neck's middle, and half its width: the thinnest place under the mouth."""
    span = float(joints[1, 0] - joints[0, 0])
    mouth = points[[Landmark.MOUTH_LEFT, Landmark.MOUTH_RIGHT]].mean(0)
    base = joints.mean(0)
    rows = np.arange(*np.clip([mouth[1], base[1]], 0, len(person) - 1).astype(int))
    widths = [NECK_HALF[0] * span * 2]
    middles = [float(base[0])]
    for row in rows:
        around = np.interp(row, [mouth[1], base[1]], [mouth[0], base[0]])
        open_left = np.flatnonzero(~person[row, : int(around)])
        open_right = np.flatnonzero(~person[row, int(around) :])
        if len(open_left) and len(open_right):
            first, last = float(open_left[-1]), float(around + open_right[0])
            widths.append(last - first)
            middles.append((first + last) / 2)
    thinnest = int(np.argmin(widths[1:])) + 1 if len(widths) > 1 else 0
    half = float(np.clip(widths[thinnest] / 2, NECK_HALF[0] * span, NECK_HALF[1] * span))
    middle = float(np.clip(middles[thinnest], base[0] - 0.1 * span, base[0] + 0.1 * span))
    return middle, half


def _smoothed(values: Floats, reach: int) -> Floats:
    """A running median, then a running mean."""
    window = 2 * max(reach, 1) + 1
    padded = np.pad(values, window // 2, mode="edge")
    median = np.median(np.lib.stride_tricks.sliding_window_view(padded, window), axis=1)
    padded = np.pad(median, window // 2, mode="edge")
    return np.asarray(np.lib.stride_tricks.sliding_window_view(padded, window).mean(axis=1))
