"""
Separates cloth from the plain background in a product photo.

Everything here is over sides (4-connected) and without a loop over pixels.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from wearon_cli.core.errors import RequestRejected

#: Colour distances (largest channel difference, 0..255) that still count as background, tried in
#: turn: the wide one swallows shadows and JPEG noise, the narrow ones keep pale cloth on white.
BACKGROUND_TOLERANCES: Final = (26, 14, 7)
#: Share of the photo that a garment covers, at least and at most.
AREA_SHARE: Final = (0.05, 0.92)
#: Share of cloth between the first and last cloth of the columns; a flood that broke in through a
#: pale edge leaves less. Long sleeves next to a body have 0.95 and more.
LEAST_SOLIDITY: Final = 0.8

type Rgb = NDArray[np.uint8]
type Mask = NDArray[np.bool_]
type Floats = NDArray[np.float64]


def find_cloth(rgb: Rgb) -> Mask:
    """
    Separate a garment from its background.

    Args:
        rgb: (rows, cols, 3) uint8, RGB; one garment, laid flat on a plain background.

    Returns:
        (rows, cols) bool: the garment without holes.

    Raises:
        RequestRejected: The garment cannot be separated from its background.
    """
    for tolerance in BACKGROUND_TOLERANCES:
        cloth = _widest_piece(~_background(rgb, tolerance))
        if _is_plausible(cloth):
            return cloth
    raise RequestRejected(
        "the garment cannot be separated from its background",
        hint="use a photo of one garment, laid flat on a plain background",
    )


def ends(mask: Mask) -> tuple[Floats, Floats]:
    """First and last true of each row; 0 and the last column where there is none."""
    first = mask.argmax(1).astype(float)
    last = mask.shape[1] - 1 - mask[:, ::-1].argmax(1).astype(float)
    return first, last


def _background(rgb: Rgb, tolerance: int) -> Mask:
    """Pixels like the border's usual colour that are connected to the border."""
    rim = max(2, min(rgb.shape[:2]) // 50)
    strips = (rgb[:rim], rgb[-rim:], rgb[:, :rim], rgb[:, -rim:])
    usual = np.median(np.concatenate([strip.reshape(-1, 3) for strip in strips]), axis=0)
    distance = np.abs(rgb.astype(np.int16) - usual.astype(np.int16)).max(2)
    seed = np.zeros(rgb.shape[:2], bool)
    seed[[0, -1]] = True
    seed[:, [0, -1]] = True
    return _flood(seed, distance <= tolerance)


def _flood(seed: Mask, allowed: Mask) -> Mask:
    """The parts of `allowed` that are connected to `seed`."""
    reached = seed & allowed
    while True:
        before = int(reached.sum())
        reached = _spread(_spread(reached, allowed).T, allowed.T).T
        if int(reached.sum()) == before:
            return reached


def _spread(reached: Mask, allowed: Mask) -> Mask:
    """Fill every run of `allowed` along the rows that holds a reached pixel."""
    rows, cols = allowed.shape
    runs = np.cumsum(~allowed, axis=1) + np.arange(rows)[:, None] * (cols + 1)
    hit = np.zeros(rows * (cols + 1), bool)
    hit[runs[reached]] = True
    return np.asarray(allowed & hit[runs])


def _widest_piece(cloth: Mask) -> Mask:
    """The piece that holds the longest run of a row: drops captions, tags and crumbs."""
    steps = np.diff(np.pad(cloth.astype(np.int8), ((0, 0), (1, 1))), axis=1)
    starts, stops = np.argwhere(steps == 1), np.argwhere(steps == -1)
    if not len(starts):
        return cloth
    seed = np.zeros_like(cloth)
    seed[tuple(starts[np.argmax(stops[:, 1] - starts[:, 1])])] = True
    return _flood(seed, cloth)


def _is_plausible(cloth: Mask) -> bool:
    if not AREA_SHARE[0] <= cloth.mean() <= AREA_SHARE[1]:
        return False
    first, last = ends(cloth.T)
    return bool(cloth.sum() >= LEAST_SOLIDITY * (last - first + 1)[cloth.any(0)].sum())
