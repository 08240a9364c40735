"""The card: person and garment side by side, with the reason why they are not composed."""

from typing import Final

from PIL import Image, ImageDraw, ImageFont, ImageOps

from wearon_cli.core.preview.rasters import Rgb

PAPER: Final = (246, 245, 242)
INK: Final = (60, 62, 68)
#: Space around the pictures, and the height of the words, over the pictures' height.
GAP_SHARE: Final = 0.04
TEXT_SHARE: Final = 0.03
LEAST_TEXT_PX: Final = 11
TALLEST_PX: Final = 1024  # height of both pictures: as the person's, and at most this
SMALLER: Final = 0.7  # height of the garment's picture over the person's


def draw_card(person: Rgb, garment: Rgb, why: str) -> Image.Image:
    """
    Show two pictures side by side.

    Args:
        person: (rows, cols, 3) uint8, RGB.
        garment: The same.
        why: A short clause, without a full stop.

    Returns:
        A picture of both at one height, with a line of words below.
    """
    height = min(len(person), TALLEST_PX)
    gap = max(4, round(GAP_SHARE * height))
    left = ImageOps.contain(Image.fromarray(person), (2 * height, height), Image.Resampling.LANCZOS)
    small = height, max(1, round(SMALLER * height))
    right = ImageOps.contain(Image.fromarray(garment), small, Image.Resampling.LANCZOS)
    text_px = max(LEAST_TEXT_PX, round(TEXT_SHARE * height))
    size = 3 * gap + left.width + right.width, 2 * gap + height + round(2.4 * text_px)
    card = Image.new("RGB", size, PAPER)
    card.paste(left, (gap, gap + (height - left.height) // 2))
    card.paste(right, (2 * gap + left.width, gap + (height - right.height) // 2))
    words = f"Shown side by side: {why}."
    font = ImageFont.load_default(text_px)
    while font.getlength(words) > size[0] - 2 * gap and text_px > LEAST_TEXT_PX:
        text_px -= 1
        font = ImageFont.load_default(text_px)
    ImageDraw.Draw(card).text((gap, height + round(1.6 * gap)), words, font=font, fill=INK)
    return card
