"""
Whether a photo is bright and sharp enough for a reliable outline.

Thresholds were set by darkening and blurring renders of known bodies until the readings changed;
the figures are given with each.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from wearon_cli.core.body.pose import PoseReading

#: Luma (0..255) that the brightest fiftieth of a photo must reach. Renders: 128 to 247; darkened
#: until breadths change by 2 cm or more: 30 and less; until no person is found: 18 and less.
LEAST_BRIGHT: Final = 40.0
BRIGHT_SHARE: Final = 0.98
#: Share of its steepest edges that a photo keeps when we blur it: a sharp photo loses most of them,
#: a blurred one has none to lose. Renders: 0.22 to 0.40; blurred with a sigma of 2 px in 900
#: (breadths change by half a cm) 0.52 to 0.67, of 3 px 0.68 to 0.81, of 4 px (1 to 3 cm) 0.79 and
#: more.
MOST_SOFT: Final = 0.7
#: Radius of the test blur, as a share of the person's height.
_BLUR_SHARE: Final = 1 / 90
#: Which edges count as the steepest. Shading fills one pixel in a hundred where contrast is low.
_EDGE_SHARE: Final = 0.999
#: Step in pixels between samples of the brightness.
_EVERY_PX: Final = 3
#: Margin around the person, so that the outline is included.
_MARGIN_PX: Final = 10


def is_dark(rgb: NDArray[np.uint8], reading: PoseReading | None = None) -> bool:
    """Whether a photo, or the part of it with the person, is too dark."""
    seen = _around_person(rgb, reading) if reading is not None else rgb
    return _quantile(_luma(seen[::_EVERY_PX, ::_EVERY_PX]), BRIGHT_SHARE) < LEAST_BRIGHT


def is_blurred(rgb: NDArray[np.uint8], reading: PoseReading) -> bool:
    """Whether the person is out of focus, or moved."""
    return softness(rgb, reading) > MOST_SOFT


def softness(rgb: NDArray[np.uint8], reading: PoseReading) -> float:
    """
    0 for the sharpest edges, 1 for none; the worse of both directions, since camera motion blurs
    along one only.
    """
    luma = _luma(_around_person(rgb, reading))
    radius_px = max(1, round(luma.shape[0] * _BLUR_SHARE / 2))
    blurred = np.asarray(Image.fromarray(luma).filter(ImageFilter.BoxBlur(radius_px)))
    inner = slice(radius_px, -radius_px)
    return max(
        _steepest(blurred[inner, inner], axis) / max(_steepest(luma[inner, inner], axis), 1e-9)
        for axis in (0, 1)
    )


def _steepest(luma: NDArray[np.uint8], axis: int) -> float:
    # Over two pixels: over one, noise is as steep as edges.
    values = (luma if axis == 0 else luma.T).astype(np.int16)[:, ::2]
    return _quantile(np.abs(values[2::2] - values[:-2:2]).astype(np.uint8), _EDGE_SHARE)


def _quantile(values: NDArray[np.uint8], share: float) -> float:
    """A percentile, by counting, which is ten times as fast as sorting."""
    counts = np.cumsum(np.bincount(values.ravel(), minlength=256))
    return float(np.searchsorted(counts, share * counts[-1]))


def _luma(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.asarray(Image.fromarray(rgb).convert("L"))


def _around_person(rgb: NDArray[np.uint8], reading: PoseReading) -> NDArray[np.uint8]:
    rows, cols = (np.flatnonzero((reading.mask > 0.5).any(axis=a)) for a in (1, 0))
    return rgb[_around(rows), _around(cols)] if len(rows) and len(cols) else rgb


def _around(inside: NDArray[np.intp]) -> slice:
    return slice(max(0, int(inside[0]) - _MARGIN_PX), int(inside[-1]) + 1 + _MARGIN_PX)
