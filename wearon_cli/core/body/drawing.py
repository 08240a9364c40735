"""
Draws the measurements onto the photo, to show where they come from.

The outline is the mask's edge, each line is the breadth (or depth) that matters most for its girth,
and the panel next to the photo has the figures, their bands and the size probabilities.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from wearon_cli.core.body.estimate import Estimate
from wearon_cli.core.body.girths import MEASURES
from wearon_cli.core.body.pose import Landmark, PoseReading
from wearon_cli.core.body.silhouette import HIP_LEVELS, WAIST_LEVELS, Line

Colour = tuple[int, int, int]

OUTLINE: Final[Colour] = (255, 64, 160)
INK: Final[Colour] = (244, 244, 244)
FAINT: Final[Colour] = (160, 160, 170)
PANEL: Final[Colour] = (28, 28, 36)
BAR: Final[Colour] = (90, 90, 110)
COLOURS: Final[Mapping[str, Colour]] = {
    "shoulder": (255, 214, 10),
    "chest": (80, 220, 255),
    "waist": (120, 255, 130),
    "hip": (255, 160, 70),
    "inseam": (214, 160, 255),
}
#: Height of the drawing: the photo is scaled to it, so that text has the same size.
HEIGHT_PX: Final = 1000
PANEL_PX: Final = 330
#: Where on the trunk the chest's line is drawn; its girth is read from several levels.
CHEST_LEVEL: Final = 0.42


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stroke:
    """One measuring line, in pixels of the photo."""

    measure: str
    start: tuple[float, float]
    end: tuple[float, float]


def annotate(
    front: NDArray[np.uint8], measured: Estimate, side: NDArray[np.uint8] | None = None
) -> Image.Image:
    """
    Draw an estimate.

    Args:
        front: The photo that was measured, as it was given to `estimate`.
        measured: The answer.
        side: The photo from the side, if it was measured too.

    Returns:
        An RGB picture, `HEIGHT_PX` high: photo, photo from the side, panel.
    """
    outline = measured.outline
    parts = [_photo(front, outline.front, list(_front_strokes(measured)))]
    if side is not None and outline.side is not None:
        parts.append(_photo(side, outline.side, list(_side_strokes(measured))))
    parts.append(_panel(measured))
    whole = Image.new("RGB", (sum(p.width for p in parts), HEIGHT_PX), PANEL)
    left_px = 0
    for part in parts:
        whole.paste(part, (left_px, 0))
        left_px += part.width
    return whole


def _front_strokes(measured: Estimate) -> Iterator[_Stroke]:
    silhouette, joints = measured.outline.silhouette, measured.outline.front.pixels()
    trunk = silhouette.trunk
    left, right = (joints[Landmark[f"{side}_SHOULDER"]] for side in ("LEFT", "RIGHT"))
    yield _Stroke(measure="shoulder", start=tuple(left), end=tuple(right))
    yield _across("chest", trunk[CHEST_LEVEL])
    yield _across("waist", min(_within(trunk, WAIST_LEVELS), key=lambda line: line.breadth_px))
    yield _across("hip", max(_within(trunk, HIP_LEVELS), key=lambda line: line.breadth_px))
    x_px = float(joints[[Landmark.LEFT_ANKLE, Landmark.RIGHT_ANKLE], 0].mean())
    inseam_px = measured.girths.value("inseam") / silhouette.cm_per_px
    yield _Stroke(
        measure="inseam",
        start=(x_px, silhouette.bottom_px - inseam_px),
        end=(x_px, silhouette.bottom_px),
    )


def _side_strokes(measured: Estimate) -> Iterator[_Stroke]:
    profile = measured.outline.profile
    if profile is None:
        return
    yield _across("chest", profile.trunk[CHEST_LEVEL])
    yield _across(
        "waist", min(_within(profile.trunk, WAIST_LEVELS), key=lambda line: line.breadth_px)
    )
    yield _across("hip", max(_within(profile.trunk, HIP_LEVELS), key=lambda line: line.breadth_px))


def _within(trunk: Mapping[float, Line], levels: tuple[float, float]) -> list[Line]:
    return [line for level, line in trunk.items() if levels[0] <= level <= levels[1]]


def _across(measure: str, line: Line) -> _Stroke:
    return _Stroke(measure=measure, start=(line.left_px, line.y_px), end=(line.right_px, line.y_px))


def _photo(rgb: NDArray[np.uint8], reading: PoseReading, strokes: list[_Stroke]) -> Image.Image:
    scale = HEIGHT_PX / rgb.shape[0]
    size = (max(1, round(rgb.shape[1] * scale)), HEIGHT_PX)
    image = Image.fromarray(rgb).resize(size, Image.Resampling.LANCZOS)
    image.paste(OUTLINE, mask=_edge(reading.mask, size))
    draw = ImageDraw.Draw(image)
    for stroke in strokes:
        ends = [(x * scale, y * scale) for x, y in (stroke.start, stroke.end)]
        draw.line(ends, fill=(0, 0, 0), width=7)
        draw.line(ends, fill=COLOURS[stroke.measure], width=3)
        for x, y in ends:
            draw.ellipse((x - 5, y - 5, x + 5, y + 5), fill=COLOURS[stroke.measure], outline=0)
    return image


def _edge(mask: NDArray[np.float32], size: tuple[int, int]) -> Image.Image:
    """The outline of a mask, two pixels wide."""
    smooth = Image.fromarray((mask * 255).astype(np.uint8)).resize(size)
    inside = np.asarray(smooth) > 127
    edge = np.zeros_like(inside)
    for axis in (0, 1):
        change = inside != np.roll(inside, 1, axis=axis)
        edge |= change | np.roll(change, -1, axis=axis)
    edge[0], edge[:, 0] = False, False  # where `roll` wraps around to the other side of the picture
    return Image.fromarray(edge.astype(np.uint8) * 255)


def _panel(measured: Estimate) -> Image.Image:
    image = Image.new("RGB", (PANEL_PX, HEIGHT_PX), PANEL)
    draw = ImageDraw.Draw(image)
    height = measured.request.height_cm
    title = f"height {height:g} cm" if height else "height not given"
    draw.text((20, 24), title, INK, font=_font(22))
    draw.text((20, 54), f"from {measured.variant.replace('+', ', ')}", FAINT, font=_font(16))
    y_px = 110
    for measure in MEASURES:
        low, high = measured.girths.band(measure)
        draw.rectangle((20, y_px + 4, 28, y_px + 44), fill=COLOURS[measure])
        draw.text((42, y_px), measure, FAINT, font=_font(16))
        value = f"{measured.girths.value(measure):.0f} cm"
        draw.text((42, y_px + 18), value, INK, font=_font(26))
        draw.text((160, y_px + 26), f"{low:.0f} to {high:.0f}", FAINT, font=_font(18))
        y_px += 64
    _draw_odds(draw, measured, y_px + 24)
    return image


def _draw_odds(draw: ImageDraw.ImageDraw, measured: Estimate, y_px: int) -> None:
    odds = measured.odds
    draw.text((20, y_px), f"size {odds.recommended}", INK, font=_font(26))
    about = f"{measured.request.garment.value}, chart {measured.request.chart.name}"
    draw.text((20, y_px + 34), about, FAINT, font=_font(16))
    y_px += 70
    step_px = min(30, (HEIGHT_PX - 20 - y_px) // len(odds.odds))
    for size, chance in odds.odds.items():
        is_best = size == odds.recommended
        draw.text((20, y_px), size[:8], INK if is_best else FAINT, font=_font(16))
        bar = (90, y_px + 3, 90 + max(1, round(170 * chance)), y_px + min(18, step_px - 2))
        draw.rectangle(bar, fill=COLOURS["chest"] if is_best else BAR)
        draw.text((270, y_px), f"{chance:.0%}", FAINT, font=_font(16))
        y_px += step_px


def _font(size_px: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size=size_px)
