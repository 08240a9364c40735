"""Dresses a person's photo: places the garment, lays its pieces, keeps the light."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from PIL import Image

from wearon_cli.core.body.pose import PoseReading
from wearon_cli.core.preview.cloth import Floats, Mask, Rgb
from wearon_cli.core.preview.figure import Figure, read_figure
from wearon_cli.core.preview.garment import Garment
from wearon_cli.core.preview.layers import Layer, Scene, Shoulders, body_layer, sleeve_layer
from wearon_cli.core.preview.light import read_light, soften

# How cloth hangs. No source: set by eye on rendered people.
EASE: Final = 0.05  # wider than the body
LEAST_DRAPE: Final = 0.9  # cloth hangs from the chest: at least this share of its breadth wide
USUAL_LENGTH: Final = 1.35  # of a top, over its width
USUAL_HEM: Final = 1.06  # where that ends, in torsos below the shoulder joints
BELT: Final = 0.15  # where trousers begin, in torsos above the hip joints
#: Skin and an old top nearer than this (0..255) look the same in a chin's shadow.
LEAST_CONTRAST: Final = 45

type Frame = tuple[slice, slice]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Dressed:
    """The composite, and which pixels of the photo it changed."""

    rgb: Rgb
    changed: Mask  # (rows, cols)


def dress(rgb: Rgb, pose: PoseReading, garment: Garment) -> Dressed:
    """
    Lay a garment on a person.

    Args:
        rgb: (rows, cols, 3) uint8, RGB: the person's photo.
        pose: Of the person, from that photo.

    Raises:
        RequestRejected: The person's upper body cannot be seen well enough.
    """
    figure = read_figure(pose)
    frame = _frame(figure)
    scene = _scene(rgb[frame].astype(float), pose, figure, garment, frame)
    layers = [body_layer(scene)]
    if garment.sleeves:
        for arm, sleeve in zip(figure.arms, garment.sleeves, strict=True):
            layers.append(sleeve_layer(scene, arm, sleeve))
    cover = np.asarray(np.max([layer.cover for layer in layers], axis=0), float)
    out = scene.person * (1 - _contact_shadow(scene, cover))[..., None]
    out = _laid(out, _neck_skin(scene, layers[0]))
    for layer in layers:
        lit = layer.colour * scene.light.brightness[..., None]
        out = _laid(out, Layer(colour=lit, cover=layer.cover))
    picture = rgb.copy()
    picture[frame] = np.clip(np.rint(out), 0, 255).astype(np.uint8)
    return Dressed(rgb=picture, changed=np.asarray((picture != rgb).any(2)))


def _laid(under: Floats, layer: Layer) -> Floats:
    share = layer.cover[..., None]
    return under * (1 - share) + layer.colour * share


def _frame(figure: Figure) -> Frame:
    points = np.concatenate([figure.joints, figure.hips, *(arm.bones for arm in figure.arms)])
    rows, cols = figure.person.shape
    low, high = points.min(0) - 0.5 * figure.torso_px, points.max(0) + 0.6 * figure.torso_px
    left, top = np.maximum(low, 0).astype(int)
    right, bottom = np.minimum(high, [cols, rows]).astype(int)
    return slice(int(top), int(bottom)), slice(int(left), int(right))


def _scene(
    person: Floats, pose: PoseReading, figure: Figure, garment: Garment, frame: Frame
) -> Scene:
    y, x = np.mgrid[frame].astype(float)
    longer = float(np.clip(0.6 * (garment.length / garment.width - USUAL_LENGTH), -0.06, 0.3))
    hem = float(figure.joints[:, 1].mean() + figure.torso_px * (USUAL_HEM + longer))
    left, right = _drape(figure, y[:, 0], hem)
    scale = min(1.0, 1.3 * float(np.median(right - left)) / garment.width)
    rows, cols = garment.rgb.shape[:2]
    size = max(2, round(cols * scale)), max(2, round(rows * scale))
    waist = float(figure.hips[:, 1].mean() - BELT * figure.torso_px)
    core = _core(figure, x, y, left, right)
    light = read_light(person, core, max(0, int(waist - y[0, 0])), figure.torso_px)
    cloth = Image.fromarray(garment.rgb).resize(size, Image.Resampling.BOX)
    return Scene(
        figure=figure,
        garment=garment,
        cloth=np.asarray(cloth, float),
        cloth_scale=scale,
        person=person,
        shown=pose.mask[frame].astype(float),
        x=x,
        y=y,
        left=left,
        right=right,
        shoulders=_shoulders(figure, garment, x[0], y[:, 0], left, right),
        hem=hem,
        light=light,
    )


def _drape(figure: Figure, rows: Floats, hem: float) -> tuple[Floats, Floats]:
    """The laid garment's sides: armholes above the armpit; below it, cloth that hangs."""
    down = np.arange(figure.armpit, hem + 0.1 * figure.torso_px)
    # Below the hips come two legs; cloth hangs straight down there.
    outline = figure.sides(np.minimum(down, figure.hips[:, 1].mean() - BELT * figure.torso_px / 2))
    reach = max(3, int(0.1 * figure.torso_px))
    middle = _smoothed((outline[0] + outline[1]) / 2, reach)
    sides = []
    for side, joint, arm, edge in zip((-1, 1), figure.joints, figure.arms, outline, strict=True):
        body = side * (edge - middle)
        hang = np.maximum(body * (1 + EASE), body[: len(body) // 5].mean() * LEAST_DRAPE)
        shoulder, above = joint[0] + side * 0.2 * arm.radius[0], joint[1] - arm.radius[0]
        hanging = middle + side * _smoothed(hang, reach)
        sides.append(np.interp(rows, [above, *down], [shoulder, *hanging]))
    return sides[0], sides[1]


def _smoothed(values: Floats, reach: int) -> Floats:
    """A running mean, twice."""
    for _ in range(2):
        padded = np.pad(values, reach, mode="edge")
        values = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1).mean(axis=1)
    return values


def _shoulders(
    figure: Figure, garment: Garment, columns: Floats, rows: Floats, left: Floats, right: Floats
) -> Shoulders:
    joint_row = figure.joints[:, 1].mean()
    start, end = (float(np.interp(joint_row, rows, side)) for side in (left, right))
    wanted = (garment.neck[1] - garment.neck[0]) / 2 * (end - start)
    half = float(max(1.3 * figure.neck_half, wanted))
    collar = figure.neck_x - half, figure.neck_x + half
    # Beyond the armholes arms may fall away: the line runs on there, a little down.
    beyond = np.abs(columns - np.clip(columns, start, end))
    line = figure.shoulder_line(np.clip(columns, start, end)) + 0.35 * beyond
    line = soften(line[None], 0.02 * figure.torso_px)[0] - 0.01 * figure.torso_px
    between = (columns - collar[0]) / (collar[1] - collar[0])
    bridge = np.interp(between, [0, 1], np.interp(collar, columns, line))
    return Shoulders(
        line=np.where((between > 0) & (between < 1), bridge, line),
        neck=((collar[0] - start) / (end - start), (collar[1] - start) / (end - start)),
        between=between,
        half=half,
    )


def _core(figure: Figure, x: Floats, y: Floats, left: Floats, right: Floats) -> Mask:
    """The middle of the torso: surely the person's own top."""
    middle, wide = ((left + right) / 2)[:, None], (right - left)[:, None]
    low = figure.armpit + 0.6 * figure.torso_px
    return np.asarray((np.abs(x - middle) < 0.3 * wide) & (y > figure.armpit) & (y < low))


def _neck_skin(scene: Scene, body: Layer) -> Layer:
    """Skin where the new neckline is lower than the old one was."""
    figure, shoulders = scene.figure, scene.shoulders
    off_px = np.abs(scene.x - figure.neck_x)
    up = shoulders.line - scene.y
    neck = (off_px < 0.8 * figure.neck_half) & (np.abs(up) < 0.35 * figure.neck_half)
    neck = neck & (scene.shown > 0.5) & (scene.light.own_top < 0.3)
    opening = (shoulders.between > 0) & (shoulders.between < 1) & (body.cover < 0.99)
    opening = opening & (scene.y < figure.armpit) & (scene.shown > 0.5)
    # Up from the new neckline without a gap: a chin's shadow may look like the top as well.
    old = ~opening | (scene.light.own_top > 0.3)
    old = np.asarray(np.minimum.accumulate(old[::-1], axis=0)[::-1] & opening & (up < 0))
    nothing = Layer(colour=scene.person, cover=np.zeros_like(up))
    if not neck.any() or not old.any():
        return nothing
    # Just above the old collar, where the chin's shadow ends.
    skin = np.quantile(scene.person[neck], 0.6, axis=0)
    if np.abs(skin - np.median(scene.person[old], axis=0)).max() < LEAST_CONTRAST:
        return nothing
    cover = opening * np.clip(2 * soften(old.astype(float), 1.0), 0, 1)
    return Layer(colour=skin * scene.light.brightness[..., None], cover=cover)


def _contact_shadow(scene: Scene, cover: Floats) -> Floats:
    """How much darker the person is just below the garment's edges."""
    drop = max(1, int(0.02 * scene.figure.torso_px))
    fallen = np.zeros_like(cover)
    fallen[drop:] = cover[:-drop]
    # A blur has no end; a shadow does.
    return 0.5 * np.clip(soften(fallen, drop) - 0.02, 0, 1) * (1 - cover) * scene.shown
