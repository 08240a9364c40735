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
    distance,
    end_colours,
    head_colours,
    leg_colours,
    relit,
    share_like,
    spread,
    trunk_colours,
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
#: unlike the head's structure is, looked at from the doubt on. The head's colours count once at
#: most: a new hat changes them. Right: 1.3 at most; other people: 1.2 to 2.9, two of five 2.0 and
#: more.
MOVED_PLAINLY: Final = 0.25
HEAD_UNLIKE: Final = 0.25
DOUBT: Final = 0.5
MOST_UNLIKE: Final = 2.0
#: Mean difference of the colours of trunk and legs, the larger, the head's light taken out, below
#: which nothing was changed, 0..1, and the share of the garment up to which it may have colours of
#: what is worn: a white shirt for a white shirt changes little. Right: 0.08 and more; untouched:
#: 0.002 to 0.08, every second one below 0.02.
HARDLY_CHANGED: Final = ((0.05, 0.25), (0.025, 0.75))
#: Distance within which a colour of the garment is one of what is worn.
LIKE_WITHIN: Final = 0.12
#: Below this the cells of trunk and legs are compared one by one.
MAYBE_UNCHANGED: Final = 0.12
#: How much these changed, 0..1, but for a few, other light and contrast taken out: they are
#: untouched below `UNCHANGED`, and below this share of how far the garment's colours are from the
#: worn ones (with `NEAR` added, since they are not exact), if the trunk's structure is like the old
#: one. Right: 0.27 of that distance and more; untouched: half of them 0.23 and less. Structure of
#: untouched trunks: most 0.7 and more; of cloth in the worn colours: 0.3 to 0.8.
UNCHANGED: Final = 0.05
UNCHANGED_SHARE: Final = 0.22
NEAR: Final = 0.02
LEAST_LIKE: Final = 0.6
#: The same of head, hands and feet, the largest, light taken out: a hat, a bag or shoes change one.
ENDS_UNCHANGED: Final = 0.12
#: Likeness of structure from which clothes are the old ones, whatever the garment's colours, if
#: the trunk's blocks are alike too, and the legs' cells changed at most so much: plain trousers for
#: plain ones have no structure. Right: the worn cloth mirrored, 0.90 and 0.52; shorts in the colour
#: of the old ones, 0.95, 0.90 and 0.027.
SAME_CLOTHES: Final = 0.88
SAME_FOLDS: Final = 0.7
SAME_LEGS: Final = 0.02
#: Cells of trunk and of legs that may have changed more: edges that are not exactly in place.
TRUNK_EDGES: Final = 4
LEG_EDGES: Final = 1
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
    worn_change: float | None  # of trunk and legs, the larger
    trunk_change: float | None  # of its cells but for a few, other contrast taken out too
    leg_change: float | None  # the same; 0.0: the legs are not seen
    worn_likeness: float | None  # the structure's, of trunk and legs, the smaller
    fold_likeness: float | None  # of a block of the trunk's; a quarter of them are less alike
    end_change: float
    garment_likeness: float | None  # 0: none of the garment is like the worn clothes
    garment_distance: float | None  # of the garment's colours from those of trunk or legs


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
    return (PictureFinding.NOT_APPLIED,) if _is_untouched(seen) else ()


def compared(
    photo: Rgb, before: Person, drawn: Rgb, after: Person, garment: Rgb | None
) -> Comparison:
    """Compare a drawn person with the person of the photo."""
    is_cut = _is_cut(before, after)
    if not (before.has_hips and after.has_hips):
        before, after = before.with_nominal_hips(), after.with_nominal_hips()
    both = head_colours(photo, before), head_colours(drawn, after)
    heads = difference(*both)
    light = _light(heads)
    ends = end_colours(photo, before)
    end_changes = _means(ends, end_colours(drawn, after), light)
    head_change = _mean(heads - light)
    is_aside = before.is_from_the_side or after.is_from_the_side
    worn = worn_colours(photo, before), worn_colours(drawn, after)
    worn_change = None if is_aside else max(_means(*worn, light), default=None)
    moved = _moved(before, after)
    doubt = (moved or 0.0) / MOVED_PLAINLY + (head_change or 0.0) / HEAD_CHANGE
    is_doubtful = before.is_plain and after.is_plain and doubt > DOUBT
    pair = (photo, before, drawn, after)
    trunk_change = leg_change = None
    if garment is not None and worn_change is not None and worn_change < MAYBE_UNCHANGED:
        trunk_change, leg_change = _cell_changes(*pair, [both, worn])
    may_be_old = (
        max(trunk_change or 0.0, leg_change or 0.0) < UNCHANGED and trunk_change is not None
    )
    structure, folds = worn_likeness(*pair) if may_be_old else (None, None)
    return Comparison(
        zoom=_zoom(before, after),
        is_cut=is_cut,
        moved=moved,
        turned_round=before.is_plain and after.is_from_behind,
        head_change=head_change,
        head_likeness=head_likeness(*pair) if is_doubtful else None,
        worn_change=worn_change,
        trunk_change=trunk_change,
        leg_change=leg_change,
        worn_likeness=structure,
        fold_likeness=folds,
        end_change=max([head_change or 0.0, *end_changes]),
        garment_likeness=share_like(garment, worn[0], within=LIKE_WITHIN)
        if garment is not None and worn_change is not None
        else None,
        garment_distance=_garment_distance(garment, photo, before)
        if garment is not None and may_be_old
        else None,
    )


def _is_untouched(seen: Comparison) -> bool:
    """Whether the clothes are the old ones, although they should be others."""
    change, like = seen.worn_change, seen.garment_likeness
    if change is None or like is None or seen.end_change > ENDS_UNCHANGED:
        return False
    if any(change < most and like < share for most, share in HARDLY_CHANGED):
        return True
    trunk, legs, far = seen.trunk_change, seen.leg_change, seen.garment_distance
    if trunk is None or legs is None or far is None or max(trunk, legs) >= UNCHANGED:
        return False
    folds = seen.fold_likeness or 0.0
    if (seen.worn_likeness or 0.0) > SAME_CLOTHES and folds > SAME_FOLDS and legs < SAME_LEGS:
        return True
    return max(trunk, legs) < UNCHANGED_SHARE * (far + NEAR) and folds > LEAST_LIKE


def _is_strange(seen: Comparison) -> bool:
    """Another pose or another head."""
    moved, head = seen.moved or 0.0, (seen.head_change or 0.0) / HEAD_CHANGE
    if seen.turned_round or moved / MOVED + head > MOST_STRANGE:
        return True
    if seen.head_likeness is None:
        return False
    unlike = (1 - seen.head_likeness) / HEAD_UNLIKE
    return moved / MOVED_PLAINLY + min(head, 1.0) + unlike > MOST_UNLIKE


def _cell_changes(
    photo: Rgb,
    before: Person,
    drawn: Rgb,
    after: Person,
    others: Sequence[tuple[Colours, Colours]],
) -> tuple[float | None, float]:
    """How much the cells of trunk and legs changed, but for a few; `others` show the light too."""
    was = [trunk_colours(photo, before), leg_colours(photo, before)]
    now = [trunk_colours(drawn, after), leg_colours(drawn, after)]
    cells = (
        np.concatenate([part.reshape(-1, 3) for part in (*(pair[n] for pair in others), trunk)])
        for n, trunk in enumerate((was[0], now[0]))
    )
    gain, offset = relit(*cells)
    trunk, legs = (
        np.sort(np.sqrt((difference(gain * one + offset, other) ** 2).mean(axis=-1)))
        for one, other in zip(was, now, strict=True)
    )
    return (
        float(trunk[-1 - TRUNK_EDGES]) if len(trunk) > 2 * TRUNK_EDGES else None,
        float(legs[-1 - LEG_EDGES]) if len(legs) > 8 * LEG_EDGES else 0.0,
    )


def _garment_distance(garment: Rgb, photo: Rgb, person: Person) -> float | None:
    """`distance` from the colours of the trunk or of the legs, the smaller."""
    parts = (trunk_colours(photo, person), leg_colours(photo, person))
    each = (distance(garment, part.reshape(-1, 3)) for part in parts)
    return min((far for far in each if far is not None), default=None)


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
