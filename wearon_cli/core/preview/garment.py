"""
The parts of a top laid flat: body, neckline, hem and sleeves.

Everything is in pixels of the product photo; x goes right, y down. Left and right are the photo's.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from wearon_cli.core.preview.cloth import Floats, Mask, Rgb, ends, find_cloth

#: A row belongs to the sleeves where it is this much wider than the body below.
SLEEVE_WIDENING: Final = 1.12
#: Least area of a sleeve, as a share of all cloth.
LEAST_SLEEVE: Final = 0.02
#: From this share of the body's length on, a sleeve goes to the wrist.
LONG_SLEEVE: Final = 0.5
#: Points that describe an edge of the body, from one end to the other.
EDGE_POINTS: Final = 241
#: Points that describe a sleeve, from the armhole to the cuff.
SLEEVE_POINTS: Final = 32
#: Pixels left out along every edge: there the backdrop shines through.
MARGIN_PX: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sleeve:
    """A sleeve as a strip along a straight axis."""

    origin: Floats  # (2,) x, y of the middle of the armhole
    along: Floats  # (2,) unit vector towards the cuff
    out: Floats  # (2,) unit vector across, towards the upper edge
    length: float
    #: (SLEEVE_POINTS,) how far across the edges are, at even steps along: `upper` > `lower`.
    upper: Floats
    lower: Floats


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Garment:
    """A top, laid flat."""

    rgb: Rgb
    armpit: float  # row
    #: (rows,) columns of the body's sides; above the armpit, of the armholes.
    left: Floats
    right: Floats
    #: (EDGE_POINTS,) rows of the body's upper and lower edge, from the left side to the right one.
    top: Floats
    hem: Floats
    #: Where the collar ends, left and right, as shares of the way from the left to the right side.
    neck: tuple[float, float]
    sleeves: tuple[Sleeve, Sleeve] | None  # left, right; None: it has none

    @property
    def width(self) -> float:
        """Of the body, under the arms."""
        row = int(self.armpit)
        return float(self.right[row] - self.left[row])

    @property
    def length(self) -> float:
        """Of the body, from the ends of the collar to the hem."""
        return float(np.median(self.hem) - self.top.min())

    @property
    def has_long_sleeves(self) -> bool:
        """True when they go to the wrists."""
        longest = max((sleeve.length for sleeve in self.sleeves or ()), default=0.0)
        return longest > LONG_SLEEVE * self.length


def read_garment(rgb: Rgb) -> Garment:
    """
    Find the parts of a top in a product photo.

    Args:
        rgb: (rows, cols, 3) uint8, RGB; one garment, laid flat on a plain background.

    Raises:
        RequestRejected: The garment cannot be separated from its background.
    """
    cloth = _eroded(find_cloth(rgb), MARGIN_PX)
    rows = np.flatnonzero(cloth.any(1))
    first, last = int(rows[0]), int(rows[-1])
    height = last - first
    left, right = _sides(cloth, first, height)
    armpit = _armpit(right - left, first, height)
    for side in (left, right):
        side[:armpit] = np.median(side[armpit : armpit + height // 12 + 1])
        # The hem's corners are round; the sides run on to where it hangs lowest.
        side[last - height // 30 :] = side[last - height // 30]
    top = _edge(ends(cloth.T)[0], left[armpit], right[armpit])
    hem = _edge(ends(cloth.T)[1], left[last], right[last], corner=0.05)
    return Garment(
        rgb=_bled(rgb, cloth),
        armpit=float(armpit),
        left=left,
        right=right,
        top=top,
        hem=hem,
        neck=_neck(top, height),
        sleeves=_sleeves(cloth, left, right, armpit, top),
    )


def _eroded(cloth: Mask, times: int) -> Mask:
    for _ in range(times):
        inner = np.zeros_like(cloth)
        inner[1:-1, 1:-1] = cloth[:-2, 1:-1] & cloth[2:, 1:-1] & cloth[1:-1, :-2] & cloth[1:-1, 2:]
        cloth = inner
    return cloth


def _bled(rgb: Rgb, cloth: Mask) -> Rgb:
    """The photo with its backdrop painted over by the nearest cloth of each row."""
    columns = np.arange(cloth.shape[1])
    before = np.maximum.accumulate(np.where(cloth, columns, -1), axis=1)
    after = np.minimum.accumulate(np.where(cloth, columns, 2**30)[:, ::-1], axis=1)[:, ::-1]
    nearer = np.where((columns - before <= after - columns) & (before >= 0), before, after)
    nearer = np.where(nearer < len(columns), nearer, columns)
    return np.asarray(np.take_along_axis(rgb, nearer[..., None], axis=1))


def _sides(cloth: Mask, first: int, height: int) -> tuple[Floats, Floats]:
    """Edges of the cloth that holds the middle of the garment, row by row."""
    outer_left, outer_right = ends(cloth)
    middle = np.median((outer_left + outer_right)[first : first + height] / 2)
    columns = np.arange(cloth.shape[1])
    left = np.where(~cloth & (columns < middle), columns + 1, 0).max(1)
    right = np.where(~cloth & (columns > middle), columns - 1, cloth.shape[1] - 1).min(1)
    return np.minimum(left, middle).astype(float), np.maximum(right, middle).astype(float)


def _armpit(widths: Floats, first: int, height: int) -> int:
    """Row under the lowest one where sleeves hang on; a third down when there are none."""
    body = np.median(widths[first + int(0.65 * height) : first + int(0.9 * height)])
    start = first + int(0.12 * height)
    wide = np.flatnonzero(widths[start : first + int(0.62 * height)] > SLEEVE_WIDENING * body)
    return start + int(wide[-1]) + 1 if len(wide) else first + height // 3


def _edge(rows: Floats, left: float, right: float, corner: float = 0.0) -> Floats:
    """Rows of an edge at even steps between two columns; straight on near rounded corners."""
    share = np.clip(np.linspace(0, 1, EDGE_POINTS), corner, 1 - corner)
    return np.interp(left + share * (right - left), np.arange(len(rows)), rows)


def _neck(top: Floats, height: int) -> tuple[float, float]:
    """The collar's ends: in each half, the outermost point that is about as high as the highest."""
    share = np.linspace(0, 1, EDGE_POINTS)
    found = []
    for half in (
        share[(share > 0.12) & (share < 0.5)],
        share[(share > 0.5) & (share < 0.88)][::-1],
    ):
        rows = np.interp(half, share, top)
        found.append(float(half[np.argmax(rows <= rows.min() + 0.004 * height)]))
    return found[0], found[1]


def _sleeves(
    cloth: Mask, left: Floats, right: Floats, armpit: int, top: Floats
) -> tuple[Sleeve, Sleeve] | None:
    columns = np.arange(cloth.shape[1])
    parts = (
        (cloth & (columns < left[:, None]), left[armpit], top[0], -1),
        (cloth & (columns > right[:, None]), right[armpit], top[-1], 1),
    )
    if any(part.sum() < LEAST_SLEEVE * cloth.sum() for part, *_ in parts):
        return None
    left_one, right_one = (
        _sleeve(cloth, part, np.array([x, (shoulder + armpit) / 2]), armpit, side)
        for part, x, shoulder, side in parts
    )
    return left_one, right_one


def _sleeve(cloth: Mask, part: Mask, origin: Floats, armpit: int, side: int) -> Sleeve:
    points = np.argwhere(part)[:, ::-1].astype(float) - origin
    along = points.mean(0) / np.hypot(*points.mean(0))
    out = np.array([along[1], -along[0]]) * side
    way, across = points @ along, points @ out
    length = float(np.quantile(way, 0.985))
    steps = np.linspace(0, length, SLEEVE_POINTS)
    nearest = np.clip(np.rint(way / length * (SLEEVE_POINTS - 1)), 0, SLEEVE_POINTS - 1)
    count = np.bincount(nearest.astype(int), minlength=SLEEVE_POINTS)
    centre = np.bincount(nearest.astype(int), across, SLEEVE_POINTS) / np.maximum(count, 1)
    start = origin + steps[:, None] * along + centre[:, None] * out
    upper = centre + _reach(cloth, start, out)
    # Near the body the lower edge is the armpit's height; where it is free, its own.
    pit = np.array([origin[0], armpit]) - origin
    lower = np.where(steps <= pit @ along, pit @ out, centre - _reach(part, start, -out))
    return Sleeve(
        origin=origin,
        along=along,
        out=out,
        length=length,
        upper=_smooth(upper),
        lower=_smooth(lower),
    )


def _reach(mask: Mask, start: Floats, direction: Floats) -> Floats:
    """Steps of one pixel from each start until the mask ends."""
    steps = np.arange(max(mask.shape))
    spots = start[:, None, :] + steps[None, :, None] * direction
    col = np.clip(np.rint(spots[..., 0]).astype(int), 0, mask.shape[1] - 1)
    row = np.clip(np.rint(spots[..., 1]).astype(int), 0, mask.shape[0] - 1)
    return np.asarray((~mask[row, col]).argmax(1), float)


def _smooth(values: Floats) -> Floats:
    padded = np.pad(values, 2, mode="edge")
    return np.asarray(np.median(np.lib.stride_tricks.sliding_window_view(padded, 5), axis=1))
