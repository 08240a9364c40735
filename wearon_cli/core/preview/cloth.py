"""Separates the garment in a photo from floors, beds and hangers, on backgrounds of any colour."""

from typing import Final

import numpy as np
from PIL import Image

from wearon_cli.core.body.pose import Landmark, PoseReading
from wearon_cli.core.errors import NotDressable
from wearon_cli.core.preview.cutout import cut_out
from wearon_cli.core.preview.rasters import (
    Floats,
    Mask,
    Rgb,
    eroded,
    flood,
    grown,
    holes,
    largest,
    soften,
)

#: Longest side at which a garment is looked for, its outline is then drawn, and a worn one is.
SEARCH_PX, OUTLINE_PX, WORN_PX = 240, 480, 360
#: Sizes of the area where a garment is expected, tried in turn: shares of the photo's half sides.
EXPECTED_SIZES: Final = (0.6, 0.8, 1.0)
#: How sure a first finding is: the least and most likely that a pixel is cloth.
DOUBT: Final = (0.15, 0.85)
AREA_SHARE: Final = (0.05, 0.92)  # share of the photo that a garment covers, at least and at most
#: A colour difference that is no edge, over the photo's brightest tones; and how much of an outline
#: may be without one. Good outlines on real photos: up to 0.107; with floor in them, mostly more.
FAINT: Final = 0.03
MOST_FAINT: Final = 0.11
#: What is thinner than this share of the cloth's size is a hook, a strap or a label.
THIN: Final = 0.035
#: Holes in the middle share of the cloth are prints in the background's colour; the others are gaps
#: under the sleeves.
PRINTED: Final = 0.5


def find_cloth(rgb: Rgb) -> Mask:
    """
    Separate a garment from its background.

    Args:
        rgb: (rows, cols, 3) uint8, RGB; one garment, all of it in the photo.

    Returns:
        (rows, cols) bool: the garment without holes.

    Raises:
        NotDressable: The garment cannot be separated from its background.
    """
    rows, cols = rgb.shape[:2]
    small = _reduced(rgb, SEARCH_PX)
    tries = [_found(small, size) for size in EXPECTED_SIZES]
    label = max(tries, key=lambda label: np.minimum(_edges(small, label > 0.5), 80).mean())
    fine = _reduced(rgb, OUTLINE_PX)
    near = _resized(grown(label > 0.5, 3).astype(float), fine.shape[:2])
    label = _resized(label, fine.shape[:2])
    prior = np.where(near > 0.5, np.clip(label, *DOUBT), 0.01)
    cloth = _whole(cut_out(fine, prior, start=label, rounds=2) > 0.5)
    is_large = AREA_SHARE[0] <= cloth.mean() <= AREA_SHARE[1]
    outline = _resized(cloth.astype(float), small.shape[:2]) > 0.5
    faint = _edges(small, outline) < FAINT * np.quantile(small, 0.95)
    if not is_large or faint.mean() > MOST_FAINT:
        raise NotDressable("the garment cannot be separated from its background")
    return np.asarray(_resized(soften(cloth.astype(float), 1), (rows, cols)) > 0.5)


def _found(rgb: Rgb, size: float) -> Floats:
    """Labels of what is in the expected place; then, by its colours, also of what is outside it."""
    label = cut_out(rgb, _expected(rgb.shape[:2], size))
    return cut_out(rgb, np.clip(soften(label, 2), *DOUBT), start=label, rounds=3)


def _reduced(rgb: Rgb, longest_px: int) -> Rgb:
    picture = Image.fromarray(rgb)
    picture.thumbnail((longest_px, longest_px), Image.Resampling.BOX)
    return np.asarray(picture)


def _resized(values: Floats, shape: tuple[int, ...]) -> Floats:
    picture = Image.fromarray(values.astype(np.float32))
    return np.asarray(picture.resize((shape[1], shape[0]), Image.Resampling.BILINEAR), float)


def _expected(shape: tuple[int, ...], size: float) -> Floats:
    """How likely each pixel is cloth by its position: unlikely at the border."""
    y, x = (np.abs(np.linspace(-1, 1, count)) for count in shape[:2])
    out = np.maximum(y[:, None], x[None])
    return np.interp(out / size, [0.3, 0.6, 0.9, 1.0], [0.9, 0.6, 0.3, 0.04])


def _edges(rgb: Rgb, inside: Mask) -> Floats:
    """Colour differences (0..255) across an outline, one for each step along it; never none."""
    found = [np.zeros(1)]
    for axis in (0, 1):
        step = np.abs(np.diff(rgb.astype(float), axis=axis)).max(2)
        found.append(step[np.diff(inside, axis=axis)])
    return np.concatenate(found)


def _whole(cloth: Mask) -> Mask:
    """The largest piece without thin things on it, its holes filled."""
    radius = max(1, round(THIN * float(np.sqrt(cloth.sum())) / 2))
    core = largest(eroded(cloth, radius))
    if not core.any():
        return core
    cloth = grown(core, radius + 1) & cloth
    columns = np.flatnonzero(cloth.any(0))
    margin = (columns[-1] - columns[0]) * (1 - PRINTED) / 2
    printed = np.zeros_like(cloth)
    printed[:, int(columns[0] + margin) : int(columns[-1] - margin)] = True
    return np.asarray(cloth | flood(printed, holes(cloth)))


def find_worn_cloth(rgb: Rgb, wearer: PoseReading) -> Mask:
    """
    Separate a top from the person who wears it, without face, hands and trousers.

    Args:
        rgb: (rows, cols, 3) uint8, RGB.
        wearer: Of the person in it.

    Returns:
        (rows, cols) bool; empty where no top can be made out.
    """
    fine = _reduced(rgb, WORN_PX)
    shown = _resized(soften(wearer.mask.astype(float), 2), fine.shape[:2])
    prior = _resized(_worn_prior(wearer), fine.shape[:2])
    prior = np.clip(prior * np.interp(shown, [0.2, 0.6], [0.0, 1.0]), 0, 1)
    # The wearer's outline separates the background; skin and trousers are separated by colour.
    cloth = _whole(cut_out(fine, prior, start=prior**3, within=shown) > 0.5)
    return np.asarray(_resized(soften(cloth.astype(float), 1), rgb.shape[:2]) > 0.5)


def _worn_prior(wearer: PoseReading) -> Floats:
    """How likely each pixel is the top by its position on the wearer."""
    points = wearer.pixels().astype(float)
    joints = points[[Landmark.LEFT_SHOULDER, Landmark.RIGHT_SHOULDER]]
    hips = points[[Landmark.LEFT_HIP, Landmark.RIGHT_HIP]]
    mouth = points[[Landmark.MOUTH_LEFT, Landmark.MOUTH_RIGHT], 1].mean()
    shoulder, hip = joints[:, 1].mean(), hips[:, 1].mean()
    torso = max(hip - shoulder, 1.0)
    rows, columns = (np.arange(count, dtype=float) for count in wearer.mask.shape)
    chin = mouth + 0.45 * (shoulder - mouth)
    down = np.interp(
        rows,
        [chin - 1, chin, shoulder, shoulder + 0.1 * torso, hip - 0.1 * torso, hip + 0.15 * torso],
        [0.0, 0.15, 0.5, 0.9, 0.8, 0.05],
    )
    left, right = np.sort(joints[:, 0])
    beyond = np.maximum(left - columns, columns - right) / torso
    across = np.interp(beyond, [-0.1, 0.15, 0.4], [1.0, 0.6, 0.2])
    return np.asarray(down[:, None] * across[None])
