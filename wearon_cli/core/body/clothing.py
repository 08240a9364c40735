"""
How loose the clothes look.

Clothes add the same thickness on every side of the trunk and the legs, and do not move the joints.
So a body whose parts, thin and thick, are all equally too broad for the distances of its joints is
more likely loosely dressed than built that way. `girths.json` has under `clothing` how much bodies
differ in that direction without clothes; `scripts/fit_body.py` writes it.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final

#: How much 1 cm of cloth standing off the body adds to what is read from its outline, in cm.
#: Two sides of a breadth or depth make 2.
GROWTH: Final[Mapping[str, float]] = {
    "trunk_": 2.0,
    "waist_": 2.0,
    "hip_broadest": 2.0,
    "hip_deepest": 2.0,
    "thigh_": 2.0,
    "calf_": 2.0,
    "depth_": 2.0,
    "area_per_stature": 1.95,
}
#: Not breadths, although their names begin like some.
_SPANS: Final = frozenset({"trunk_length"})
#: Outlines are scaled to people of this stature before they are compared.
REFERENCE_CM: Final = 170.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Looseness:
    """A linear estimate of how far clothes stand off."""

    constant: float
    per_unit: Mapping[str, float]  # cm of cloth per cm of feature at `REFERENCE_CM`
    suspect_cm: float  # bodies in close-fitting clothes hardly ever look looser

    def at_cm(self, features: Mapping[str, float]) -> float:
        """How far the clothes seem to stand off; scatters around 0 for close-fitting ones."""
        scale = REFERENCE_CM / features["stature"]
        return self.constant + scale * sum(c * features[n] for n, c in self.per_unit.items())


def growth(name: str) -> float:
    """cm that a feature grows per cm of cloth."""
    if name in _SPANS:
        return 0.0
    return next((g for prefix, g in GROWTH.items() if name.startswith(prefix)), 0.0)


def without_loose_cloth(features: Mapping[str, float], loose_cm: float) -> dict[str, float]:
    """Features as they would be without cloth that stands off by `loose_cm`."""
    return {name: value - loose_cm * growth(name) for name, value in features.items()}


@cache
def looseness() -> Looseness:
    """The fitted estimate."""
    document = json.loads(files(__package__).joinpath("girths.json").read_bytes())
    return Looseness(**document["clothing"])
