"""The shading of a person's own top, to be applied to the new one."""

from typing import Final

import numpy as np

from wearon_cli.core.preview.rasters import Floats, Mask, soften

#: Shares of red, green and blue in brightness (ITU-R BT.601).
LUMA: Final = np.array([0.299, 0.587, 0.114])
SMOOTH: Final = 0.02  # finest folds that are kept, in torsos
#: Share of the old top's shading that is kept, and how far it may go. Set by eye.
KEPT: Final = 0.85
DARKEST, BRIGHTEST = 0.5, 1.3
#: Colour distance (0..255) at which a pixel is as likely something else as the material asked for.
STRANGE: Final = 30.0
#: Shadows and lights on one material go this far from its usual brightness, as shares of it.
SHADOW, SHINE = 0.5, 0.3


def read_light(person: Floats, own: Mask, torso_px: float) -> Floats:
    """
    Read the shading of a person's own top.

    Only pixels of its usual colour count; print, skin, trousers and background take the light of
    the nearest cloth, so that their edges do not show through.

    Args:
        person: (rows, cols, 3), 0..255, RGB.
        own: (rows, cols) where that top is.

    Returns:
        (rows, cols) brightness, around 1.
    """
    luma = person @ LUMA
    if not own.any():
        return np.ones_like(luma)
    usual = np.median(person[own], axis=0)
    usual_luma = max(float(usual @ LUMA), 1.0)
    same = likeness(person, usual) * own
    # Where little of it is near, its usual brightness is as good a guess.
    sure = soften(same, SMOOTH * torso_px) + 0.1
    mixed = (soften(same * luma, SMOOTH * torso_px) + 0.1 * usual_luma) / sure
    # On black cloth shading is hard to separate from noise.
    trust = KEPT * np.clip(usual_luma / 70, 0.25, 1)
    return np.asarray(np.clip(1 + trust * (mixed / usual_luma - 1), DARKEST, BRIGHTEST))


def likeness(pixels: Floats, usual: Floats) -> Floats:
    """
    How likely pixels (..., 3) are of one material, from its usual colour (3,): 0..1.

    Shade scales a colour; what is not a scaled `usual`, or scaled too far, is something else.
    """
    ratio = (pixels @ LUMA) / max(float(usual @ LUMA), 1.0)
    beyond = np.maximum(ratio - 1 - SHINE, 0) + np.maximum(1 - SHADOW - ratio, 0)
    # In shadow all colours come closer; so do their differences.
    off = np.abs(pixels - usual * ratio[..., None]).max(-1) / np.clip(ratio, 0.35, 1)
    return np.asarray(np.clip(1.5 - (off + 250 * beyond) / STRANGE, 0, 1))
