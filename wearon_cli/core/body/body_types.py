"""
One rough word for a build, from the proportions of girths; none when it is unclear.

The words are part of the HTTP contract. The limits are quantiles of ANSUR II (6,068 men and women):
they say how a body compares with others, not what is healthy.
"""

from enum import StrEnum
from typing import Final

from wearon_cli.core.body.girths import Girths

#: Waist over stature: the largest fourth of people (0.567 of women, 0.579 of men) ...
BROAD_FROM: Final = 0.575
#: ... and the smallest fifth (0.475 of women, 0.480 of men).
SLIM_TO: Final = 0.478
#: Chest over waist: the largest fourth (1.150 of women, 1.177 of men).
ATHLETIC_FROM: Final = 1.165
#: A word must be likelier than all others together.
LEAST_ODDS: Final = 0.5


class BodyType(StrEnum):
    """The words of the HTTP contract."""

    BROAD = "broad"
    SLIM = "slim"
    ATHLETIC = "athletic"
    AVERAGE = "average"


def body_type(girths: Girths, *, height_cm: float) -> BodyType | None:
    """The most likely word, or None when none is likely enough."""
    chest, waist = girths.drawn("chest"), girths.drawn("waist")
    share = waist / height_cm
    broad, slim = share > BROAD_FROM, share < SLIM_TO
    between = ~broad & ~slim
    athletic = between & (chest / waist > ATHLETIC_FROM)
    odds = {
        BodyType.BROAD: broad.mean(),
        BodyType.SLIM: slim.mean(),
        BodyType.ATHLETIC: athletic.mean(),
        BodyType.AVERAGE: (between & ~athletic).mean(),
    }
    likeliest = max(odds, key=lambda each: float(odds[each]))
    return likeliest if odds[likeliest] > LEAST_ODDS else None
