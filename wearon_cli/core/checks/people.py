"""People in a picture, as a check needs them: landmarks, positions and proportions."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from wearon_cli.core.body.pose import Landmark

Array = NDArray[np.float64]

#: Decimals of a landmark in JSON: a thousandth of the picture.
_DECIMALS: Final = 4
#: Joints less likely than this to be in a picture are left out of comparisons.
VISIBLE: Final = 0.6
_SHOULDERS: Final = [Landmark.LEFT_SHOULDER, Landmark.RIGHT_SHOULDER]
_HIPS: Final = [Landmark.LEFT_HIP, Landmark.RIGHT_HIP]
_KNEES: Final = [Landmark.LEFT_KNEE, Landmark.RIGHT_KNEE]
_TRUNK: Final = [*_SHOULDERS, *_HIPS]
_BUST: Final = [Landmark.NOSE, *_SHOULDERS]
#: Breadth of the shoulders over the distance from nose to neck, seen from the front: for those who
#: are seen from the side. Bundled person and renders: 1.2 to 1.7.
_BREADTH_PER_NECK: Final = 1.3
#: Breadth of the shoulders over the length of the trunk from the front, at least. Bundled people:
#: 0.56 to 0.67, from behind -0.55, from the side 0.1.
_LEAST_BREADTH: Final = 0.3


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Person:
    """One person in a picture of known size."""

    points: Array  # (33, 2) float64: x and y in pixels; those outside the picture are guesses
    visibility: Array  # (33,) float64, 0..1
    width_px: int
    height_px: int

    @property
    def trunk(self) -> Array:
        """(4, 2): left and right shoulder, left and right hip."""
        return self.points[_TRUNK]

    @property
    def trunk_px(self) -> float:
        """
        The size of the trunk: the longest of its height, breadth and diagonals, since a person seen
        from the side has no breadth and one who bends has no height.
        """
        left_shoulder, right_shoulder, left_hip, right_hip = self.trunk
        down = (left_shoulder + right_shoulder - left_hip - right_hip) / 2
        lines = (down, left_shoulder - right_hip, right_shoulder - left_hip)
        return max(1.0, *(float(np.hypot(*line)) for line in lines))

    @property
    def has_hips(self) -> bool:
        """Whether both hips are in the picture; outside of it they are guesses."""
        return self._has(_HIPS)

    @property
    def is_plain(self) -> bool:
        """Whether the body is seen from the front, down to the knees."""
        return self._breadth > _LEAST_BREADTH and self.has_hips and self._has(_KNEES)

    @property
    def is_from_the_side(self) -> bool:
        """Whether hardly any of the breadth of the trunk is seen."""
        return abs(self._breadth) <= _LEAST_BREADTH

    @property
    def is_from_behind(self) -> bool:
        """Whether the body is seen from behind."""
        return self._breadth < -_LEAST_BREADTH and self.has_hips

    @property
    def _breadth(self) -> float:
        """Of the shoulders over the length of the trunk; negative from behind."""
        left, right = self.points[_SHOULDERS]
        return float(left[0] - right[0]) / self.trunk_px

    def _has(self, joints: list[Landmark]) -> bool:
        points = self.points[joints]
        inside = ((points >= 0) & (points < (self.width_px, self.height_px))).all()
        return bool(inside and (self.visibility[joints] > VISIBLE).all())

    def with_nominal_hips(self) -> "Person":
        """For half-length pictures: the hips are placed one shoulder breadth below the
        shoulders.
        """
        nose, left, right = self.points[_BUST]
        neck = (left + right) / 2
        down = neck - nose
        down_px = max(1.0, float(np.hypot(*down)))
        long_px = max(float(np.hypot(*(left - right))), _BREADTH_PER_NECK * down_px)
        points = self.points.copy()
        points[_HIPS] = self.points[_SHOULDERS] + down / down_px * long_px
        return replace(self, points=points)

    @property
    def height_share(self) -> float:
        """Height of the visible part, over the picture's."""
        y = np.clip(self.points[:, 1], 0, self.height_px)
        return float(y.max() - y.min()) / self.height_px

    def to_json(self) -> dict[str, Any]:
        """For `person_of`, in another process."""
        return {
            "points": np.round(self.points, 1).tolist(),
            "visibility": np.round(self.visibility, _DECIMALS).tolist(),
            "width_px": self.width_px,
            "height_px": self.height_px,
        }


def person_of(told: dict[str, Any]) -> Person:
    """Read the output of `Person.to_json`."""
    return Person(
        points=np.array(told["points"], np.float64),
        visibility=np.array(told["visibility"], np.float64),
        width_px=int(told["width_px"]),
        height_px=int(told["height_px"]),
    )


def box(person: Person) -> tuple[float, float, float, float]:
    """Left, top, right, bottom of a person's landmarks inside the picture, in pixels."""
    limits = (person.width_px, person.height_px)
    inside = np.clip(person.points, 0, limits)
    left, top = inside.min(axis=0)
    right, bottom = inside.max(axis=0)
    return float(left), float(top), float(right), float(bottom)


def overlap(one: Person, other: Person) -> float:
    """Intersection of two people's boxes over the smaller one, 0..1."""
    a, b = box(one), box(other)
    wide = min(a[2], b[2]) - max(a[0], b[0])
    high = min(a[3], b[3]) - max(a[1], b[1])
    smaller = min((x[2] - x[0]) * (x[3] - x[1]) for x in (a, b))
    return max(0.0, wide) * max(0.0, high) / max(1.0, smaller)


def apart(people: Sequence[Person], *, same: float, least_height: float) -> list[Person]:
    """
    Different people, the tallest first.

    Args:
        people: As found; one person may be found twice.
        same: Overlap above which two are the same person. least_height: Height over the tallest's
        above which a person counts; others are passers-by.
    """
    kept: list[Person] = []
    for person in sorted(people, key=lambda each: -each.height_share):
        tall = not kept or person.height_share >= least_height * kept[0].height_share
        if tall and all(overlap(person, other) < same for other in kept):
            kept.append(person)
    return kept
