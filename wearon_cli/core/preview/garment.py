"""
The parts of a top: body, neckline, hem and sleeves, as they lie in a photo.

Everything is in pixels of the garment's photo; x goes right, y down. Left and right are the
photo's.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from wearon_cli.core.errors import NotDressable
from wearon_cli.core.preview.figure import Figure
from wearon_cli.core.preview.rasters import Floats, Mask, Rgb, ends, eroded, flood, median, reach

EDGE_POINTS: Final = 241  # points that describe an edge of the body, from one end to the other
SLEEVE_POINTS: Final = 32  # points that describe a sleeve, from the armhole to the cuff
#: Left out along every edge, as a share of the cloth's height: there the backdrop shines through.
MARGIN: Final = 0.012

# How tops lie on floors and hangers. No source: set by eye on phone photos.
#: Rows of the shoulders, as shares of the height: they show where the middle is.
SHOULDERS: Final = (0.06, 0.16)
COLLAR: Final = 0.04  # rows of the collar's ends, as a share of the height
ARMPIT_ROWS: Final = (0.14, 0.68)  # rows where an armpit can be
#: Where the armpit is when a sleeve lies against the body, which then comes in further down.
HANGING_ARMPIT, HANGING_ROWS = 0.36, 0.95
#: Under a sleeve the outline comes in by at least this share of half the body, within this height.
STEP_IN: Final = 0.14
#: The same at the cuff of a sleeve that lies against the body: a cap only narrows.
CUFF_STEP: Final = 0.22
STEP_ROWS: Final = 0.06
LEAST_SLEEVE: Final = 0.02  # least area of a sleeve, as a share of all cloth
LONG_SLEEVE: Final = 0.5  # from this share of the body's length on, a sleeve goes to the wrist
#: Length over width of a body that can be a top: least, and most with and without sleeves.
SHORTEST, LONGEST, LONGEST_VEST = 0.75, 2.0, 1.9
LEAST_MIDDLE: Final = 0.9  # share of the rows that have cloth in the middle: trousers have a gap
#: How unlike the halves of a top may be: difference of their widths over the whole.
MOST_SKEW: Final = 0.3
#: Depth of a neckline over the length, without which a thing without sleeves is no top.
LEAST_NECKLINE: Final = 0.05


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
    """A top."""

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
    #: The longer one stands for both: the other may be folded. None: it has none.
    sleeve: Sleeve | None

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
    def sleeve_share(self) -> float:
        """Length of the sleeves over the body's; 0: it has none."""
        return self.sleeve.length / self.length if self.sleeve else 0.0

    @property
    def has_long_sleeves(self) -> bool:
        """True when they go to the wrists."""
        return self.sleeve_share > LONG_SLEEVE


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Half:
    """One side of the cloth: how far it reaches from the middle, row by row."""

    side: int  # -1: left, 1: right
    reach: Floats  # (rows,); of the body alone, where a sleeve lies against it
    armpit: int | None  # row; None: no sleeve can be told from the body


def read_garment(rgb: Rgb, cloth: Mask, wearer: Figure | None = None) -> Garment:
    """
    Find the parts of a top.

    Args:
        rgb: (rows, cols, 3) uint8, RGB; one garment, upright.
        cloth: (rows, cols): where it is.
        wearer: The person who wears it in that photo, if it is worn.

    Raises:
        NotDressable: It is not a top, or its parts cannot be recognised.
    """
    cloth = eroded(cloth, max(2, round(MARGIN * int(cloth.any(1).sum()))))
    rows = np.flatnonzero(cloth.any(1))
    if len(rows) < 40:
        raise NotDressable("the garment is too small in its picture")
    if wearer is None:
        middle, halves = _halves(cloth, rows)
    else:
        middle, halves = _worn_halves(wearer, len(cloth))
        # Trousers may have the top's colour.
        cloth = cloth & (np.arange(len(cloth)) < wearer.hips[:, 1].mean())[:, None]
        rows = np.flatnonzero(cloth.any(1))
    armpits = [half.armpit for half in halves if half.armpit is not None]
    armpit = int(np.mean(armpits)) if armpits else int(rows[0] + 0.33 * len(rows))
    left, right = _sides(halves, middle, armpit, int(rows[-1]))
    top = _edge(ends(cloth.T)[0], left[armpit], right[armpit])
    hem = _edge(ends(cloth.T)[1], left[rows[-1]], right[rows[-1]], corner=0.05)
    if wearer is not None:
        # Hands and pockets of the wearer are no part of its cut.
        hem = np.full_like(hem, np.median(hem))
    garment = Garment(
        rgb=_bled(rgb, cloth),
        armpit=float(armpit),
        left=left,
        right=right,
        top=top,
        hem=hem,
        neck=_neck(top, len(rows)),
        sleeve=_longer_sleeve(cloth, halves, left, right, armpit, top),
    )
    _require_top(garment, cloth, middle, is_worn=wearer is not None)
    return garment


def _halves(cloth: Mask, rows: NDArray[np.intp]) -> tuple[float, list[_Half]]:
    """The column of the middle, and both sides of it."""
    middle = _middle(cloth, rows)
    halves = [_half(cloth, middle, side, rows) for side in (-1, 1)]
    if sum(half.armpit is None for half in halves) == 1:
        # With one sleeve folded away, the middle of the shoulders is not the garment's.
        high = np.flatnonzero(cloth[: rows[0] + round(COLLAR * len(rows))].any(0))
        middle = (high[0] + high[-1]) / 2
        halves = [_half(cloth, middle, side, rows) for side in (-1, 1)]
    return middle, halves


def _worn_halves(wearer: Figure, height: int) -> tuple[float, list[_Half]]:
    """The same by the joints of the person who wears it."""
    middle = float(wearer.joints[:, 0].mean())
    halves = [
        _Half(side=side, reach=side * (edge - middle), armpit=int(wearer.armpit))
        for side, edge in zip((-1, 1), wearer.sides(np.arange(float(height))), strict=True)
    ]
    return middle, halves


def _middle(cloth: Mask, rows: NDArray[np.intp]) -> float:
    """Column halfway between the shoulders."""
    share = (np.arange(len(cloth)) - rows[0]) / len(rows)
    first, last = ends(cloth)
    shoulders = (share > SHOULDERS[0]) & (share < SHOULDERS[1])
    return float(np.median((first + last)[shoulders] / 2))


def _half(cloth: Mask, middle: float, side: int, rows: NDArray[np.intp]) -> _Half:
    """The cloth on one side of the middle, as far as it goes without a gap."""
    out = side * (np.arange(cloth.shape[1]) - middle)
    gap = np.where(~cloth & (out > 0), out, np.inf).min(1)
    border = (cloth.shape[1] - middle) if side > 0 else middle + 1
    extent = np.minimum(gap, border) - 1
    first, height = int(rows[0]), len(rows)
    free, hanging = first + round(ARMPIT_ROWS[1] * height), first + round(HANGING_ROWS * height)
    armpit = _inwards(extent, first, height, free, STEP_IN)
    if armpit is None:
        cuff = _inwards(extent, first, height, hanging, CUFF_STEP)
        if cuff is not None:
            armpit = first + round(HANGING_ARMPIT * height)
            extent = np.minimum(extent, extent[cuff])
    return _Half(side=side, reach=extent, armpit=armpit)


def _inwards(extent: Floats, first: int, height: int, stop: int, least: float) -> int | None:
    """The row where the outline has come in from the sleeve to the body; None: it never does."""
    step = max(2, round(STEP_ROWS * height))
    start = first + round(ARMPIT_ROWS[0] * height)
    body = float(np.median(extent[first + round(0.7 * height) : first + round(0.92 * height)]))
    rows = np.arange(start, stop)
    inwards = np.flatnonzero(extent[rows - step] - extent[rows] > least * body)
    if not len(inwards):
        return None
    row = int(rows[inwards[0]])
    while row + step < stop and extent[row] - extent[row + step] > least * body / 2:
        row += 1
    return row


def _sides(halves: list[_Half], middle: float, armpit: int, last: int) -> tuple[Floats, Floats]:
    """Columns of the body's sides. A half whose sleeve is not visible mirrors the other one."""
    whole = [half for half in halves if half.armpit is not None] or halves
    reaches = []
    for half in halves:
        extent = (half if half in whole else whole[0]).reach.copy()
        height = last - armpit
        usual = float(np.median(extent[armpit : armpit + height // 6 + 1]))
        widest = np.interp(np.arange(len(extent)), [armpit, last], [1.1, 1.4])
        extent = np.minimum(extent, usual * widest)
        extent[:armpit] = usual
        reaches.append(median(extent, max(1, height // 20)))
    return middle - reaches[0], middle + reaches[1]


def _bled(rgb: Rgb, cloth: Mask) -> Rgb:
    """The photo with its background replaced by cloth, mirrored at the edge in each row."""
    columns = np.arange(cloth.shape[1])
    before = np.maximum.accumulate(np.where(cloth, columns, -1), axis=1)
    after = np.minimum.accumulate(np.where(cloth, columns, 2**30)[:, ::-1], axis=1)[:, ::-1]
    nearer = np.where((columns - before <= after - columns) & (before >= 0), before, after)
    nearer = np.where(nearer < len(columns), nearer, columns)
    inside = np.clip(2 * nearer - columns, 0, len(columns) - 1)
    nearer = np.where(np.take_along_axis(cloth, inside, axis=1), inside, nearer)
    filled = np.take_along_axis(rgb, nearer[..., None], axis=1)
    some = np.flatnonzero(cloth.any(1))
    return np.asarray(filled[np.clip(np.arange(len(rgb)), some[0], some[-1])])


def _edge(rows: Floats, left: float, right: float, corner: float = 0.0) -> Floats:
    """Rows of an edge at even steps between two columns; straight on near rounded corners."""
    share = np.clip(np.linspace(0, 1, EDGE_POINTS), corner, 1 - corner)
    return np.interp(left + share * (right - left), np.arange(len(rows)), rows)


def _neck(top: Floats, height: int) -> tuple[float, float]:
    """The collar's ends: in each half, the outermost point that is about as high as the highest."""
    share = np.linspace(0, 1, EDGE_POINTS)
    halves = (share > 0.12) & (share < 0.5), (share > 0.5) & (share < 0.88)
    found = []
    for half, inwards in zip(halves, (1, -1), strict=True):
        rows, places = top[half][::inwards], share[half][::inwards]
        found.append(float(places[np.argmax(rows <= rows.min() + 0.01 * height)]))
    return found[0], found[1]


def _longer_sleeve(
    cloth: Mask, halves: list[_Half], left: Floats, right: Floats, armpit: int, top: Floats
) -> Sleeve | None:
    columns = np.arange(cloth.shape[1])
    parts = (cloth & (columns < left[:, None]), cloth & (columns > right[:, None]))
    found: list[Sleeve] = []
    for half, part, edge, shoulder in zip(halves, parts, (left, right), top[[0, -1]], strict=True):
        seed = np.zeros_like(part)
        seed[: armpit + 1] = True
        piece = flood(seed, part)
        if half.armpit is not None and piece.sum() > LEAST_SLEEVE * cloth.sum():
            origin = np.array([edge[armpit], (shoulder + armpit) / 2])
            found.append(_sleeve(cloth, piece, origin, half.side))
    return max(found, key=lambda sleeve: sleeve.length, default=None)


def _sleeve(cloth: Mask, part: Mask, origin: Floats, side: int) -> Sleeve:
    points = np.argwhere(part)[:, ::-1].astype(float) - origin
    along = points.mean(0) / np.hypot(*points.mean(0))
    out = np.array([along[1], -along[0]]) * side
    way, across = points @ along, points @ out
    length = float(np.quantile(way, 0.985))
    steps, most = np.linspace(0, length, SLEEVE_POINTS), max(cloth.shape)
    nearest = np.clip(np.rint(way / length * (SLEEVE_POINTS - 1)), 0, SLEEVE_POINTS - 1)
    count = np.bincount(nearest.astype(int), minlength=SLEEVE_POINTS)
    centre = np.bincount(nearest.astype(int), across, SLEEVE_POINTS) / np.maximum(count, 1)
    start = origin + steps[:, None] * along + centre[:, None] * out
    upper = median(centre + reach(cloth, start, out, most), 2)
    lower = median(centre - reach(part, start, -out, most), 2)
    return Sleeve(origin=origin, along=along, out=out, length=length, upper=upper, lower=lower)


def _require_top(garment: Garment, cloth: Mask, middle: float, *, is_worn: bool) -> None:
    """
    Raises:
        NotDressable: Its proportions are not those of a spread out top.
    """
    border = max(2, len(cloth) // 60)
    if cloth[:border].any() or (cloth[-border:].any() and not is_worn):
        raise NotDressable("the garment is cut off in its picture")
    shape = garment.length / max(garment.width, 1.0)
    longest = LONGEST if garment.sleeve else LONGEST_VEST
    rows = np.arange(int(garment.armpit), int(np.median(garment.hem)))
    if not SHORTEST < shape < longest or cloth[rows, int(middle)].mean() < LEAST_MIDDLE:
        raise NotDressable("only tops are dressed in a preview")
    row = int(garment.armpit)
    if abs(garment.left[row] + garment.right[row] - 2 * middle) > MOST_SKEW * garment.width:
        raise NotDressable("the garment does not lie straight in its picture")
    if garment.sleeve is None:
        depth = np.interp(0.5, np.linspace(0, 1, EDGE_POINTS), garment.top) - garment.top.min()
        if depth < LEAST_NECKLINE * garment.length:
            raise NotDressable("no sleeves and no neckline can be made out")
