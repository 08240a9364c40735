"""
Turns measurements of pictures into findings. Pure; each threshold has its source.

"Right" and "wrong" are drawn pictures of the labelled set of `python -m scripts.check_pictures`
(docs/checks.md). Every threshold leaves a margin to the right ones: where a picture is drawn again
or its credit refunded, a false alarm is more expensive than a miss.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from wearon_cli.core.body.pose import Landmark
from wearon_cli.core.checks.colours import (
    Colours,
    Rgb,
    difference,
    end_colours,
    head_colours,
    share_like,
    spread,
    worn_colours,
)
from wearon_cli.core.checks.findings import PictureFinding
from wearon_cli.core.checks.people import VISIBLE, Person, apart

#: Least spread of colours, 0..1. A flat colour has 0, or a level or two of 255 from JPEG.
LEAST_SPREAD: Final = 2.5 / 255
#: Boxes that overlap more than this show one person twice; a person less than this share of the
#: tallest's height is a passer-by.
SAME_PERSON: Final = 0.5
LEAST_COMPANY: Final = 0.4
#: How much larger or smaller a person may be drawn than when the photo fills the drawn picture's
#: frame, or fits into it. Right: 0.83 to 1.13; half as large: 0.5.
MOST_ZOOM: Final = 1.6
#: Of the picture's height or breadth: a joint this far inside of the photo and this far outside of
#: the drawn picture was cut off.
CUT_MARGIN: Final = 0.03
#: Mean distance of head and limbs from where the photo has them, over the length of the trunk, and
#: mean difference of the head's colours, 0..1, its light taken out: each in these units, together
#: at most so many. Right: 0.1 to 1.3; other people: 0.6 to 2.5.
MOVED: Final = 0.5
HEAD_CHANGE: Final = 0.22
MOST_STRANGE: Final = 1.5
#: Mean difference of the colours of trunk and legs, the larger, below which nothing was changed,
#: 0..1, and the share of the garment up to which it may then have colours of what is worn: a white
#: shirt for a white shirt changes little. Right: 0.08 and more; untouched: 0.002 to 0.08, every
#: second one below 0.02.
UNCHANGED: Final = ((0.05, 0.25), (0.025, 0.75))
#: The same of head, hands and feet, the largest: a hat, a bag or shoes change one of them.
ENDS_UNCHANGED: Final = 0.12
#: Distance within which a colour of the garment is one of what is worn.
LIKE_WITHIN: Final = 0.12
#: Light that is taken out of the differences is at most this.
MOST_LIGHT: Final = 0.12

#: What must not be cut off, and what shows the pose.
_CUT: Final = [
    *(Landmark.NOSE, Landmark.LEFT_SHOULDER, Landmark.RIGHT_SHOULDER),
    *(Landmark.LEFT_HIP, Landmark.RIGHT_HIP, Landmark.LEFT_KNEE, Landmark.RIGHT_KNEE),
    *(Landmark.LEFT_ANKLE, Landmark.RIGHT_ANKLE),
]
_POSE: Final = [
    *(Landmark.NOSE, Landmark.LEFT_ELBOW, Landmark.RIGHT_ELBOW),
    *(Landmark.LEFT_WRIST, Landmark.RIGHT_WRIST, Landmark.LEFT_KNEE, Landmark.RIGHT_KNEE),
    *(Landmark.LEFT_ANKLE, Landmark.RIGHT_ANKLE),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """A picture and the people found in it."""

    rgb: Rgb
    people: Sequence[Person]  # as found, largest first or not


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A drawn picture compared with the photo, person by person; None where it is unknown."""

    zoom: float  # 1: as large as when the photo fits or fills the frame; 2: twice
    is_cut: bool
    moved: float | None  # over the length of the trunk
    head_change: float | None
    worn_change: float | None
    end_change: float
    garment_likeness: float | None  # 0: none of the garment is like the worn clothes


def different_people(people: Sequence[Person]) -> list[Person]:
    """The people who count, the tallest first."""
    return apart(people, same=SAME_PERSON, least_height=LEAST_COMPANY)


def is_blank(rgb: Rgb) -> bool:
    """Whether a picture is one flat colour."""
    return spread(rgb) < LEAST_SPREAD


def result_findings(
    photo: Looked, drawn: Looked, garment: Rgb | None
) -> tuple[PictureFinding, ...]:
    """
    What is wrong with a drawn picture.

    Args:
        photo: The person's photo; someone was found in it.
        drawn: The picture made of it.
        garment: The garment's picture; None: it was in the photo itself.
    """
    if is_blank(drawn.rgb):
        return (PictureFinding.RESULT_BLANK,)
    before, after = different_people(photo.people), different_people(drawn.people)
    if not after:
        return (PictureFinding.PERSON_GONE,)
    if len(after) > len(before):
        return (PictureFinding.MORE_PEOPLE,)
    if len(after) < len(before):
        return (PictureFinding.FEWER_PEOPLE,)
    if len(before) > 1:
        return ()  # it is unknown whose clothes were to change
    return judged(compared(photo.rgb, before[0], drawn.rgb, after[0], garment))


def judged(seen: Comparison) -> tuple[PictureFinding, ...]:
    """The findings of a comparison of one person with one person."""
    if seen.is_cut or not 1 / MOST_ZOOM <= seen.zoom <= MOST_ZOOM:
        return (PictureFinding.FRAMED_OTHERWISE,)
    if (seen.moved or 0.0) / MOVED + (seen.head_change or 0.0) / HEAD_CHANGE > MOST_STRANGE:
        return (PictureFinding.OTHER_PERSON,)
    change, like = seen.worn_change, seen.garment_likeness
    if change is None or like is None or seen.end_change > ENDS_UNCHANGED:
        return ()
    unchanged = any(change < most and like < share for most, share in UNCHANGED)
    return (PictureFinding.NOT_APPLIED,) if unchanged else ()


def compared(
    photo: Rgb, before: Person, drawn: Rgb, after: Person, garment: Rgb | None
) -> Comparison:
    """Compare a drawn person with the person of the photo."""
    is_cut = _is_cut(before, after)
    if not (before.has_hips and after.has_hips):
        before, after = before.with_nominal_hips(), after.with_nominal_hips()
    heads = difference(head_colours(photo, before), head_colours(drawn, after))
    light = _light(heads)
    worn, ends = worn_colours(photo, before), end_colours(photo, before)
    worn_changes = _means(worn, worn_colours(drawn, after), light)
    end_changes = _means(ends, end_colours(drawn, after), light)
    head_change = _mean(heads - light)
    return Comparison(
        zoom=_zoom(before, after),
        is_cut=is_cut,
        moved=_moved(before, after),
        head_change=head_change,
        worn_change=max(worn_changes, default=None),
        end_change=max([head_change or 0.0, *end_changes]),
        garment_likeness=None if garment is None else share_like(garment, worn, within=LIKE_WITHIN),
    )


def _light(heads: NDArray[np.float64]) -> NDArray[np.float64]:
    """How much lighter or darker a head is than before, for each colour; limited to what light can
    change.
    """
    if not len(heads):
        return np.zeros(3)
    return np.asarray(np.clip(np.median(heads, axis=0), -MOST_LIGHT, MOST_LIGHT))


def _mean(differences: NDArray[np.float64]) -> float | None:
    """Mean distance; None without a quarter of the smallest part's cells."""
    if len(differences) < 6:
        return None
    return float(np.sqrt((differences**2).mean(axis=-1)).mean())


def _means(before: Colours, after: Colours, light: NDArray[np.float64]) -> list[float]:
    """`_mean` of each part that can be seen in both pictures."""
    means = (_mean(difference(*parts) - light) for parts in zip(before, after, strict=True))
    return [mean for mean in means if mean is not None]


def _zoom(before: Person, after: Person) -> float:
    """How much larger or smaller a person was drawn than fitting the photo into the frame
    explains.
    """
    scales = (after.width_px / before.width_px, after.height_px / before.height_px)
    zoom = after.trunk_px / before.trunk_px
    return zoom / min(max(zoom, min(scales)), max(scales))


def _is_cut(before: Person, after: Person) -> bool:
    """Whether a joint is outside the drawn picture although it was well inside the photo."""
    was_inside = (_inside(before, CUT_MARGIN) & (before.visibility > VISIBLE))[_CUT]
    return bool((was_inside & ~_inside(after, -CUT_MARGIN)[_CUT]).any())


def _inside(person: Person, margin: float) -> NDArray[np.bool_]:
    """(33,): whether joints are in the picture, this share of its sides from the border."""
    share = person.points / (person.width_px, person.height_px)
    return np.asarray(((share > margin) & (share < 1 - margin)).all(axis=1))


def _moved(before: Person, after: Person) -> float | None:
    """Mean distance of joints visible in both, after the trunks are aligned."""
    seen = np.minimum(before.visibility, after.visibility)[_POSE] > VISIBLE
    seen &= _inside(before, 0.0)[_POSE] & _inside(after, 0.0)[_POSE]
    if not seen.any():
        return None
    places = [
        (each.points[_POSE] - each.trunk.mean(axis=0)) / each.trunk_px for each in (before, after)
    ]
    return float(np.hypot(*(places[1] - places[0])[seen].T).mean())
