"""
Turns measurements of pictures into findings. Pure; each threshold has its source.

"Right" and "wrong" are generated pictures of the labelled set of `python -m scripts.check_pictures`
(docs/checks.md). Every threshold leaves a margin to the right ones: where another picture is bought
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
from wearon_cli.core.checks.detail import head_likeness, worn_likeness
from wearon_cli.core.checks.findings import PictureFinding
from wearon_cli.core.checks.people import VISIBLE, Person, apart

#: Least spread of colours, 0..1. A flat colour has 0, or a level or two of 255 from JPEG.
LEAST_SPREAD: Final = 2.5 / 255
#: Boxes that overlap more than this show one person twice; a person less than this share of the
#: tallest's height is a passer-by.
SAME_PERSON: Final = 0.5
LEAST_COMPANY: Final = 0.4
#: How much larger or smaller a person may be than when the photo fills the generated picture's
#: frame, or fits into it. Right: 0.83 to 1.13; half as large: 0.5.
MOST_ZOOM: Final = 1.6
#: Of the picture's height or breadth: a joint this far inside of the photo and this far outside of
#: the generated picture was cut off.
CUT_MARGIN: Final = 0.03
#: Mean distance of head and limbs from where the photo has them, over the length of the trunk, and
#: mean difference of the head's colours, 0..1, its light taken out: each in these units, together
#: at most this many. Right: 0.1 to 1.3; other people: 0.3 to 2.5.
MOVED: Final = 0.5
HEAD_CHANGE: Final = 0.22
MOST_STRANGE: Final = 1.5
#: The same of who is seen from the front down to the knees, whose landmarks are exact; and how
#: unlike the head's structure is, 0..1, looked at from the doubt on. Right: 1.3 at most, with a new
#: hat 1.9; other people: half of them 2.0 and more.
MOVED_PLAINLY: Final = 0.25
HEAD_UNLIKE: Final = 0.67
DOUBT: Final = 0.5
MOST_UNLIKE: Final = 2.0
#: Mean difference of the colours of trunk and legs, the larger, below which nothing was changed,
#: 0..1, and the share of the garment up to which it may then have colours of what is worn: a white
#: shirt for a white shirt changes little. Right: 0.08 and more; untouched: 0.002 to 0.08, every
#: second one below 0.02.
UNCHANGED: Final = ((0.05, 0.25), (0.025, 0.75))
#: The same of head, hands and feet, the largest: a hat, a bag or shoes change one of them.
ENDS_UNCHANGED: Final = 0.12
#: Likeness of structure from which clothes of hardly changed colours are the old ones, whatever the
#: garment's colours. Right, in cloth of the colours that were worn, with the old folds: 0.88 at
#: most; untouched: 0.77 and more, half of them 0.92 and more.
SAME_CLOTHES: Final = 0.9
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
#: The same with left and right swapped.
_SWAPPED: Final = [_POSE[0], *(_POSE[n + 1 if n % 2 else n - 1] for n in range(1, len(_POSE)))]


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """A picture and the people found in it."""

    rgb: Rgb
    people: Sequence[Person]  # as found, largest first or not


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A generated picture compared with the photo, person by person; None where it is unknown."""

    zoom: float  # 1: as large as when the photo fits or fills the frame; 2: twice
    is_cut: bool
    moved: float | None  # over the length of the trunk
    turned_round: bool  # from the front in the photo, from behind as drawn
    head_change: float | None
    head_likeness: float | None  # of its structure, looked at in doubt, and from the front
    worn_change: float | None
    worn_likeness: float | None  # the same of trunk and legs, the smaller
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
    What is wrong with a generated picture.

    Args:
        photo: The person's photo; someone was found in it.
        drawn: The picture made of it; not blank.
        garment: The garment's picture; None: it was in the photo itself.
    """
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


def glimpsed_findings(photo: Looked, drawn: Looked) -> tuple[PictureFinding, ...]:
    """What is wrong with a picture in which a person was found only by looking very leniently."""
    before = different_people(photo.people)
    if len(before) != 1:
        return ()
    return judged(compared(photo.rgb, before[0], drawn.rgb, drawn.people[0], None))


def judged(seen: Comparison) -> tuple[PictureFinding, ...]:
    """The findings of a comparison of one person with one person."""
    if seen.is_cut or not _keeps_size(seen.zoom):
        return (PictureFinding.FRAMED_OTHERWISE,)
    if _is_strange(seen):
        return (PictureFinding.OTHER_PERSON,)
    change, like = seen.worn_change, seen.garment_likeness
    if change is None or like is None or seen.end_change > ENDS_UNCHANGED:
        return ()
    unchanged = any(change < most and like < share for most, share in UNCHANGED)
    unchanged = unchanged or (seen.worn_likeness or 0.0) > SAME_CLOTHES
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
    head_change, worn_change = _mean(heads - light), max(worn_changes, default=None)
    moved = _moved(before, after)
    doubt = (moved or 0.0) / MOVED_PLAINLY + (head_change or 0.0) / HEAD_CHANGE
    is_doubtful = before.is_plain and after.is_plain and doubt > DOUBT
    may_be_old = worn_change is not None and worn_change < UNCHANGED[0][0]
    pair = (photo, before, drawn, after)
    return Comparison(
        zoom=_zoom(before, after),
        is_cut=is_cut,
        moved=moved,
        turned_round=before.is_plain and after.is_from_behind,
        head_change=head_change,
        head_likeness=head_likeness(*pair) if is_doubtful else None,
        worn_change=worn_change,
        worn_likeness=worn_likeness(*pair) if may_be_old else None,
        end_change=max([head_change or 0.0, *end_changes]),
        garment_likeness=share_like(garment, worn, within=LIKE_WITHIN)
        if garment is not None and may_be_old
        else None,
    )


def _is_strange(seen: Comparison) -> bool:
    """Another pose or another head."""
    moved, head = seen.moved or 0.0, (seen.head_change or 0.0) / HEAD_CHANGE
    if seen.turned_round or moved / MOVED + head > MOST_STRANGE:
        return True
    if seen.head_likeness is None:
        return False
    return moved / MOVED_PLAINLY + head + (1 - seen.head_likeness) / HEAD_UNLIKE > MOST_UNLIKE


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


def _keeps_size(zoom: float) -> bool:
    return 1 / MOST_ZOOM <= zoom <= MOST_ZOOM


def _is_cut(before: Person, after: Person) -> bool:
    """Whether a joint is outside the generated picture although it was well inside the photo."""
    was_inside = (_inside(before, CUT_MARGIN) & (before.visibility > VISIBLE))[_CUT]
    return bool((was_inside & ~_inside(after, -CUT_MARGIN)[_CUT]).any())


def _inside(person: Person, margin: float) -> NDArray[np.bool_]:
    """(33,): whether joints are in the picture, this share of its sides from the border."""
    share = person.points / (person.width_px, person.height_px)
    return np.asarray(((share > margin) & (share < 1 - margin)).all(axis=1))


def _moved(before: Person, after: Person) -> float | None:
    """
    Mean distance of joints visible in both, after the trunks are aligned. Left and right may
    have changed places: of people seen from behind they are a guess.
    """
    seen = np.minimum(before.visibility, after.visibility)[_POSE] > VISIBLE
    seen &= _inside(before, 0.0)[_POSE] & _inside(after, 0.0)[_POSE]
    if not seen.any():
        return None
    was, now = ((each.points - each.trunk.mean(axis=0)) / each.trunk_px for each in (before, after))
    distances = (np.hypot(*(now[pose] - was[_POSE])[seen].T) for pose in (_POSE, _SWAPPED))
    return min(float(each.mean()) for each in distances)
