"""Colours of a picture, of parts of it, and how far apart two of them are. All 0..1, sRGB."""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from wearon_cli.core.body.pose import Landmark
from wearon_cli.core.checks.people import Person

Rgb = NDArray[np.uint8]
Colours = NDArray[np.float64]

#: Side of the picture in which the spread is measured: grain and JPEG blocks are averaged away.
_SMALL_PX: Final = 48
#: Share of the pixels left out at each end of the spread.
_OUTLIERS: Final = 0.02
#: Cells of a part, and points in each cell and direction.
_WORN_CELLS: Final = (8, 6)
_SQUARE_CELLS: Final = (5, 5)
_IN_CELL: Final = 4
#: The head's square: its side over the length of the trunk, and its middle below the nose (up is
#: negative) in the same unit. Reaches from the chin over the hair.
_HEAD_SIDE: Final = 0.5
_HEAD_UP: Final = -0.05
#: Sides of the middle of a part, over its own.
_INNER: Final = 0.8
#: The same of the face, around the nose.
_FACE_SIDE: Final = 0.28
#: Side of the squares around hands and feet, over the length of the trunk.
_END_SIDE: Final = 0.35
_ENDS: Final = [
    *(Landmark.LEFT_WRIST, Landmark.RIGHT_WRIST, Landmark.LEFT_ANKLE, Landmark.RIGHT_ANKLE)
]
#: The middles of the legs: hips, knees and ankles of both; half the breadth over the length of the
#: trunk, cells of a thigh or shank, and the share of it left out at hip and ankle.
_LEGS: Final = [
    (Landmark.LEFT_HIP, Landmark.LEFT_KNEE, Landmark.LEFT_ANKLE),
    (Landmark.RIGHT_HIP, Landmark.RIGHT_KNEE, Landmark.RIGHT_ANKLE),
]
_LEG_HALF: Final = 0.07
_LEG_CELLS: Final = (4, 2)
_LEG_OUT: Final = 0.15
#: Steps and least error of the fit of `light`: each step weighs a cell by the inverse of its error,
#: so that few new colours do not count; and the share of it that is taken from no change at all.
_STEPS: Final = 3
_LEAST_ERROR: Final = 0.02
_NO_CHANGE: Final = 0.02
_ANKLES: Final = [Landmark.LEFT_ANKLE, Landmark.RIGHT_ANKLE]
#: The middle part of a garment's picture that counts as cloth.
_MIDDLE: Final = (0.3, 0.7)


def spread(rgb: Rgb) -> float:
    """How far apart the colours of a whole picture are: 0 for one flat colour."""
    small = Image.fromarray(rgb).resize((_SMALL_PX, _SMALL_PX), Image.Resampling.BOX)
    ordered = np.sort(np.asarray(small).reshape(-1, 3), axis=0)
    left_out = int(_OUTLIERS * len(ordered))
    return float((ordered[-1 - left_out] - ordered[left_out]).max()) / 255


def worn_colours(rgb: Rgb, person: Person) -> Colours:
    """(2, 8, 6, 3): the trunk down to the hips, and on to the ankles; NaN outside the picture."""
    parts = np.stack([trunk_corners(person), leg_corners(person)])
    return _cells(rgb, parts, _WORN_CELLS)


def trunk_colours(rgb: Rgb, person: Person) -> Colours:
    """(8, 6, 3): the middle of the trunk; NaN outside the picture."""
    return _cells(rgb, inner(trunk_corners(person)), _WORN_CELLS)


def leg_colours(rgb: Rgb, person: Person) -> Colours:
    """(4, 4, 2, 3): along the middles of thighs and shanks; NaN outside the picture."""
    aside = np.array([_LEG_HALF * person.trunk_px, 0.0])
    lines = []
    for hip, knee, ankle in (person.points[list(leg)] for leg in _LEGS):
        lines += [(hip + _LEG_OUT * (knee - hip), knee), (knee, ankle + _LEG_OUT * (knee - ankle))]
    parts = [(top - aside, top + aside, low - aside, low + aside) for top, low in lines]
    return _cells(rgb, np.array(parts), _LEG_CELLS)


def head_colours(rgb: Rgb, person: Person) -> Colours:
    """(5, 5, 3): a square around the head; NaN outside the picture."""
    return _cells(rgb, head_corners(person), _SQUARE_CELLS)


def end_colours(rgb: Rgb, person: Person) -> Colours:
    """(4, 5, 5, 3): squares around hands and feet; NaN outside the picture."""
    side_px = person.trunk_px * _END_SIDE
    squares = np.stack([_square(middle, side_px) for middle in person.points[_ENDS]])
    return _cells(rgb, squares, _SQUARE_CELLS)


def trunk_corners(person: Person) -> Colours:
    """Of the trunk from the shoulders to the hips; corners of parts are (4, 2), as for `grid`."""
    left_shoulder, right_shoulder, left_hip, right_hip = person.trunk
    return np.array([right_shoulder, left_shoulder, right_hip, left_hip])


def leg_corners(person: Person) -> Colours:
    """From the hips to the ankles."""
    left_hip, right_hip = person.trunk[2:]
    left_ankle, right_ankle = person.points[_ANKLES]
    return np.array([right_hip, left_hip, right_ankle, left_ankle])


def inner(corners: Colours) -> Colours:
    """The middle of a part, without what its edges have of other things."""
    middle = corners.mean(axis=0)
    return np.asarray(middle + _INNER * (corners - middle))


def head_corners(person: Person) -> Colours:
    """Of a square around the head."""
    middle = person.points[Landmark.NOSE] + (0.0, _HEAD_UP * person.trunk_px)
    return _square(middle, person.trunk_px * _HEAD_SIDE)


def face_corners(person: Person) -> Colours:
    """Of a square around eyes, nose and mouth."""
    return _square(person.points[Landmark.NOSE], person.trunk_px * _FACE_SIDE)


def difference(one: Colours, other: Colours) -> Colours:
    """Differences of the cells that both have, (n, 3)."""
    both = ~np.isnan(one).any(axis=-1) & ~np.isnan(other).any(axis=-1)
    return np.asarray(other[both] - one[both])


def relit(before: Colours, after: Colours) -> tuple[Colours, Colours]:
    """
    Gain and offset (3,) of each colour that turn one picture's colours best into another's, if
    most things in them are the same.

    Args:
        before: (n, 3), cells of one picture.
        after: The same cells of the other one; NaN in either: not in both.
    """
    both = ~np.isnan(before).any(axis=-1) & ~np.isnan(after).any(axis=-1)
    x, y = before[both], after[both]
    gain, offset, weight = np.ones(3), np.zeros(3), np.ones_like(x)
    for _ in range(_STEPS if len(x) else 0):
        weight = weight / weight.sum(axis=0)
        xx, xy = (
            (weight * x * x).sum(axis=0) + _NO_CHANGE,
            (weight * x * y).sum(axis=0) + _NO_CHANGE,
        )
        mean_x, mean_y = (weight * x).sum(axis=0), (weight * y).sum(axis=0)
        gain = (xy * (1 + _NO_CHANGE) - mean_x * mean_y) / (xx * (1 + _NO_CHANGE) - mean_x**2)
        offset = (mean_y - gain * mean_x) / (1 + _NO_CHANGE)
        weight = 1 / (np.abs(y - x * gain - offset) + _LEAST_ERROR)
    return gain, offset


def distance(garment: Rgb, worn: Colours) -> float | None:
    """
    Mean distance of the colours of a garment's middle from the nearest worn ones, 0..1.

    Args:
        garment: Its picture.
        worn: (n, 3), of which those outside the picture are NaN; None: there are no others.
    """
    nearest = _from_nearest(garment, worn)
    return None if nearest is None else float(nearest.mean())


def share_like(garment: Rgb, worn: Colours, *, within: float) -> float:
    """Share of a garment's middle that has, within this distance, a colour of what is worn."""
    nearest = _from_nearest(garment, worn)
    return 0.0 if nearest is None else float((nearest < within).mean())


def _from_nearest(garment: Rgb, worn: Colours) -> Colours | None:
    """(256,): of the colours of a garment's middle, distances from the nearest worn ones."""
    known = worn[~np.isnan(worn).any(axis=-1)].reshape(1, -1, 3)
    if not known.size:
        return None
    rows, cols = garment.shape[:2]
    low, high = _MIDDLE
    middle = garment[int(rows * low) : int(rows * high), int(cols * low) : int(cols * high)]
    small = Image.fromarray(np.ascontiguousarray(middle)).resize((16, 16), Image.Resampling.BOX)
    cloth = np.asarray(small, np.float64).reshape(-1, 1, 3) / 255
    return np.asarray(np.sqrt(((cloth - known) ** 2).mean(axis=-1).min(axis=1)))


def grid(corners: Colours, count: tuple[int, int]) -> Colours:
    """
    (..., down, across, 2): x and y of points spread evenly over four-cornered parts.

    Args:
        corners: (..., 4, 2): x and y of top left, top right, bottom left, bottom right.
        count: Points down and across.
    """
    down, across = ((np.arange(n) + 0.5)[:, None] / n for n in count)
    top_left, top_right, bottom_left, bottom_right = np.moveaxis(corners[..., None, :], -3, 0)
    lefts = top_left + down * (bottom_left - top_left)
    rights = top_right + down * (bottom_right - top_right)
    return np.asarray(lefts[..., None, :] + across * (rights - lefts)[..., None, :])


def _square(middle: Colours, side_px: float) -> Colours:
    half = side_px / 2
    return middle + half * np.array([(-1, -1), (1, -1), (-1, 1), (1, 1)])


def _cells(rgb: Rgb, corners: Colours, cells: tuple[int, int]) -> Colours:
    """
    Mean colours of the cells of four-cornered parts, (..., rows, columns, 3).

    Args:
        rgb: The picture.
        corners: (..., 4, 2): x and y of top left, top right, bottom left, bottom right.
        cells: Rows and columns.
    """
    rows, cols = cells
    at = np.floor(grid(corners, (rows * _IN_CELL, cols * _IN_CELL))).astype(np.intp)
    limits = np.array([rgb.shape[1], rgb.shape[0]])
    outside = ((at < 0) | (at >= limits)).any(axis=-1)
    x, y = np.clip(at, 0, limits - 1).reshape(-1, 2).T
    values = rgb[y, x].reshape(*outside.shape, 3) / 255
    values[outside] = np.nan
    blocks = values.reshape(*corners.shape[:-2], rows, _IN_CELL, cols, _IN_CELL, 3)
    return np.asarray(blocks.mean(axis=(-4, -2)))
