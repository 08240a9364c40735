"""The word in the corner that marks a preview."""

from typing import Final

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from wearon_cli.core.preview.rasters import Mask

TEXT: Final = "PREVIEW"
SIZE_SHARE: Final = 0.035  # height of the letters over the picture's shorter side
LEAST_SIZE_PX: Final = 10


def mark(picture: Image.Image) -> Mask:
    """
    Write the word in the lower right corner of an RGB picture, in place.

    Returns:
        (rows, cols) bool: the corner that was written on.
    """
    size_px = max(LEAST_SIZE_PX, round(SIZE_SHARE * min(picture.size)))
    font = ImageFont.load_default(size_px)
    left, top, right, bottom = font.getbbox(TEXT)
    pad = size_px * 0.45
    width, height = right - left + 2 * pad, bottom - top + 2 * pad
    x, y = picture.width - width - pad, picture.height - height - pad
    box = (x, y, x + width, y + height)
    draw = ImageDraw.Draw(picture, "RGBA")
    draw.rounded_rectangle(box, radius=pad, fill=(20, 22, 26, 165))
    draw.text((x + pad - left, y + pad - top), TEXT, font=font, fill=(255, 255, 255, 235))
    corner = np.zeros((picture.height, picture.width), bool)
    corner[max(0, int(y) - 1) :, max(0, int(x) - 1) :] = True
    return corner
