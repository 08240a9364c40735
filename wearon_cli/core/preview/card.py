"""The card, person and garment side by side with the reason; and the mark on every preview."""

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
MARK: Final = "PREVIEW"


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
    left, right = (
        ImageOps.contain(Image.fromarray(each), (2 * height, height), Image.Resampling.LANCZOS)
        for each in (person, garment)
    )
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


def mark(picture: Image.Image) -> None:
    """Write the word in the lower right corner of an RGB picture, in place."""
    size_px = max(LEAST_TEXT_PX, round(TEXT_SHARE * min(picture.size)))
    font = ImageFont.load_default(size_px)
    left, top, right, bottom = font.getbbox(MARK)
    pad = size_px * 0.45
    width, height = right - left + 2 * pad, bottom - top + 2 * pad
    x, y = picture.width - width - pad, picture.height - height - pad
    box = (x, y, x + width, y + height)
    draw = ImageDraw.Draw(picture, "RGBA")
    draw.rounded_rectangle(box, radius=pad, fill=(20, 22, 26, 165))
    draw.text((x + pad - left, y + pad - top), MARK, font=font, fill=(255, 255, 255, 235))
