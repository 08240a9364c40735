"""
The laid garment, piece by piece: its body and its sleeves.

Each piece has a map from places on the person to places in the product photo that follows the
outlines of both: a point halfway from the left to the right side and a third down from the
shoulders on the one is so on the other.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np

from wearon_cli.core.preview.cloth import Floats
from wearon_cli.core.preview.figure import Arm, Figure
from wearon_cli.core.preview.garment import EDGE_POINTS, SLEEVE_POINTS, Garment, Sleeve
from wearon_cli.core.preview.light import Light, likeness, roundness, soften

# How cloth hangs. No source: set by eye on rendered people.
#: Wider than the arm, at the shoulder and at the cuff, of short and of long sleeves.
SHORT_EASE: Final = (0.05, 0.25)
LONG_EASE: Final = (0.05, 0.12)
#: A neckline less deep than this (share of the length) is a collar seen with its back: the neck
#: hides it, down to this depth (share of half its width).
OPEN_NECK: Final = 0.03
CREW_DEPTH: Final = 0.55


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Layer:
    """A piece of cloth ready to be laid: colour and cover for each pixel of the frame."""

    colour: Floats  # (rows, cols, 3), 0..255
    cover: Floats  # (rows, cols), 0..1


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
    """What every piece looks at: a frame of the photo around torso and arms, and the garment."""

    figure: Figure
    garment: Garment
    cloth: Floats  # the garment's picture, reduced to the size it is seen at
    cloth_scale: float
    person: Floats  # (rows, cols, 3), 0..255: the photo in this frame
    shown: Floats  # (rows, cols), 0..1: the person's mask in this frame
    x: Floats  # (rows, cols) columns and rows of the photo
    y: Floats
    left: Floats  # (rows,) the laid garment's sides
    right: Floats
    shoulders: Shoulders
    hem: float  # row
    light: Light

    @property
    def closeness(self) -> Floats:
        """How near to the person each pixel is: cloth lies on shoulders, it does not float."""
        return np.clip(soften(self.shown, 0.024 * self.figure.torso_px) * 6 - 0.6, 0, 1)


def body_layer(scene: Scene) -> Layer:
    """The garment without its sleeves; bare arms in front of it stay in front."""
    garment, shoulders, y = scene.garment, scene.shoulders, scene.y
    width = (scene.right - scene.left)[:, None]
    across = (scene.x - scene.left[:, None]) / width
    shares = np.linspace(0, 1, EDGE_POINTS)
    level = float(np.interp(0.5, shoulders.between, shoulders.line))
    scale = (scene.hem - level) / garment.length
    hem = np.interp(across, shares, _hem_line(scene, scale))
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
    colour = _pick(scene, left + np.clip(source_across, 0, 1) * (right - left), source_y)
    # Under the sleeves it goes on a little, so that nothing shows through the seam.
    seam = np.where(y < scene.figure.armpit, 2.0, 0.0) if garment.sleeves else 0.0
    cover = _soft(across * width + seam) * _soft((1 - across) * width + seam)
    cover = np.where(
        y < scene.figure.armpit, cover * scene.closeness, np.maximum(cover, _old(scene))
    )
    cover = cover * _soft(below) * _soft(hem - y)
    top = np.interp(source_across, shares, garment.top)
    opening = _soft((source_y - top) * scale) * _soft(_below_crew(scene))
    return Layer(
        colour=colour * roundness(2 * across - 1, 0.13)[..., None],
        cover=cover * opening * (1 - _arms_in_front(scene)),
    )


def sleeve_layer(scene: Scene, arm: Arm, sleeve: Sleeve) -> Layer:
    """One sleeve, along the arm."""
    figure = scene.figure
    way, across = _on_arm(scene, arm)
    length, ease = _sleeve_length(scene, arm, sleeve, way, across)
    upper = arm.radius_at(way) * (1 + np.interp(way, [0, length], ease))
    lower = 1.1 * upper + _underarm(scene, arm, way)
    share = np.clip((across + lower) / (upper + lower), 0, 1)
    steps = np.linspace(0, 1, SLEEVE_POINTS)
    source_upper = np.interp(way / length, steps, sleeve.upper)
    source_lower = np.interp(way / length, steps, sleeve.lower)
    source_across = source_lower + share * (source_upper - source_lower)
    source_way = np.minimum(way / length, 1) * sleeve.length
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
    capped = np.where((across > 0) & (way < 0.3 * figure.torso_px), scene.closeness, 1)
    capped = capped * _soft(scene.y - scene.shoulders.line)
    cover = _soft(upper - across) * _soft(across + lower) * _soft(length - way) * free * capped
    shade = roundness(2 * share - 1, 0.3)
    return Layer(colour=_pick(scene, x, y) * shade[..., None], cover=cover)


def _old(scene: Scene) -> Floats:
    """The person's own top just outside of the new one, which has to cover it."""
    outside_px = np.maximum(scene.left[:, None] - scene.x, scene.x - scene.right[:, None])
    near = outside_px < 0.12 * scene.figure.torso_px
    for arm in scene.figure.arms:
        way, across = _on_arm(scene, arm)
        near &= np.abs(across) > 0.75 * arm.radius_at(way)
    return soften(scene.light.own_top, 1.0) * scene.shown * near


def _hem_line(scene: Scene, scale: float) -> Floats:
    """Rows of the laid hem from side to side: as it is cut, and lower in the middle."""
    shares = np.linspace(0, 1, EDGE_POINTS)
    sag = 0.02 * scene.figure.torso_px * (1 - (2 * shares - 1) ** 2)
    cut = scene.garment.hem - np.median(scene.garment.hem)
    return scene.hem + sag + cut * scale


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
    """Pixels under a crew neck; everywhere when the garment shows a neckline of its own."""
    garment, shoulders = scene.garment, scene.shoulders
    depth = (garment.top - _bridged(garment)).max()
    if depth > OPEN_NECK * garment.length:
        return np.full(scene.x.shape, np.inf)
    curve = np.maximum(1 - (2 * shoulders.between - 1) ** 2, 0)
    return scene.y - shoulders.line - CREW_DEPTH * shoulders.half * curve


def _arms_in_front(scene: Scene) -> Floats:
    """How much of each pixel is a bare arm, which the garment's body must not cover."""
    front = np.zeros(scene.x.shape)
    for arm in scene.figure.arms:
        if arm.is_hidden:
            continue
        way, across = _on_arm(scene, arm)
        radius = arm.radius_at(way)
        beyond = np.maximum(way - arm.starts[-1], 0)
        strip = _soft(1.1 * radius - np.hypot(across, beyond)) * scene.shown
        # Sleeves decide what they cover; a hand may have another colour than its sleeve.
        bare_from = arm.starts[2] if scene.garment.has_long_sleeves else 0.6 * arm.starts[1]
        for part in ((way >= bare_from) & (way < arm.starts[2]), way >= arm.starts[2]):
            middle = part & (strip > 0.5) & (np.hypot(across, beyond) < 0.5 * radius)
            if middle.any():
                # The strip is a little wide: only what looks like its middle is the arm.
                usual = np.median(scene.person[middle], axis=0)
                like = soften(likeness(scene.person, usual), 1.0)
                front = np.maximum(front, strip * part * np.clip(2 * like, 0, 1))
    return front


def _on_arm(scene: Scene, arm: Arm) -> tuple[Floats, Floats]:
    points = np.stack([scene.x.ravel(), scene.y.ravel()], axis=1)
    way, across = arm.along_across(points)
    return way.reshape(scene.x.shape), across.reshape(scene.x.shape)


def _sleeve_length(
    scene: Scene, arm: Arm, sleeve: Sleeve, way: Floats, across: Floats
) -> tuple[float, tuple[float, float]]:
    """How far down the arm a sleeve goes, and how loose it is."""
    torso, wrist = scene.figure.torso_px, float(arm.starts[2])
    if scene.garment.has_long_sleeves:
        return wrist, LONG_EASE
    length = torso * (0.05 + 1.3 * sleeve.length / scene.garment.length)
    # A little longer where that hides the sleeve of the person's own top.
    bins = np.arange(0, 0.35 * torso, max(2.0, 0.02 * torso)) + length
    on_arm = np.abs(across) < 0.5 * arm.radius_at(way)
    for start, end in pairwise(bins):
        ring = on_arm & (way >= start) & (way < end)
        if not ring.any() or np.mean(scene.light.own_top[ring]) < 0.3:
            return min(float(start) + (0.03 * torso if start > length else 0), wrist), SHORT_EASE
    return min(length, wrist), SHORT_EASE


def _underarm(scene: Scene, arm: Arm, way: Floats) -> Floats:
    """Cloth under the arm, beyond the arm itself: down to the armpit, then less and less."""
    row = int(np.clip(scene.figure.armpit - scene.y[0, 0], 0, len(scene.left) - 1))
    pit = np.array([(scene.left if arm.side < 0 else scene.right)[row], scene.figure.armpit])
    pit_way, pit_across = (float(part[0]) for part in arm.along_across(pit[None]))
    extra = max(0.0, -pit_across - float(arm.radius_at(np.array([pit_way]))[0]))
    return extra * np.clip(1 - (way - pit_way) / (0.3 * scene.figure.torso_px), 0, 1)


def _soft(inside_px: Floats) -> Floats:
    """Cover from the distance inside an edge: edges are one pixel wide, not steps."""
    return np.clip(inside_px + 0.5, 0, 1)


def _pick(scene: Scene, x: Floats, y: Floats) -> Floats:
    """The garment's colour at places of its photo, between pixels by their distance."""
    rows, cols = scene.cloth.shape[:2]
    # Pixel centres of the reduced picture lie half a pixel in.
    col = np.clip((x + 0.5) * scene.cloth_scale - 0.5, 0, cols - 1.001)
    row = np.clip((y + 0.5) * scene.cloth_scale - 0.5, 0, rows - 1.001)
    left, top = col.astype(int), row.astype(int)
    to_right, to_bottom = (col - left)[..., None], (row - top)[..., None]
    upper = scene.cloth[top, left] * (1 - to_right) + scene.cloth[top, left + 1] * to_right
    lower = scene.cloth[top + 1, left] * (1 - to_right) + scene.cloth[top + 1, left + 1] * to_right
    return np.asarray(upper * (1 - to_bottom) + lower * to_bottom)
