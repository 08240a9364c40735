"""Dresses the person in a photo: positions the garment, places its pieces, keeps the light."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from PIL import Image

from wearon_cli.core.body.pose import PoseReading
from wearon_cli.core.preview.cloth import find_worn_cloth
from wearon_cli.core.preview.figure import Figure, read_figure
from wearon_cli.core.preview.garment import Garment
from wearon_cli.core.preview.layers import (
    Layer,
    Scene,
    Shoulders,
    arms_in_front,
    body_layer,
    leftover_layer,
    sleeve_layer,
)
from wearon_cli.core.preview.light import read_light
from wearon_cli.core.preview.rasters import Floats, Mask, Rgb, soften, soften_line

# How cloth hangs. No source: set by eye on rendered people.
EASE: Final = 0.05  # wider than the body
WIDEST_DRAPE: Final = 1.25  # ends at this share of the upper half's usual breadth
LEAST_DRAPE: Final = 0.9  # cloth hangs from the chest: at least this share of its breadth wide
USUAL_LENGTH: Final = 1.35  # of a top, over its width
USUAL_HEM: Final = 1.06  # where that ends, in torsos below the shoulder joints
SLEEVE_START: Final = 0.1  # of a short sleeve, added to its length, in torsos
LONGER: Final = 0.35  # most that is added, in torsos, to hide the sleeve of the person's own top
BELT: Final = 0.075  # where legs begin to part, in torsos above the hip joints
SCALE_STEP: Final = 8  # pixels between the places where the laid garment's scale is read

type Frame = tuple[slice, slice]
type OnArms = tuple[tuple[Floats, Floats], ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Dressed:
    """The composite, and the data to check it."""

    rgb: Rgb
    changed: Mask  # (rows, cols) pixels of the photo
    # Of a frame around torso and arms, (rows, cols):
    cover: Floats  # where cloth was laid, 0..1
    own_top: Mask  # the person's own top
    body: Mask  # between the sides of the garment's body
    arms: Mask  # bare ones in front of it
    limbs: Mask  # the middle of forearms and hands below the sleeves
    #: Body, then sleeves: (n, 2) larger and smaller scale at some places, in pixels of the
    #: garment's photo for one of the person's.
    scales: tuple[Floats, ...]


def dress(rgb: Rgb, pose: PoseReading, garment: Garment) -> Dressed:
    """
    Place a garment on a person.

    Args:
        rgb: (rows, cols, 3) uint8, RGB: the person's photo.
        pose: Of the person, from that photo.

    Raises:
        NotDressable: The person's upper body cannot be seen well enough.
    """
    figure = read_figure(pose)
    frame = _frame(figure)
    y, x = np.mgrid[frame].astype(float)
    on_arms = tuple(arm.along_across(x, y) for arm in figure.arms)
    own = find_worn_cloth(rgb, pose)[frame]
    elbows = np.array([1.1 * arm.starts[1] for arm in figure.arms])
    own = own & ~_arms_below(figure, on_arms, elbows, 1.2)
    scene = _scene(rgb[frame].astype(float), pose, figure, garment, frame, own, on_arms)
    bare = arms_in_front(scene)
    ends = np.array(scene.sleeve_ends) + 0.05 * figure.torso_px
    limbs = _arms_below(figure, on_arms, np.maximum(ends, elbows), 0.4) & (scene.shown > 0.5)
    layers = [body_layer(scene, bare)]
    if garment.sleeve:
        layers += [sleeve_layer(scene, at, garment.sleeve) for at in (0, 1)]
    cover = np.asarray(np.max([layer.cover for layer in layers], axis=0), float)
    leftover = leftover_layer(scene, layers[0], cover)
    layers.insert(0, leftover)
    cover = np.maximum(cover, leftover.cover)
    out = _laid(scene.person, _neck_skin(scene, cover))
    for layer in layers:
        lit = layer.colour * scene.light[..., None]
        out = _laid(out, Layer(colour=lit, cover=layer.cover))
    body = np.asarray((scene.x > scene.left[:, None]) & (scene.x < scene.right[:, None]))
    picture = rgb.copy()
    picture[frame] = np.clip(np.rint(out), 0, 255).astype(np.uint8)
    return Dressed(
        rgb=picture,
        changed=np.asarray((picture != rgb).any(2)),
        own_top=own,
        cover=cover,
        body=body,
        arms=np.asarray((bare > 0.5) & body),
        limbs=limbs,
        scales=tuple(_scales(layer) for layer in layers[1:]),
    )


def _arms_below(figure: Figure, on_arms: OnArms, starts: Floats, breadth: float) -> Mask:
    """Arms that can be seen, from some way down to the fingers, at a share of their breadth."""
    found = np.zeros(on_arms[0][0].shape, bool)
    for arm, (way, across), start in zip(figure.arms, on_arms, starts, strict=True):
        if not arm.is_hidden:
            inside = np.abs(across) < breadth * arm.radius_at(way)
            found |= inside & (way > start) & (way < arm.starts[3])
    return found


def _scales(layer: Layer) -> Floats:
    seen = layer.cover[::SCALE_STEP, ::SCALE_STEP] > 0.5
    slopes = np.array(
        [np.gradient(part[::SCALE_STEP, ::SCALE_STEP], SCALE_STEP) for part in layer.source]
    )
    return np.asarray(np.linalg.svd(np.moveaxis(slopes[:, :, seen], -1, 0), compute_uv=False))


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
    person: Floats,
    pose: PoseReading,
    figure: Figure,
    garment: Garment,
    frame: Frame,
    own: Mask,
    on_arms: OnArms,
) -> Scene:
    y, x = np.mgrid[frame].astype(float)
    shown = pose.mask[frame].astype(float)
    hem = _hem(figure, garment, own, y, x)
    near = np.clip(soften(shown, 0.024 * figure.torso_px) * 6 - 0.6, 0, 1)
    left, right = _drape(figure, y[:, 0], hem)
    scale = min(1.0, 1.3 * float(np.median(right - left)) / garment.width)
    rows, cols = garment.rgb.shape[:2]
    size = max(2, round(cols * scale)), max(2, round(rows * scale))
    cloth = Image.fromarray(garment.rgb).resize(size, Image.Resampling.BOX)
    return Scene(
        figure=figure,
        garment=garment,
        cloth=np.asarray(cloth, float),
        cloth_scale=scale,
        person=person,
        shown=shown,
        closeness=np.where(y < figure.armpit, near, 1),
        x=x,
        y=y,
        left=left,
        right=right,
        shoulders=_shoulders(figure, garment, x[0], y[:, 0], left, right),
        hem=hem,
        light=read_light(person, own, figure.torso_px),
        own=soften(own.astype(float), 1.0),
        sleeve_ends=_sleeve_ends(figure, garment, own, on_arms),
        on_arms=on_arms,
    )


def _hem(figure: Figure, garment: Garment, own: Mask, y: Floats, x: Floats) -> float:
    """Row where the garment ends: by its length, and not above the person's own top."""
    start, torso = float(figure.joints[:, 1].mean()), figure.torso_px
    longer = float(np.clip(0.6 * (garment.length / garment.width - USUAL_LENGTH), -0.06, 0.3))
    usual = start + torso * (USUAL_HEM + longer)
    middle = np.abs(x[0] - figure.hips[:, 0].mean()) < 0.2 * torso
    worn = np.flatnonzero(own[:, middle].mean(1) > 0.5)
    if not len(worn):
        return usual
    end = float(y[worn[-1], 0])
    if figure.is_seated:
        return float(np.clip(end, start + 0.75 * torso, start + 0.95 * torso))
    return float(np.clip(end, usual, usual + 0.2 * torso))


def _sleeve_ends(figure: Figure, garment: Garment, own: Mask, on_arms: OnArms) -> tuple[float, ...]:
    """How far down each arm the sleeves go, in pixels from the shoulder joint."""
    if not garment.sleeve:
        return (0.0, 0.0)
    if garment.has_long_sleeves:
        return tuple(float(arm.starts[2]) for arm in figure.arms)
    length = figure.torso_px * (SLEEVE_START + 1.3 * garment.sleeve_share)
    ends = []
    for arm, (way, across) in zip(figure.arms, on_arms, strict=True):
        worn = own & (np.abs(across) < 0.5 * arm.radius_at(way))
        worn &= way < length + LONGER * figure.torso_px
        ends.append(min(float(way[worn].max(initial=length)), float(arm.starts[2])))
    return tuple(ends)


def _drape(figure: Figure, rows: Floats, hem: float) -> tuple[Floats, Floats]:
    """The laid garment's sides: armholes above the armpit; below it, cloth that hangs."""
    down = np.arange(figure.armpit, hem + 0.1 * figure.torso_px)
    # Below the hips come two legs; cloth hangs straight down there.
    outline = figure.sides(np.minimum(down, figure.hips[:, 1].mean() - BELT * figure.torso_px))
    middle = soften_line((outline[0] + outline[1]) / 2, 0.08 * figure.torso_px)
    sides = []
    for side, joint, arm, edge in zip((-1, 1), figure.joints, figure.arms, outline, strict=True):
        body = side * (edge - middle)
        # Thighs of a seated person, and bags, are no part of it.
        body = np.minimum(body, WIDEST_DRAPE * np.median(body[: len(body) // 2]))
        hang = np.maximum(body * (1 + EASE), body[: len(body) // 5].mean() * LEAST_DRAPE)
        shoulder, above = joint[0] + side * 0.2 * arm.radius[0], joint[1] - arm.radius[0]
        hanging = middle + side * soften_line(hang, 0.08 * figure.torso_px)
        sides.append(np.interp(rows, [above, *down], [shoulder, *hanging]))
    return sides[0], sides[1]


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
    line = soften_line(line, 0.02 * figure.torso_px) - 0.01 * figure.torso_px
    between = (columns - collar[0]) / (collar[1] - collar[0])
    bridge = np.interp(between, [0, 1], np.interp(collar, columns, line))
    return Shoulders(
        line=np.where((between > 0) & (between < 1), bridge, line),
        neck=((collar[0] - start) / (end - start), (collar[1] - start) / (end - start)),
        between=between,
        half=half,
    )


def _neck_skin(scene: Scene, cover: Floats) -> Layer:
    """Skin where the new neckline is wider or lower than the old one was."""
    figure, line = scene.figure, scene.shoulders.line
    off_px, up = np.abs(scene.x - figure.neck_x), line - scene.y
    neck = (off_px < 0.8 * figure.neck_half) & (up > 0) & (up < 0.5 * figure.neck_half)
    neck = neck & (scene.shown > 0.5) & (scene.own < 0.3)
    near = (off_px < scene.shoulders.half) & (scene.y < figure.armpit)
    old = near & (cover < 0.99) & (soften(scene.own, 0.01 * figure.torso_px) > 0.1)
    colour, seen = scene.person, np.zeros_like(old)
    if neck.any() and old.any():
        # Just above the old collar, where the chin's shadow ends.
        skin = np.quantile(scene.person[neck], 0.6, axis=0)
        colour, seen = np.broadcast_to(skin, colour.shape), old & (scene.shown > 0.5)
    return Layer(colour=colour, cover=soften(seen.astype(float), 1.0))
