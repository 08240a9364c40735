"""Draws what a check saw onto its pictures, to explain its findings."""

from collections.abc import Sequence
from typing import Final

from PIL import Image, ImageDraw, ImageFont

from wearon_cli.core.checks.people import VISIBLE, Person, box

#: Height of each picture as it is drawn, so that text has one size.
HEIGHT_PX: Final = 800
_LINE_PX: Final = 26
_SEEN: Final = (255, 64, 160)
_TRUNK: Final = (80, 220, 255)
_INK: Final = (244, 244, 244)
_PANEL: Final = (28, 28, 36)


def annotated(
    parts: Sequence[tuple[Image.Image, Sequence[Person]]], sentences: Sequence[str]
) -> Image.Image:
    """
    The pictures side by side with the people found in each, and the findings below.

    Args:
        parts: Each picture, and who was found in it; their points may be those of a smaller copy.
        sentences: One line each.
    """
    drawn = [_marked(picture, people) for picture, people in parts]
    wide = sum(each.width for each in drawn)
    whole = Image.new("RGB", (wide, HEIGHT_PX + _LINE_PX * (len(sentences) + 1)), _PANEL)
    left = 0
    for each in drawn:
        whole.paste(each, (left, 0))
        left += each.width
    pen, font = ImageDraw.Draw(whole), ImageFont.load_default(size=18)
    for number, sentence in enumerate(sentences):
        pen.text((12, HEIGHT_PX + _LINE_PX * (number + 0.5)), sentence, fill=_INK, font=font)
    return whole


def _marked(picture: Image.Image, people: Sequence[Person]) -> Image.Image:
    """A box around each person, a dot on each joint seen, and the trunk that is compared."""
    wide = max(1, round(picture.width * HEIGHT_PX / picture.height))
    large = picture.resize((wide, HEIGHT_PX))
    pen = ImageDraw.Draw(large)
    for person in people:
        scale = (wide / person.width_px, HEIGHT_PX / person.height_px)
        left, top, right, bottom = box(person)
        pen.rectangle(
            (left * scale[0], top * scale[1], right * scale[0], bottom * scale[1]),
            outline=_SEEN,
            width=3,
        )
        left_shoulder, right_shoulder, left_hip, right_hip = (
            person if person.has_hips else person.with_nominal_hips()
        ).trunk * scale
        corners = [tuple(each) for each in (left_shoulder, right_shoulder, right_hip, left_hip)]
        pen.polygon(corners, outline=_TRUNK, width=3)
        for (x, y), seen in zip(person.points * scale, person.visibility, strict=True):
            if seen > VISIBLE:
                pen.ellipse((x - 4, y - 4, x + 4, y + 4), fill=_SEEN)
    return large
