"""
Charts as SVG, drawn on the server: without scripts or styles that the page's policy refuses.

Colours come from the style sheet by class; every mark has a title, and each chart a text for screen
readers. The templates put a table of the same numbers behind it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup, escape

#: A chart's own units; the page scales it to its width.
WIDTH: Final = 1120
#: Of the same chart for a phone, which the style sheet shows in place of the other.
NARROW: Final = 440
HEIGHT: Final = 190
_LEFT: Final = 46
_BOTTOM: Final = 26
_TOP: Final = 10
#: Room for a label under the bars.
_LABEL: Final = 150
#: Widest bar.
WIDEST: Final = 40.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One bar: parts from the bottom up."""

    label: str  # under the bar, where there is room
    title: str  # what it says when pointed at
    parts: Sequence[tuple[str, float]]  # (class of the colour, height)

    @property
    def total(self) -> float:
        return sum(value for _, value in self.parts)


def bar_chart(bars: Sequence[Bar], *, label: str, unit: str = "") -> Markup:
    """
    Stacked bars over a scale from 0.

    Args:
        bars: From the left.
        label: What it shows, for those who cannot see it.
        unit: Before the numbers of the scale, as "$".
    """
    return Markup("").join(
        _chart(bars, label, unit, width=width, tone=tone)
        for width, tone in ((WIDTH, "wide"), (NARROW, "narrow"))
    )


def _chart(bars: Sequence[Bar], label: str, unit: str, *, width: int, tone: str) -> Markup:
    top = nice_top(max((bar.total for bar in bars), default=0.0))
    step = (width - _LEFT) / max(1, len(bars))
    marks = [_grid(top, unit, width)]
    every = max(1, -(-len(bars) * _LABEL // width))
    for number, bar in enumerate(bars):
        marks.append(_bar(bar, _LEFT + step * number, step, top))
        if number % every == 0:
            x = _LEFT + step * (number + 0.5)
            marks.append(
                Markup(
                    '<text class="tick" x="{:.1f}" y="{}" text-anchor="middle">{}</text>'
                ).format(x, HEIGHT - 5, bar.label)
            )
    return Markup(
        '<svg class="chart {}" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>'
    ).format(tone, width, HEIGHT, label, Markup("").join(marks))


def nice_top(most: float) -> float:
    """The end of a scale: 1, 2 or 5 times a power of ten, not below `most`."""
    if most <= 0:
        return 1.0
    step = 10.0
    while step > most:
        step /= 10
    while step * 10 < most:
        step *= 10
    return next(step * factor for factor in (1, 2, 5, 10) if step * factor >= most)


def meter(part: float, whole: float, *, label: str) -> Markup:
    """A thin bar that is filled by a share."""
    share = min(1.0, part / whole) if whole > 0 else 0.0
    tone = "full" if share >= 0.9 else "part"
    return Markup(
        '<svg class="meter" viewBox="0 0 100 4" preserveAspectRatio="none" role="img"'
        ' aria-label="{}"><rect class="rail" width="100" height="4" rx="2"/>'
        '<rect class="{}" width="{:.1f}" height="4" rx="2"/></svg>'
    ).format(label, tone, share * 100)


def _bar(bar: Bar, x: float, step: float, top: float) -> Markup:
    width = min(WIDEST, max(1.0, step * 0.72))
    left, base = x + (step - width) / 2, float(HEIGHT - _BOTTOM)
    rects = []
    for tone, value in bar.parts:
        height = value / top * (HEIGHT - _BOTTOM - _TOP)
        if height > 0:
            base -= height
            rects.append(
                Markup(
                    '<rect class="{}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}" rx="1"/>'
                ).format(tone, left, base, width, max(1.0, height))
            )
    if not rects:
        return Markup("")
    return Markup("<g><title>{}</title>{}</g>").format(bar.title, Markup("").join(rects))


def _grid(top: float, unit: str, width: int) -> Markup:
    lines = []
    # There is no half job: then the middle has no line.
    for share in (0.0, 0.5, 1.0) if unit or top % 2 == 0 else (0.0, 1.0):
        y = _TOP + (1 - share) * (HEIGHT - _BOTTOM - _TOP)
        value = f"{top * share:g}"
        lines.append(
            Markup(
                '<line class="grid" x1="{}" x2="{}" y1="{:.1f}" y2="{:.1f}"/>'
                '<text class="tick" x="{}" y="{:.1f}" text-anchor="end">{}{}</text>'
            ).format(_LEFT, width, y, y, _LEFT - 5, y + 3.5, escape(unit), value)
        )
    return Markup("").join(lines)
