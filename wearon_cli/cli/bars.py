"""Bars and sparklines of block characters, or of ASCII where the terminal supports no more."""

from collections.abc import Sequence
from typing import Final

from wearon_cli.cli.looks import shows_unicode

#: Characters of the longest bar.
WIDTH: Final = 30
#: Eighths of a character, from the left and from below.
_LEFT: Final = " ▏▎▍▌▋▊▉█"
_BELOW: Final = "·▁▂▃▄▅▆▇█"
_ASCII_BELOW: Final = "_.:-=+*#@"
_EIGHTHS: Final = 8


def bar(share: float, *, width: int = WIDTH) -> str:
    """
    A bar for a share of 0 to 1, to an eighth of a character. Anything above 0 is visible.
    """
    share = min(max(share, 0.0), 1.0)
    if not shows_unicode():
        return "#" * max(round(share * width), share > 0)
    eighths = max(round(share * width * _EIGHTHS), share > 0)
    whole, part = divmod(eighths, _EIGHTHS)
    return "█" * whole + (_LEFT[part] if part else "")


def bars(values: Sequence[float], *, width: int = WIDTH) -> list[str]:
    """A bar for each value; the largest takes the whole width."""
    most = max(values, default=0)
    return [bar(value / most, width=width) if most else "" for value in values]


def sparkline(values: Sequence[float], *, most: float | None = None) -> str:
    """
    A character for each value, whose height is its share of the largest.

    Args:
        values: 0 or more.
        most: The value of the full height; None: the largest value.
    """
    levels = _BELOW if shows_unicode() else _ASCII_BELOW
    top = most if most is not None else max(values, default=0)
    if top <= 0:
        return levels[0] * len(values)
    return "".join(levels[_level(value / top)] for value in values)


def _level(share: float) -> int:
    """0 only for zero, so that a single failure in a busy hour is visible."""
    return max(round(min(share, 1.0) * _EIGHTHS), 1) if share > 0 else 0
