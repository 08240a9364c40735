"""A contact sheet: pictures side by side on one page, each with a caption."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from PIL import Image, ImageDraw, ImageFont

#: Size of a picture's place on the page: the shape of a photo of a person.
PLACE_PX: Final = (400, 600)
MOST_COLUMNS: Final = 4

_GAP_PX: Final = 28
_MARGIN_PX: Final = 48
_HEAD_PX: Final = 108
_CAPTION_PX: Final = 76
_PAD_PX: Final = 24
_TITLE_SIZE_PX, _NAME_SIZE_PX, _FACTS_SIZE_PX = 34, 21, 18
_JPEG_QUALITY: Final = 90

_PAPER, _CARD, _MAT = "#f3f2ef", "#ffffff", "#e8e6e1"
_INK, _FAINT, _FAILED_MAT, _FAILED_INK = "#1d1f23", "#6c7078", "#f7e9e6", "#9c3426"

type Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """One picture with its caption, or the reason why there is none."""

    name: str
    facts: str = ""  # under the name
    jpeg: bytes | None = None  # decoded directly: one of ours, or already checked
    reason: str = ""  # shown in place of a missing picture


def contact_sheet(cards: Sequence[Card], *, title: str, subtitle: str) -> bytes:
    """
    Lay out cards in rows, in order.

    Args:
        cards: At least one.
        title: Of the page.
        subtitle: On the right of it.

    Returns:
        A JPEG file. With four columns it is 1780 px wide.
    """
    columns = _columns(len(cards))
    rows = -(-len(cards) // columns)
    step_x, step_y = PLACE_PX[0] + _GAP_PX, PLACE_PX[1] + _CAPTION_PX + _GAP_PX
    size = (
        2 * _MARGIN_PX + columns * step_x - _GAP_PX,
        _MARGIN_PX + _HEAD_PX + rows * step_y - _GAP_PX + _MARGIN_PX,
    )
    page = Image.new("RGB", size, _PAPER)
    _draw_head(page, title, subtitle)
    for number, card in enumerate(cards):
        row, column = divmod(number, columns)
        at = (_MARGIN_PX + column * step_x, _MARGIN_PX + _HEAD_PX + row * step_y)
        _draw_card(page, card, at)
    held = io.BytesIO()
    page.save(held, "JPEG", quality=_JPEG_QUALITY, subsampling="4:4:4")
    return held.getvalue()


def _columns(cards: int) -> int:
    """As few rows as `MOST_COLUMNS` allow, filled evenly."""
    rows = -(-cards // MOST_COLUMNS)
    return -(-cards // rows)


def _draw_head(page: Image.Image, title: str, subtitle: str) -> None:
    pen = ImageDraw.Draw(page)
    small = _font(_FACTS_SIZE_PX)
    wide_px = page.width - 2 * _MARGIN_PX
    y = _MARGIN_PX + 8
    pen.text((_MARGIN_PX, y), title, font=_font(_TITLE_SIZE_PX), fill=_INK)
    words = _fitted(subtitle, small, wide_px)
    pen.text((_MARGIN_PX, y + _TITLE_SIZE_PX + 12), words, font=small, fill=_FAINT)


def _draw_card(page: Image.Image, card: Card, at: tuple[int, int]) -> None:
    pen = ImageDraw.Draw(page)
    x, y = at
    width, height = PLACE_PX
    box = (x, y, x + width - 1, y + height + _CAPTION_PX - 1)
    pen.rounded_rectangle(box, radius=10, fill=_CARD)
    if card.jpeg is not None:
        _draw_picture(page, card.jpeg, at)
    else:
        _draw_reason(pen, card.reason, at)
    inner_px = width - 2 * 16
    name, facts = _font(_NAME_SIZE_PX), _font(_FACTS_SIZE_PX)
    text_y = y + height + 12
    pen.text((x + 16, text_y), _fitted(card.name, name, inner_px), font=name, fill=_INK)
    pen.text((x + 16, text_y + 30), _fitted(card.facts, facts, inner_px), font=facts, fill=_FAINT)


def _draw_picture(page: Image.Image, jpeg: bytes, at: tuple[int, int]) -> None:
    """The whole picture, as large as its place allows, with a border."""
    place = Image.new("RGB", PLACE_PX, _MAT)
    with Image.open(io.BytesIO(jpeg)) as opened:
        picture = opened.convert("RGB")
    scale = min(PLACE_PX[0] / picture.width, PLACE_PX[1] / picture.height)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    picture = picture.resize(size, Image.Resampling.LANCZOS)
    place.paste(picture, ((PLACE_PX[0] - size[0]) // 2, (PLACE_PX[1] - size[1]) // 2))
    page.paste(place, at, _rounded_top())


def _rounded_top() -> Image.Image:
    """The picture's place follows the card's upper corners."""
    mask = Image.new("L", PLACE_PX, 0)
    pen = ImageDraw.Draw(mask)
    pen.rounded_rectangle(
        (0, 0, PLACE_PX[0] - 1, PLACE_PX[1] - 1),
        radius=10,
        fill=255,
        corners=(True, True, False, False),
    )
    return mask


def _draw_reason(pen: ImageDraw.ImageDraw, reason: str, at: tuple[int, int]) -> None:
    x, y = at
    box = (x, y, x + PLACE_PX[0] - 1, y + PLACE_PX[1] - 1)
    pen.rounded_rectangle(box, radius=10, fill=_FAILED_MAT, corners=(True, True, False, False))
    font, large = _font(_FACTS_SIZE_PX), _font(_NAME_SIZE_PX)
    lines = _wrapped(reason, font, PLACE_PX[0] - 2 * _PAD_PX)[:12]
    top = y + (PLACE_PX[1] - 40 - 26 * len(lines)) // 2
    pen.text((x + _PAD_PX, top), "No picture", font=large, fill=_FAILED_INK)
    pen.multiline_text(
        (x + _PAD_PX, top + 40), "\n".join(lines), font=font, fill=_FAILED_INK, spacing=8
    )


def _font(size_px: int) -> Font:
    return ImageFont.load_default(size_px)


def _wrapped(text: str, font: Font, width_px: int) -> list[str]:
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and font.getlength(longer) <= width_px:
            lines[-1] = longer
        else:
            lines.append(_fitted(word, font, width_px))
    return lines


def _fitted(text: str, font: Font, width_px: int) -> str:
    """The text, cut so that it fits into a line."""
    if font.getlength(text) <= width_px:
        return text
    while text and font.getlength(f"{text}...") > width_px:
        text = text[:-1]
    return f"{text}..."
