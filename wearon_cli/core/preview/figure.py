"""
Where a garment goes on a person: joints, outline of the torso without the arms, arms as strips.

Everything is in pixels of the person's photo; x goes right, y down. Left and right are the photo's.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from wearon_cli.core.body.pose import Landmark, PoseReading
from wearon_cli.core.errors import NotDressable
from wearon_cli.core.preview.rasters import Floats, Mask, median, reach, soften_line

_ARMS: Final = (  # arm landmarks from the shoulder to the fingers, for the person's left and right
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

    def along_across(self, x: Floats, y: Floats) -> tuple[Floats, Floats]:
        """
        Way along (negative before the shoulder joint, longer than the arm past the fingers) and
        across (outwards positive) of points, by the nearest bone.
        """
        best, way, across = np.full(x.shape, np.inf), np.zeros(x.shape), np.zeros(x.shape)
        for first in range(3):
            start, bone = self.bones[first], self.bones[first + 1] - self.bones[first]
            span = max(float(np.hypot(*bone)), 1.0)
            right, down = bone / span
            along = (x - start[0]) * right + (y - start[1]) * down
            off = ((x - start[0]) * down - (y - start[1]) * right) * self.side
            # The first bone goes on into the shoulder; past the fingers there is a way as well.
            low, high = -np.inf if first == 0 else 0.0, np.inf if first == 2 else span
            distance = off**2 + (along - np.clip(along, low, span)) ** 2
            nearer = distance < best
            best = np.where(nearer, distance, best)
            way = np.where(nearer, self.starts[first] + np.clip(along, low, high), way)
            across = np.where(nearer, off, across)
        return way, across

    def radius_at(self, way: Floats) -> Floats:
        return np.asarray(np.interp(way, np.arange(len(self.radius)), self.radius))

    def at_rows(self, rows: Floats) -> tuple[Floats, Floats]:
        """Column of its bones and its radius at some rows; infinite where there is none."""
        x, y, starts = np.column_stack([self.bones, self.starts])[self.bones[:, 1].argsort()].T
        far = self.side * np.inf
        column = np.interp(rows, y, x, left=far, right=far)
        return column, self.radius_at(np.interp(rows, y, starts))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Figure:
    """A person, as far as a top needs it."""

    torso_px: float
    joints: Floats  # (2, 2) shoulder joints, left and right
    hips: Floats  # (2, 2) hip joints, left and right
    arms: tuple[Arm, Arm]
    armpit: float  # row
    neck_x: float
    neck_half: float
    is_seated: bool  # the thighs do not hang down
    person: Mask  # (rows, cols)

    def sides(self, rows: Floats) -> tuple[Floats, Floats]:
        """Columns of the torso's outline, arms cut off, at some rows from the armpit down."""
        return self._side(rows, 0), self._side(rows, 1)

    def shoulder_line(self, columns: Floats) -> Floats:
        """Rows of the outline above the shoulder joints, smoothed."""
        base = np.interp(columns, self.joints[:, 0], self.joints[:, 1])
        most = int(0.5 * self.torso_px)
        columns = np.clip(columns, 0, self.person.shape[1] - 1)
        height = reach(self.person, np.column_stack([columns, base]), np.array([0, -1]), most)
        return np.where(height < most, base - height, base)

    def _side(self, rows: Floats, index: int) -> Floats:
        arm, side = self.arms[index], self.arms[index].side
        middle = np.interp(
            rows,
            [self.joints[:, 1].mean(), self.hips[:, 1].mean()],
            [self.joints[:, 0].mean(), self.hips[:, 0].mean()],
        )
        height, most = self.person.shape
        start = np.column_stack([middle, np.clip(rows, 0, height - 1)])
        extent = reach(self.person, start, np.array([side, 0]), most)
        # An arm that touches the torso is no part of it; the line of the joints always is.
        joint, hip = self.joints[index], self.hips[index]
        wide = side * 0.3 * float(self.hips[1, 0] - self.hips[0, 0])
        inside = np.interp(rows, [joint[1], hip[1]], [joint[0], hip[0] + wide])
        bone, radius = arm.at_rows(rows)
        is_outside = side * (bone - inside) > 0
        limit = np.where(is_outside, side * (bone - middle) - 0.95 * radius, np.inf)
        extent = np.maximum(np.minimum(extent, limit), side * (inside - middle))
        return np.asarray(middle + side * extent)


def read_figure(pose: PoseReading) -> Figure:
    """
    Find the positions on a person where a top is placed.

    Raises:
        NotDressable: Shoulders and hips are not both where a torso has them, or seen from behind.
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
    if points[Landmark.LEFT_SHOULDER, 0] < points[Landmark.RIGHT_SHOULDER, 0]:
        raise NotDressable("the person is seen from behind")
    left, right = (
        _arm(points[list(arm)], pose.visibility[list(arm)].astype(float), person, side, torso_px)
        for arm, side in zip(arms, (-1, 1), strict=True)
    )
    neck_x, neck_half = _neck(points, joints, person)
    drops = points[[Landmark.LEFT_KNEE, Landmark.RIGHT_KNEE], 1] - points[list(_HIPS), 1]
    return Figure(
        torso_px=torso_px,
        joints=joints,
        hips=hips,
        arms=(left, right),
        armpit=float(joints[:, 1].mean() + ARMPIT_DOWN * torso_px),
        neck_x=neck_x,
        neck_half=neck_half,
        is_seated=bool(drops.max() < SEATED_DROP * torso_px),
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
    radius = reach(person, spots, out, int(ARM_RADIUS[1] * torso_px) + 1)
    # In front of the body the outer edge found is the body's: arms get thinner all the same.
    thickest = torso_px * np.interp(way, [0, starts[-1]], [ARM_RADIUS[1], HAND_RADIUS])
    radius = np.clip(radius, ARM_RADIUS[0] * torso_px, thickest)
    return Arm(
        side=side,
        bones=bones,
        starts=starts,
        radius=soften_line(median(radius, max(1, int(0.12 * torso_px))), 0.07 * torso_px),
        is_hidden=bool(seen[1:3].max() < 0.5),
    )


def _neck(points: Floats, joints: Floats, person: Mask) -> tuple[float, float]:
    """Column of the neck's middle, and half its width: the thinnest place under the mouth."""
    span = float(joints[1, 0] - joints[0, 0])
    mouth = points[[Landmark.MOUTH_LEFT, Landmark.MOUTH_RIGHT]].mean(0)
    base = joints.mean(0)
    rows = np.arange(*np.clip([mouth[1], base[1]], 0, len(person) - 1).astype(int))
    if not len(rows):
        return float(base[0]), NECK_HALF[0] * span
    column = np.interp(rows, [mouth[1], base[1]], [mouth[0], base[0]])
    start = np.column_stack([column, rows])
    left, right = (reach(person, start, np.array([side, 0]), int(span)) for side in (-1, 1))
    at = int((left + right).argmin())
    half = span * float(np.clip((left + right)[at] / (2 * span), *NECK_HALF))
    middle = float(column[at] + (right - left)[at] / 2)
    return float(np.clip(middle, base[0] - 0.1 * span, base[0] + 0.1 * span)), half
