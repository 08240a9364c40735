"""
The laid garment, piece by piece: its body and its sleeves.

Each piece has a map from places on the person to places in the product photo that follows the
outlines of both: a point halfway from the left to the right side and a third down from the
shoulders on the one is so on the other.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from wearon_cli.core.preview.figure import Arm, Figure
from wearon_cli.core.preview.garment import EDGE_POINTS, SLEEVE_POINTS, Garment, Sleeve
from wearon_cli.core.preview.light import likeness
from wearon_cli.core.preview.rasters import Floats, Mask, soften

# How cloth hangs. No source: set by eye on rendered people.
#: Sleeves are wider than the arm, at the shoulder and at the cuff.
EASE: Final = (0.05, 0.2)
#: Most of a photo that a short sleeve is taken from, in its lengths: above it are collar and floor.
BEYOND_SLEEVE: Final = 1.2
#: The neck hides the back of a collar, down to this depth (share of half its width).
CREW_DEPTH: Final = 0.55


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Layer:
    """A piece of cloth ready to be placed: colour and opacity for each pixel of the frame."""

    colour: Floats  # (rows, cols, 3), 0..255
    cover: Floats  # (rows, cols), 0..1
    #: (rows, cols) columns and rows of the garment's photo that are seen; empty: none are.
    source: tuple[Floats, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Shoulders:
    """The laid garment's upper end, for each column of the frame."""

    line: Floats  # (cols,) rows: along the shoulders, straight over the neck
    #: Where its collar ends, as shares of the way from the left to the right side.
    neck: tuple[float, float]
    between: Floats  # (cols,) share of the way from one end of the collar to the other
    half: float  # half the collar's width


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scene:
    """The input of every piece: a frame of the photo around torso and arms, and the garment."""

    figure: Figure
    garment: Garment
    cloth: Floats  # the garment's picture, reduced to the size it is seen at
    cloth_scale: float
    person: Floats  # (rows, cols, 3), 0..255: the photo in this frame
    shown: Floats  # (rows, cols), 0..1: the person's mask in this frame
    #: (rows, cols), 0..1: how near to the person, above the armpits: cloth does not float.
    closeness: Floats
    x: Floats  # (rows, cols) columns and rows of the photo
    y: Floats
    left: Floats  # (rows,) the laid garment's sides
    right: Floats
    shoulders: Shoulders
    hem: float  # row
    light: Floats  # (rows, cols), around 1: the brightness of the person's own top
    own: Floats  # (rows, cols), 0..1: the person's own top
    #: For each arm: how far down a sleeve goes; 0 without sleeves.
    sleeve_ends: tuple[float, ...]
    #: For each arm: way along and distance across of every pixel.
    on_arms: tuple[tuple[Floats, Floats], ...]


def body_layer(scene: Scene, bare: Floats) -> Layer:
    """The garment without its sleeves; bare arms in front of it stay in front."""
    garment, shoulders, y = scene.garment, scene.shoulders, scene.y
    width = (scene.right - scene.left)[:, None]
    across = (scene.x - scene.left[:, None]) / width
    shares = np.linspace(0, 1, EDGE_POINTS)
    level = float(np.interp(0.5, shoulders.between, shoulders.line))
    scale = (scene.hem - level) / garment.length
    cut = (garment.hem - np.median(garment.hem)) * scale
    hem = scene.hem + np.interp(across, shares, cut)
    below = y - shoulders.line
    # At the top the collars' ends meet; further down the sides alone count.
    fade = np.clip(1 - below / (0.4 * (scene.hem - level)), 0, 1) ** 2
    pinned = np.interp(across, [0, *shoulders.neck, 1], [0, *garment.neck, 1])
    source_across = across + (pinned - across) * fade
    source_level = float(np.interp(garment.neck, shares, garment.top).mean())
    end = np.interp(source_across, shares, garment.hem)
    stretch = (end - source_level) / np.maximum(hem - level, 1)
    straight = source_level + (y - level) * stretch
    start = np.interp(source_across, shares, _bridged(garment))
    source_y = straight + (start - source_level - (shoulders.line - level) * stretch) * fade
    rows = np.arange(len(garment.left))
    left = np.interp(source_y, rows, garment.left)
    right = np.interp(source_y, rows, garment.right)
    cover = _soft(across * width) * _soft((1 - across) * width)
    cover = cover * _soft(below) * _soft(hem - y) * scene.closeness
    top = np.interp(source_across, shares, garment.top)
    opening = _soft((source_y - top) * scale) * _soft(_below_crew(scene))
    source_x = left + np.clip(source_across, 0, 1) * (right - left)
    wanted = (cover * opening > 0) | (scene.own > 0)
    return Layer(
        colour=_pick(scene, source_x, source_y, wanted) * _roundness(across, 0.13),
        cover=cover * opening * (1 - bare),
        source=(source_x, source_y),
    )


def sleeve_layer(scene: Scene, index: int, sleeve: Sleeve) -> Layer:
    """One sleeve, along the arm."""
    figure, arm = scene.figure, scene.figure.arms[index]
    way, across = scene.on_arms[index]
    length = scene.sleeve_ends[index]
    radius = _tapered(arm, way) if scene.garment.has_long_sleeves else arm.radius_at(way)
    upper = radius * (1 + np.interp(way, [0, length], EASE))
    lower = 1.1 * upper
    share = np.clip((across + lower) / (upper + lower), 0, 1)
    steps = np.linspace(0, sleeve.length, SLEEVE_POINTS)
    # From the cuff upwards at the body's scale: a short sleeve begins in the photo's shoulder.
    scale = sleeve.length / length
    if not scene.garment.has_long_sleeves:
        body_px = max(scene.hem - float(scene.shoulders.line.min()), 1.0)
        scale = min(scene.garment.length / body_px, BEYOND_SLEEVE * scale)
    source_way = sleeve.length - np.maximum(length - way, 0) * scale
    source_upper = np.interp(source_way, steps, sleeve.upper)
    source_lower = np.interp(source_way, steps, sleeve.lower)
    source_across = source_lower + share * (source_upper - source_lower)
    x, y = (
        sleeve.origin[axis] + source_way * sleeve.along[axis] + source_across * sleeve.out[axis]
        for axis in (0, 1)
    )
    # It begins at the armhole; from the armpit down it comes in front of the garment's body.
    armhole = scene.left if arm.side < 0 else scene.right
    outside = _soft(arm.side * (scene.x - armhole[:, None]))
    front = np.clip((scene.y - figure.armpit) / (0.3 * figure.torso_px), 0, 1)
    free = np.maximum(
        outside, _soft(1.1 * arm.radius_at(way) * front - np.abs(across)) * (front > 0)
    )
    cover = _soft(upper - across) * _soft(across + lower) * _soft(length - way) * free
    cover = cover * _soft(scene.y - scene.shoulders.line) * scene.closeness
    colour = _pick(scene, x, y, cover > 0) * _roundness(share, 0.3)
    return Layer(colour=colour, cover=cover, source=(x, y))


def leftover_layer(scene: Scene, body: Layer, cover: Floats) -> Layer:
    """More of the garment where the person's own top would still be seen, down to its ends."""
    torso, clear = scene.figure.torso_px, 1.0 if scene.garment.sleeve else 1.5
    allowed = (scene.y > scene.shoulders.line) & (scene.y < scene.hem + 0.2 * torso)
    for (way, across), arm, end in zip(
        scene.on_arms, scene.figure.arms, scene.sleeve_ends, strict=True
    ):
        allowed &= (way < max(end, 0.1 * torso)) | (np.abs(across) > clear * arm.radius_at(way))
    neck = (scene.shoulders.between > 0) & (scene.shoulders.between < 1)
    allowed &= ~(neck & (scene.y < scene.figure.armpit))
    return Layer(colour=body.colour, cover=scene.own * (1 - cover) * allowed)


def _bridged(garment: Garment) -> Floats:
    """
    The garment's upper edge, straight from one end of the collar to the other.

    Maps start here, not at the neckline: they stay smooth below it.
    """
    shares = np.linspace(0, 1, EDGE_POINTS)
    over = np.interp(shares, garment.neck, np.interp(garment.neck, shares, garment.top))
    inside = (shares > garment.neck[0]) & (shares < garment.neck[1])
    return np.where(inside, over, garment.top)


def _below_crew(scene: Scene) -> Floats:
    """Pixels under a crew neck, the highest neckline there is."""
    curve = np.maximum(1 - (2 * scene.shoulders.between - 1) ** 2, 0)
    return scene.y - scene.shoulders.line - CREW_DEPTH * scene.shoulders.half * curve


def arms_in_front(scene: Scene) -> Floats:
    """How much of each pixel is a bare arm, which the garment's body must not cover."""
    front = np.zeros(scene.x.shape)
    for arm, (way, across) in zip(scene.figure.arms, scene.on_arms, strict=True):
        if arm.is_hidden:
            continue
        radius, off = arm.radius_at(way), np.hypot(across, np.maximum(way - arm.starts[-1], 0))
        strip = _soft(1.1 * radius - off) * scene.shown
        like = np.zeros(strip.shape)
        # Sleeves decide what they cover; a hand may have another colour than its sleeve.
        bare_from = arm.starts[2] if scene.garment.has_long_sleeves else 0.6 * arm.starts[1]
        for part in ((way >= bare_from) & (way < arm.starts[2]), way >= arm.starts[2]):
            part = part & (strip > 0)
            middle = part & (strip > 0.5) & (off < 0.5 * radius)
            if middle.any():
                # The strip is a little wide: only what looks like its middle is the arm.
                usual = np.median(scene.person[middle], axis=0)
                like[part] = likeness(scene.person[part], usual)
        front = np.maximum(front, strip * np.clip(2 * soften(like, 1.0), 0, 1))
    return front


def _tapered(arm: Arm, way: Floats) -> Floats:
    """Radius of a straight tube to the wrist, wide enough for the arm and a short sleeve on it."""
    wrist = arm.starts[2]
    steps = np.linspace(0, 0.9 * wrist, SLEEVE_POINTS)
    thin = float(arm.radius_at(wrist))
    slope = ((arm.radius_at(steps) - thin) / (wrist - steps)).max()
    return np.asarray(thin + slope * np.maximum(wrist - way, 0))


def _soft(inside_px: Floats) -> Floats:
    """Cover from the distance inside an edge: edges are one pixel wide, not steps."""
    return np.clip(inside_px + 0.5, 0, 1)


def _roundness(across: Floats, depth: float) -> Floats:
    """Darker towards the sides (0 and 1): cloth goes round a body."""
    return np.asarray(1 - depth * np.abs(2 * np.clip(across, 0, 1) - 1)[..., None] ** 3)


def _pick(scene: Scene, x: Floats, y: Floats, wanted: Mask) -> Floats:
    """The garment's colour at places of its photo, where wanted, between pixels by distance."""
    rows, cols = scene.cloth.shape[:2]
    # Pixel centres of the reduced picture lie half a pixel in.
    col = np.clip((x[wanted] + 0.5) * scene.cloth_scale - 0.5, 0, cols - 1.001)
    row = np.clip((y[wanted] + 0.5) * scene.cloth_scale - 0.5, 0, rows - 1.001)
    left, top = col.astype(int), row.astype(int)
    to_right, to_bottom = (col - left)[:, None], (row - top)[:, None]
    upper = scene.cloth[top, left] * (1 - to_right) + scene.cloth[top, left + 1] * to_right
    lower = scene.cloth[top + 1, left] * (1 - to_right) + scene.cloth[top + 1, left + 1] * to_right
    colour = np.zeros((*x.shape, 3))
    colour[wanted] = upper * (1 - to_bottom) + lower * to_bottom
    return colour
