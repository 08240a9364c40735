"""
Fine structure of a part of a picture, and whether another picture has the same: folds, prints, a
face. Colours do not show it, and light hardly changes it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
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

#: Points of a part, down and across; and its blocks, each of which is found again by itself: a
#: picture that is drawn again is a little bent.
_POINTS: Final = (24, 18)
_BLOCKS: Final = (4, 3)
#: Least share of a block's points that must be in both pictures, and least number of such blocks.
_SEEN: Final = 0.7
_LEAST_BLOCKS: Final = 3
#: Structure is what differs from its surroundings; their radius, over the length of the trunk.
_AROUND: Final = 0.08
#: Where the same part is looked for, since landmarks are a few pixels off: shifts over the length
#: of the trunk, and sizes.
_SHIFTS: Final = np.linspace(-0.05, 0.05, 5)
_SIZES: Final = (0.95, 1.0, 1.05)
#: Least spread of the structure, levels of 255: less is grain.
_LEAST_SPREAD: Final = 1.0


#: (432, 12): which block a point is in.
_BLOCK_OF: Final = np.kron(
    *(
        np.kron(np.eye(blocks), np.ones((points // blocks, 1)))
        for points, blocks in zip(_POINTS, _BLOCKS, strict=True)
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Likeness:
    """Correlations of a part's structure with another picture's, -1..1, where it fits best."""

    whole: float  # of the part as one
    blocks: float  # of its blocks together, each where it fits best
    worst: float  # of a single block; a quarter of them are less alike


def head_likeness(photo: Rgb, before: Person, drawn: Rgb, after: Person) -> float | None:
    """`Likeness.blocks` of the head or of the face alone, the larger: a hat hides the hair."""
    parts = (head_corners, face_corners)
    both = _likenesses(photo, before, drawn, after, parts)
    return max((each.blocks for each in both if each is not None), default=None)


def worn_likeness(
    photo: Rgb, before: Person, drawn: Rgb, after: Person
) -> tuple[float | None, float | None]:
    """
    `Likeness.whole` of trunk and legs, the smaller; and `Likeness.worst` of the trunk. None: the
    trunk has no structure.
    """
    parts = (lambda person: inner(trunk_corners(person)), leg_corners)
    trunk, legs = _likenesses(photo, before, drawn, after, parts)
    if trunk is None:
        return None, None
    return trunk.whole if legs is None else min(trunk.whole, legs.whole), trunk.worst


def structure(rgb: Rgb, trunk_px: float) -> Grey:
    """(rows, cols): lightness less that of the surroundings, -255..255."""
    grey = Image.fromarray(rgb).convert("L")
    around = grey.filter(ImageFilter.BoxBlur(_AROUND * trunk_px))
    return np.asarray(grey, np.float64) - np.asarray(around, np.float64)


def likeness(
    before: Grey, part: Colours, after: Grey, same: Colours, trunk_px: float
) -> Likeness | None:
    """
    How like a part's structure is to that of the same part in another picture. None: there is
    hardly any structure, or it is not in both pictures.

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
) -> list[Likeness | None]:
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


def _best(seen: Grey, found: Grey) -> Likeness | None:
    """Likeness to what fits best; as a whole, of those of which half or more is seen."""
    both = ~np.isnan(found) & ~np.isnan(seen)
    one, other = np.where(both, seen, 0.0), np.where(both, found, 0.0)
    kinds = (both, one, other, one * one, other * other, one * other)
    sums = np.stack([kind.reshape(len(found), -1) @ _BLOCK_OF for kind in kinds])
    count = sums[0]
    enough = count.sum(axis=1) >= seen.size / 2
    correlations, own, product = _correlations(sums)
    together = np.where(count >= _SEEN * seen.size / count.shape[1], correlations, -np.inf)
    best = together.argmax(axis=0), np.arange(count.shape[1])
    fits = together[best]
    sure = np.isfinite(fits)
    if not enough.any() or sure.sum() < _LEAST_BLOCKS:
        return None
    spread = np.sqrt(own[0][best][sure].sum() * own[1][best][sure].sum())
    return Likeness(
        whole=float(_correlations(sums.sum(axis=2))[0][enough].max()),
        blocks=float(product[best][sure].sum() / max(spread, 1e-9)),
        worst=float(np.sort(fits[sure])[sure.sum() // 4]),
    )


def _correlations(sums: Grey) -> tuple[Grey, tuple[Grey, Grey], Grey]:
    """
    Correlation, both variances and covariance (the latter times the count).

    Args:
        sums: (6, ...): count, and sums of one, of the other, of their squares and of the product.
    """
    count, one, other, one_square, other_square, product = sums
    count = np.maximum(count, 1)
    own = one_square - one**2 / count, other_square - other**2 / count
    common = product - one * other / count
    spread = np.sqrt(np.maximum(own[0], 0) * np.maximum(own[1], 0))
    return common / np.maximum(spread, 1e-9), own, common
