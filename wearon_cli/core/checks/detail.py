"""
Fine structure of a part of a picture, and whether another picture has the same: folds, prints, a
face. Colours do not show it, and light hardly changes it.
"""

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from wearon_cli.core.checks.colours import (
    Colours,
    Rgb,
    face_corners,
    grid,
    head_corners,
    inner,
    leg_corners,
    trunk_corners,
)
from wearon_cli.core.checks.people import Person

Grey = NDArray[np.float64]

#: Points of a part, down and across.
_POINTS: Final = (24, 18)
#: Structure is what differs from its surroundings; their radius, over the length of the trunk.
_AROUND: Final = 0.08
#: Where the same part is looked for, since landmarks are a few pixels off: shifts over the length
#: of the trunk, and sizes.
_SHIFTS: Final = np.linspace(-0.05, 0.05, 5)
_SIZES: Final = (0.95, 1.0, 1.05)
#: Least spread of the structure, levels of 255: less is grain.
_LEAST_SPREAD: Final = 1.0


def head_likeness(photo: Rgb, before: Person, drawn: Rgb, after: Person) -> float | None:
    """`likeness` of the whole head or of the face alone, the larger: a hat hides the hair."""
    parts = (head_corners, face_corners)
    both = _likenesses(photo, before, drawn, after, parts)
    return max((each for each in both if each is not None), default=None)


def worn_likeness(photo: Rgb, before: Person, drawn: Rgb, after: Person) -> float | None:
    """`likeness` of trunk and legs, the smaller; None: the trunk has no structure."""
    parts = (lambda person: inner(trunk_corners(person)), leg_corners)
    trunk, legs = _likenesses(photo, before, drawn, after, parts)
    return trunk if trunk is None or legs is None else min(trunk, legs)


def structure(rgb: Rgb, trunk_px: float) -> Grey:
    """(rows, cols): lightness less that of the surroundings, -255..255."""
    grey = Image.fromarray(rgb).convert("L")
    around = grey.filter(ImageFilter.BoxBlur(_AROUND * trunk_px))
    return np.asarray(grey, np.float64) - np.asarray(around, np.float64)


def likeness(
    before: Grey, part: Colours, after: Grey, same: Colours, trunk_px: float
) -> float | None:
    """
    Correlation of a part's structure with that of the same part in another picture, -1..1, where
    they fit best. None: there is hardly any structure, or it is not in both pictures.

    Args:
        before: `structure` of a picture.
        part: (4, 2), its corners there: top left, top right, bottom left, bottom right.
        after: `structure` of the other one.
        same: The corners there.
        trunk_px: Length of the trunk there.
    """
    seen = _sampled(before, grid(part, _POINTS)[None])[0]
    if np.isnan(seen).mean() > 0.5 or np.nanstd(seen) < _LEAST_SPREAD:
        return None
    middle = same.mean(axis=0)
    shifts = np.stack(np.meshgrid(_SHIFTS, _SHIFTS), axis=-1).reshape(-1, 1, 1, 2) * trunk_px
    found = [
        _sampled(after, grid(middle + size * (same - middle), _POINTS)[None] + shifts)
        for size in _SIZES
    ]
    return _best(seen, np.concatenate(found))


def _likenesses(
    photo: Rgb,
    before: Person,
    drawn: Rgb,
    after: Person,
    parts: Sequence[Callable[[Person], Colours]],
) -> list[float | None]:
    was, now = structure(photo, before.trunk_px), structure(drawn, after.trunk_px)
    return [likeness(was, part(before), now, part(after), after.trunk_px) for part in parts]


def _sampled(grey: Grey, points: Colours) -> Grey:
    """(n, down, across): the picture at points between its pixels; NaN outside of it."""
    rows, cols = grey.shape
    x, y = points[..., 0] - 0.5, points[..., 1] - 0.5
    outside = (x < 0) | (y < 0) | (x > cols - 1) | (y > rows - 1)
    left, top = (np.clip(np.floor(v).astype(np.intp), 0, n - 2) for v, n in ((x, cols), (y, rows)))
    right_share, low_share = x - left, y - top
    upper = grey[top, left] * (1 - right_share) + grey[top, left + 1] * right_share
    lower = grey[top + 1, left] * (1 - right_share) + grey[top + 1, left + 1] * right_share
    return np.where(outside, np.nan, upper * (1 - low_share) + lower * low_share)


def _best(seen: Grey, found: Grey) -> float | None:
    """The highest correlation with one of several, of those of which half or more is seen."""
    both = ~np.isnan(found) & ~np.isnan(seen)
    count = np.maximum(both.sum(axis=(1, 2), keepdims=True), 1)
    one, other = np.where(both, seen, 0.0), np.where(both, found, 0.0)
    one = np.where(both, one - one.sum(axis=(1, 2), keepdims=True) / count, 0.0)
    other = np.where(both, other - other.sum(axis=(1, 2), keepdims=True) / count, 0.0)
    spread = np.sqrt((one**2).sum(axis=(1, 2)) * (other**2).sum(axis=(1, 2)))
    whole = count[:, 0, 0] >= seen.size / 2
    if not whole.any():
        return None
    return float(((one * other).sum(axis=(1, 2)) / np.maximum(spread, 1e-9))[whole].max())
