"""
What a caller states about a body and the garment; nothing here is measured.

In its own module, so that a command's options can use it without loading the measuring code.
"""

from enum import StrEnum
from typing import Final

#: Limits of the HTTP contract.
HEIGHT_RANGE_CM: Final = (100.0, 250.0)
WEIGHT_RANGE_KG: Final = (25.0, 300.0)


class Sex(StrEnum):
    """The sexes of the surveys behind the regressions."""

    FEMALE = "female"
    MALE = "male"


class GarmentKind(StrEnum):
    """The kind of garment; it decides which girths count."""

    TOP = "top"  # chest
    BOTTOM = "bottom"  # waist and hip
    DRESS = "dress"  # chest, waist and hip
