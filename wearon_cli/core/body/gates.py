"""
Which photos are refused, each with an instruction.

A measurement from a photo that shows the body turned, bent, tilted or in part is worse than none,
so such photos are refused. Each threshold is between the values of 100 good renders of known bodies
and those of bad photos of the same bodies; both ranges are given with it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NoReturn

import numpy as np
from numpy.typing import NDArray

from wearon_cli.core.body.pose import Landmark, PoseReading
from wearon_cli.core.body.silhouette import extent_px
from wearon_cli.core.errors import PhotoRefused

Array = NDArray[np.float64]


class Refusal(StrEnum):
    """Why a photo is not measured. Public: callers branch on it."""

    NO_PERSON = "no_person"
    SEVERAL_PEOPLE = "several_people"
    CUT_OFF = "cut_off"
    BACK_VIEW = "back_view"
    TURNED_AWAY = "turned_away"
    NOT_STANDING = "not_standing"
    CAMERA_TILTED = "camera_tilted"
    TOO_SMALL = "too_small"
    TOO_DARK = "too_dark"
    BLURRED = "blurred"
    NOT_FROM_SIDE = "not_from_side"
    UNCLEAR = "unclear"


#: What happened, and what the shopper should do.
WORDS: Final = {
    Refusal.NO_PERSON: (
        "no person was found in the photo",
        "Your whole body must be in the picture, standing, and almost fill its height.",
    ),
    Refusal.SEVERAL_PEOPLE: (
        "there is more than one person in the photo",
        "Take the photo alone, without a mirror or a poster behind you.",
    ),
    Refusal.CUT_OFF: (
        "part of the body is outside the photo",
        "Your whole body must be in the picture, standing. Step back until your head and your feet "
        "are both in it.",
    ),
    Refusal.BACK_VIEW: ("the person is seen from behind", "Turn around and face the camera."),
    Refusal.TURNED_AWAY: (
        "the body is turned away from the camera",
        "Face the camera, with your shoulders and hips square to it.",
    ),
    Refusal.NOT_STANDING: (
        "the person is sitting, bent or lying, or the photo is tilted",
        "Your whole body must be in the picture, standing. Stand up straight, with your arms "
        "slightly away from your body, and keep the photo upright.",
    ),
    Refusal.CAMERA_TILTED: (
        "the camera looks up or down at the body",
        "Hold the camera upright at waist height, two to four steps away from you.",
    ),
    Refusal.TOO_SMALL: (
        "the person is too small in the photo",
        "Move closer, until your body almost fills the height of the photo.",
    ),
    Refusal.TOO_DARK: (
        "the photo is too dark",
        "Turn on a light, or take the photo facing a window.",
    ),
    Refusal.BLURRED: (
        "the photo is blurred",
        "Hold the camera still, wipe its lens, and stand still.",
    ),
    Refusal.NOT_FROM_SIDE: (
        "the second photo does not show the body from the side",
        "Turn sideways, so that the camera sees you in profile.",
    ),
    Refusal.UNCLEAR: (
        "the outline of the body could not be found",
        "Stand in front of a plain wall, with your arms slightly away from your body.",
    ),
}


def refuse(refusal: Refusal) -> NoReturn:
    """Raise `PhotoRefused` with the texts of a refusal."""
    detail, hint = WORDS[refusal]
    raise PhotoRefused(detail, hint=hint, reason=refusal.value)


#: Joints that must be on the person's own mask; otherwise the network saw a body where there is
#: none.
_MAIN_JOINTS: Final = [
    *(Landmark.NOSE, Landmark.LEFT_SHOULDER, Landmark.RIGHT_SHOULDER),
    *(Landmark.LEFT_HIP, Landmark.RIGHT_HIP, Landmark.LEFT_KNEE, Landmark.RIGHT_KNEE),
    *(Landmark.LEFT_ANKLE, Landmark.RIGHT_ANKLE),
]
#: Share of `_MAIN_JOINTS` on the mask. Good renders: all of them.
LEAST_JOINTS_ON_MASK: Final = 0.75
#: A second person counts from this height on, relative to the first; a smaller one is far behind.
COMPANY_HEIGHT: Final = 0.4
#: Masks that overlap more than this show one person twice.
SAME_PERSON_OVERLAP: Final = 0.5
#: Least height of the person in pixels of the photo. Below it, a pixel is more than half a cm.
LEAST_HEIGHT_PX: Final = 320
#: Ankle height and nose below crown, as shares of the person's height: 0.077 and 0.065 at least on
#: good renders. Less means that the mask ends before the soles or the crown.
LEAST_FOOT: Final = 0.055
LEAST_HEAD: Final = 0.045
#: Mean turn of shoulders and hips. Good renders (turned up to 10): 12.7 at most; by 25: from 20.
MOST_TURN_DEG: Final = 16.5
#: From the side the same mean turn is 90; renders from the side read 70 to 85.
LEAST_SIDE_TURN_DEG: Final = 60.0
#: Thigh over shank as seen: good renders 0.90 to 1.20, seated 0.20 to 0.37.
LEAST_THIGH_TO_SHANK: Final = 0.7
#: Inner angle of the knees in space: good renders 147 to 164, seated 101 to 108.
LEAST_KNEE_DEG: Final = 128.0
#: Inner angle between trunk and thighs: good renders 156 to 177, seated 105 to 112.
LEAST_HIP_DEG: Final = 135.0
#: Tilt of the trunk in the picture: good renders 4.1 at most.
MOST_ROLL_DEG: Final = 10.0
#: Beyond this the person is lying or the photo is rotated: then the height in pixels is
#: meaningless.
LYING_DEG: Final = 45.0
#: Camera tilt score (mean of `_tilt_signs`): good renders -1.75 to 1.75, wide-angle at eye level
#: 5.4 and more, which measures chests 4 to 17 cm too large. Halfway between.
MOST_TILT: Final = 3.6
#: A low camera is reported only if two scores agree, since it matters less (chests 4 cm too small)
#: and good photos come close: the tilt, good renders -1.75 and more, low -2.3 and less; and head
#: and hips alone, without the network's guess of where the feet stand: good -2.29 and more, low
#: -2.92 and less. Their spreads are 0.8 and 0.9: two good photos in a thousand exceed both.
LEAST_TILT: Final = -2.0
LEAST_FRONT_TILT: Final = -2.6
#: Mean and standard deviation over good renders of the three signs of tilt.
_TILT_SIGNS: Final = ((0.0875, 0.0077), (0.5195, 0.0106), (0.1066, 0.0281))


@dataclass(frozen=True, slots=True, kw_only=True)
class Stance:
    """How a person stands before the camera, from the landmarks."""

    faces_camera: bool
    turn_deg: float  # 0: square to the camera; the sign gives the side
    thigh_to_shank: float
    knee_deg: float
    hip_deg: float
    roll_deg: float
    tilt: float  # 0: as photographed at waist height; see `_tilt_signs`
    front_tilt: float  # the same, from head and hips alone
    foot: float  # ankle above the sole, share of the person's height
    head: float  # nose below the crown, share of the person's height
    height_px: float


def the_person(readings: Sequence[PoseReading]) -> PoseReading:
    """
    The one person in a photo.

    Raises:
        PhotoRefused: There is no person, or several.
    """
    people = [r for r in readings if _joints_on_mask(r) >= LEAST_JOINTS_ON_MASK]
    if not people:
        refuse(Refusal.NO_PERSON)
    main, *others = sorted(people, key=_height_px, reverse=True)
    for other in others:
        same = _overlap(main.mask, other.mask) > SAME_PERSON_OVERLAP
        if not same and _height_px(other) >= COMPANY_HEIGHT * _height_px(main):
            refuse(Refusal.SEVERAL_PEOPLE)
    return main


def check_front(reading: PoseReading) -> Stance:
    """
    Check that a person is whole, upright and faces a level camera.

    Raises:
        PhotoRefused: With a code and an instruction.
    """
    stance = stance_of(reading)
    _refuse_if(
        (Refusal.NOT_STANDING, lambda: _sits_in_view(reading, stance)),
        (Refusal.CUT_OFF, lambda: _touches_border(reading)),
        (Refusal.NOT_STANDING, lambda: abs(stance.roll_deg) > LYING_DEG),
        (Refusal.TOO_SMALL, lambda: stance.height_px < LEAST_HEIGHT_PX),
        (Refusal.BACK_VIEW, lambda: not stance.faces_camera and abs(stance.turn_deg) > 90),
        (Refusal.TURNED_AWAY, lambda: abs(stance.turn_deg) > MOST_TURN_DEG),
        (Refusal.NOT_STANDING, lambda: not _stands(stance)),
        (Refusal.CAMERA_TILTED, lambda: _is_tilted(stance)),
        (Refusal.CUT_OFF, lambda: stance.foot < LEAST_FOOT or stance.head < LEAST_HEAD),
    )
    return stance


def check_side(reading: PoseReading) -> Stance:
    """
    Check that a person is whole, upright and seen from the side.

    Raises:
        PhotoRefused: With a code and an instruction.
    """
    stance = stance_of(reading)
    off_side_deg = abs(abs(stance.turn_deg) - 90)
    _refuse_if(
        (Refusal.CUT_OFF, lambda: _touches_border(reading)),
        (Refusal.TOO_SMALL, lambda: stance.height_px < LEAST_HEIGHT_PX),
        (Refusal.NOT_FROM_SIDE, lambda: off_side_deg > 90 - LEAST_SIDE_TURN_DEG),
        (Refusal.NOT_STANDING, lambda: not _stands(stance)),
    )
    return stance


def stance_of(reading: PoseReading) -> Stance:
    """Read a person's stance. Angles come from the landmarks in space, shares from the picture."""
    joints, world = reading.pixels().astype(np.float64), reading.world.astype(np.float64)
    top, bottom = extent_px(reading.mask) or (0.0, 1.0)
    height = bottom - top
    shoulders, hips = _mid(joints, "SHOULDER"), _mid(joints, "HIP")
    knees, ankles = _mid(joints, "KNEE"), _mid(joints, "ANKLE")
    head = (joints[Landmark.NOSE, 1] - top) / height
    signs = _tilt_signs(head, (bottom - hips[1]) / height, _ankles_behind_m(world))
    return Stance(
        faces_camera=bool(joints[Landmark.LEFT_SHOULDER, 0] > joints[Landmark.RIGHT_SHOULDER, 0]),
        turn_deg=_turn_deg(world),
        thigh_to_shank=float((knees[1] - hips[1]) / max(ankles[1] - knees[1], 1.0)),
        knee_deg=_both(world, "HIP", "KNEE", "ANKLE"),
        hip_deg=_both(world, "SHOULDER", "HIP", "KNEE"),
        roll_deg=float(np.degrees(np.arctan2(hips[0] - shoulders[0], hips[1] - shoulders[1]))),
        tilt=float(signs.mean()),
        front_tilt=float(signs[:2].mean()),
        foot=float((bottom - ankles[1]) / height),
        head=float(head),
        height_px=float(height),
    )


def _tilt_signs(head: float, hip_height: float, ankles_behind_m: float) -> Array:
    """
    How far the perspective is from that of a level camera at waist height, judged by three signs.

    A close, high camera shows a large head, short legs and the feet further away; a low one the
    opposite. In standard deviations of good renders; positive when high.
    """
    signs = (head, hip_height, ankles_behind_m)
    z = [(value - mean) / sd for value, (mean, sd) in zip(signs, _TILT_SIGNS, strict=True)]
    return np.array([z[0], -z[1], z[2]])


def _refuse_if(*gates: tuple[Refusal, Callable[[], bool]]) -> None:
    for refusal, is_so in gates:
        if is_so():
            refuse(refusal)


def _is_tilted(stance: Stance) -> bool:
    is_low = stance.tilt < LEAST_TILT and stance.front_tilt < LEAST_FRONT_TILT
    return is_low or stance.tilt > MOST_TILT


def _sits_in_view(reading: PoseReading, stance: Stance) -> bool:
    """Sitting or bent, and visible down to the knees: stepping back would not help, even if the
    feet are cut off.
    """
    knees = reading.landmarks[[Landmark.LEFT_KNEE, Landmark.RIGHT_KNEE], :2]
    in_view = bool(((knees >= 0) & (knees <= 1)).all())
    return in_view and stance.thigh_to_shank < LEAST_THIGH_TO_SHANK and not _stands(stance)


def _stands(stance: Stance) -> bool:
    return (
        stance.thigh_to_shank >= LEAST_THIGH_TO_SHANK
        and stance.knee_deg >= LEAST_KNEE_DEG
        and stance.hip_deg >= LEAST_HIP_DEG
        and abs(stance.roll_deg) <= MOST_ROLL_DEG
    )


def _touches_border(reading: PoseReading) -> bool:
    """Head or feet are outside the photo; hands may be."""
    mask = reading.mask
    if (mask[0] > 0.5).any() or (mask[-1] > 0.5).any():
        return True
    points = np.delete(reading.landmarks[:, :2], range(Landmark.LEFT_WRIST, Landmark.LEFT_HIP), 0)
    return bool((points < 0).any() or (points > 1).any())


def _pair(points: Array, name: str) -> tuple[Array, Array]:
    return points[Landmark[f"LEFT_{name}"]], points[Landmark[f"RIGHT_{name}"]]


def _mid(points: Array, name: str) -> Array:
    left, right = _pair(points, name)
    return np.asarray((left + right) / 2)


def _turn_deg(world: Array) -> float:
    """Mean turn of the lines through shoulders and hips, seen from above."""
    across = sum(
        (left - right) / np.hypot(*(left - right)[[0, 2]])
        for left, right in (_pair(world, "SHOULDER"), _pair(world, "HIP"))
    )
    return float(np.degrees(np.arctan2(across[2], across[0])))


def _both(world: Array, first: str, middle: str, last: str) -> float:
    """Mean inner angle at a joint of both sides, in degrees."""
    angles = []
    for side in (0, 1):
        a, b, c = (_pair(world, name)[side] for name in (first, middle, last))
        cosine = (a - b) @ (c - b) / (np.linalg.norm(a - b) * np.linalg.norm(c - b) + 1e-9)
        angles.append(np.degrees(np.arccos(np.clip(cosine, -1, 1))))
    return float(np.mean(angles))


def _ankles_behind_m(world: Array) -> float:
    return float(_mid(world, "ANKLE")[2] - _mid(world, "HIP")[2])


def _height_px(reading: PoseReading) -> float:
    top, bottom = extent_px(reading.mask) or (0.0, 0.0)
    return bottom - top


def _joints_on_mask(reading: PoseReading) -> float:
    """Share of the main joints that are on the mask, of those inside the photo."""
    rows, cols = reading.mask.shape
    points = reading.pixels()[_MAIN_JOINTS].astype(np.intp)
    inside = (points >= 0).all(axis=1) & (points < (cols, rows)).all(axis=1)
    if inside.sum() < 3:
        return 0.0
    return float((reading.mask[points[inside, 1], points[inside, 0]] > 0.5).mean())


def _overlap(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """Intersection of two masks over the smaller one."""
    a, b = one > 0.5, other > 0.5
    return float((a & b).sum()) / max(1.0, min(float(a.sum()), float(b.sum())))
