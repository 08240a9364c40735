"""Makes a preview: the person in the garment if that works well, otherwise a card."""

from typing import Final

import numpy as np
from PIL import Image

from wearon_cli.core.body.pose import Landmark, PoseReading
from wearon_cli.core.errors import NotDressable
from wearon_cli.core.preview.card import draw_card
from wearon_cli.core.preview.cloth import find_cloth, find_worn_cloth
from wearon_cli.core.preview.dressing import Dressed, dress
from wearon_cli.core.preview.figure import read_figure
from wearon_cli.core.preview.garment import read_garment
from wearon_cli.core.preview.rasters import Rgb, holes, largest

#: A person is wearing the garment when this much of its picture is that person; a printed face is
#: smaller.
WEARER_SHARE: Final = 0.12
MOST_OLD: Final = 0.07  # share of the person's own top that may still be seen
# No source for these: well above what good previews of real tops have (in brackets).
MOST_TORN: Final = 0.04  # share of the cloth that is in loose pieces or missing in holes (0.018)
MOST_STRETCH: Final = 2.2, 4.5  # larger over smaller scale of the garment's body (1.7) and sleeves
MOST_LIMBS: Final = 0.1  # share of arms and hands below the sleeves that cloth covers
MOST_UNEVEN: Final = 2.6  # larger over smaller scale of its parts (2.4)


def compose(
    person: Rgb, pose: PoseReading, garment: Rgb, wearer: PoseReading | None
) -> Image.Image:
    """
    Make a preview, without its mark.

    Args:
        person: (rows, cols, 3) uint8, RGB.
        pose: Of the person, from that picture.
        garment: Like `person`.
        wearer: The largest person in the garment's picture, if there is one.

    Returns:
        The person's picture with the garment laid on it; or, where that would mislead, both
        pictures side by side with the reason.
    """
    if wearer is not None and wearer.mask.mean() < WEARER_SHARE:
        wearer = None
    try:
        if wearer is None:
            top = read_garment(garment, find_cloth(garment))
        else:
            worn = find_worn_cloth(garment, wearer)
            top = read_garment(garment, worn, read_figure(wearer))
        dressed = dress(person, pose, top)
        require_good(dressed, pose)
    except NotDressable as exc:
        shown = garment if wearer is None else _below_face(garment, wearer)
        return draw_card(person, shown, str(exc))
    return Image.fromarray(dressed.rgb)


def require_good(dressed: Dressed, pose: PoseReading) -> None:
    """
    Check a finished preview.

    Raises:
        NotDressable: The face was touched, an arm is covered, too much of the person's own top
            shows, or the garment is torn or stretched.
    """
    face = pose.pixels()[: Landmark.MOUTH_RIGHT + 1]
    left, top = np.maximum(face.min(0), 0).astype(int)
    right, bottom = np.maximum(face.max(0), 0).astype(int)
    if dressed.changed[top : bottom + 1, left : right + 1].any():
        raise NotDressable("the garment would cover the face")
    if dressed.limbs.any() and (dressed.cover[dressed.limbs] > 0.5).mean() > MOST_LIMBS:
        raise NotDressable("the garment would cover an arm")
    # Arms in front of cloth hide it without tearing it. Every second pixel is enough.
    cloth, arms = (dressed.cover > 0.5)[::2, ::2], dressed.arms[::2, ::2]
    lost = (cloth & ~largest(cloth | arms)) | (holes(cloth | arms) & dressed.body[::2, ::2])
    if not cloth.any() or lost.sum() > MOST_TORN * cloth.sum():
        raise NotDressable("the garment would come in pieces")
    own = dressed.own_top
    if own.any() and (dressed.cover[own] < 0.5).mean() > MOST_OLD:
        raise NotDressable("the person's own top would show under it")
    parts = [part for part in dressed.scales if len(part)]
    drawn_out = [float(np.median(part[:, 0] / np.maximum(part[:, 1], 1e-6))) for part in parts]
    usual = [float(np.median(np.sqrt(part.prod(1)))) for part in parts]
    is_drawn_out = drawn_out[0] > MOST_STRETCH[0] or max(drawn_out) > MOST_STRETCH[1]
    if is_drawn_out or max(usual) > MOST_UNEVEN * min(usual):
        raise NotDressable("the garment would be stretched out of shape")


def _below_face(garment: Rgb, wearer: PoseReading) -> Rgb:
    """A garment's picture without its wearer's head, if enough of the picture remains."""
    points = wearer.pixels()
    mouth = float(points[[Landmark.MOUTH_LEFT, Landmark.MOUTH_RIGHT], 1].max())
    shoulders = float(points[[Landmark.LEFT_SHOULDER, Landmark.RIGHT_SHOULDER], 1].min())
    start = int(np.clip((mouth + shoulders) / 2, 0, 0.8 * len(garment)))
    return garment[start:]
