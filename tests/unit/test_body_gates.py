"""Which photos are refused, and with which message."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from devkit.bodies import (
    FixedReader,
    blurred,
    from_side,
    photo_of,
    standing,
    with_landmark,
)
from wearon_cli.core.body.estimate import EstimateRequest, estimate
from wearon_cli.core.body.gates import (
    LEAST_TILT,
    WORDS,
    Refusal,
    check_front,
    check_side,
    stance_of,
    the_person,
)
from wearon_cli.core.body.light import MOST_SOFT, is_dark, softness
from wearon_cli.core.body.pose import Landmark, PoseReading
from wearon_cli.core.errors import PhotoRefused

DOCS = Path(__file__).parents[2] / "docs"
Change = Callable[[PoseReading], PoseReading]


def turned(degrees: float) -> Change:
    """Turned in space, as the network reports it; the outline is unchanged."""

    def change(person: PoseReading) -> PoseReading:
        angle = np.radians(degrees)
        world = person.world.copy()
        world[:, 0] = person.world[:, 0] * np.cos(angle) - person.world[:, 2] * np.sin(angle)
        world[:, 2] = person.world[:, 0] * np.sin(angle) + person.world[:, 2] * np.cos(angle)
        return replace(person, world=world)

    return change


def from_behind(person: PoseReading) -> PoseReading:
    """Left and right swapped."""
    landmarks, world = person.landmarks.copy(), person.world.copy()
    for array in (landmarks, world):
        array[:, 0] = (1 if array is landmarks else 0) - array[:, 0]
    return replace(person, landmarks=landmarks, world=world)


def seated(person: PoseReading) -> PoseReading:
    """The knees moved forward to the height of the hips."""
    world = person.world.copy()
    for side in ("LEFT", "RIGHT"):
        world[Landmark[f"{side}_KNEE"]] = world[Landmark[f"{side}_HIP"]] + (0, 0.05, -0.45)
    return replace(person, world=world)


def moved_mask(rows: int) -> Change:
    return lambda person: replace(person, mask=np.roll(person.mask, rows, axis=0))


def without_feet(person: PoseReading) -> PoseReading:
    """A mask that ends at the ankles."""
    mask = person.mask.copy()
    mask[900:] = 0
    return replace(person, mask=mask)


def leaning(person: PoseReading) -> PoseReading:
    landmarks = person.landmarks.copy()
    for side in ("LEFT", "RIGHT"):
        landmarks[Landmark[f"{side}_SHOULDER"], 0] += 0.12
    return replace(person, landmarks=landmarks)


def tiny(person: PoseReading) -> PoseReading:
    """The same photo with a quarter of the pixels each way."""
    return replace(person, mask=person.mask[::4, ::4].copy())


def low_hips(person: PoseReading) -> PoseReading:
    """Short legs and a large head: a camera that looks down."""
    landmarks = person.landmarks.copy()
    landmarks[[Landmark.LEFT_HIP, Landmark.RIGHT_HIP], 1] += 0.05
    landmarks[Landmark.NOSE, 1] += 0.04
    return replace(person, landmarks=landmarks)


def high_hips(person: PoseReading) -> PoseReading:
    """Long legs and a small head: a camera near the floor."""
    landmarks = person.landmarks.copy()
    landmarks[[Landmark.LEFT_HIP, Landmark.RIGHT_HIP], 1] -= 0.04
    landmarks[Landmark.NOSE, 1] -= 0.025
    return replace(person, landmarks=landmarks)


def seated_and_cut(person: PoseReading) -> PoseReading:
    """On a chair, the feet outside the photo: knees nearly as high as the hips."""
    cut = seated(person)
    landmarks = cut.landmarks.copy()
    for side in ("LEFT", "RIGHT"):
        landmarks[Landmark[f"{side}_KNEE"], 1] = landmarks[Landmark[f"{side}_HIP"], 1] + 0.05
        landmarks[Landmark[f"{side}_HEEL"], 1] = 1.05
    return replace(cut, landmarks=landmarks)


REFUSED: dict[str, tuple[Change, Refusal]] = {
    "turned by 25 degrees": (turned(25), Refusal.TURNED_AWAY),
    "turned by -25 degrees": (turned(-25), Refusal.TURNED_AWAY),
    "from behind": (from_behind, Refusal.BACK_VIEW),
    "seated": (seated, Refusal.NOT_STANDING),
    "leaning": (leaning, Refusal.NOT_STANDING),
    "the mask at the top border": (moved_mask(-60), Refusal.CUT_OFF),
    "the mask at the lower border": (moved_mask(60), Refusal.CUT_OFF),
    "a foot outside": (lambda p: with_landmark(p, "LEFT_HEEL", 0.6, 1.02), Refusal.CUT_OFF),
    "an ear outside": (lambda p: with_landmark(p, "LEFT_EAR", 0.6, -0.01), Refusal.CUT_OFF),
    "no feet on the mask": (without_feet, Refusal.CUT_OFF),
    "far away": (tiny, Refusal.TOO_SMALL),
    "the camera looks down": (low_hips, Refusal.CAMERA_TILTED),
    "the camera is near the floor": (high_hips, Refusal.CAMERA_TILTED),
    "seated, and cut off": (seated_and_cut, Refusal.NOT_STANDING),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_bad_stance_is_refused(case: str) -> None:
    change, refusal = REFUSED[case]
    with pytest.raises(PhotoRefused) as refused:
        check_front(change(standing()))
    assert refused.value.reason == refusal
    assert refused.value.hint == WORDS[refusal][1]


@pytest.mark.parametrize("refusal", [Refusal.CUT_OFF, Refusal.NOT_STANDING])
def test_a_seated_or_cut_off_person_gets_the_full_instruction(refusal: Refusal) -> None:
    assert "whole body must be in the picture, standing" in WORDS[refusal][1]


def test_feet_that_seem_nearer_are_not_enough_for_a_low_camera() -> None:
    """Seen: the position of the feet is a guess of the network, which refused good photos as
    tilted.
    """
    person = standing()
    world = person.world.copy()
    for side in ("LEFT", "RIGHT"):
        world[Landmark[f"{side}_ANKLE"], 2] -= 0.18
    stance = check_front(replace(person, world=world))
    assert stance.tilt < LEAST_TILT
    assert abs(stance.front_tilt) < 1


@pytest.mark.parametrize("degrees", [-10, -5, 0, 5, 10])
def test_a_slight_turn_is_measured(degrees: float) -> None:
    stance = check_front(turned(degrees)(standing()))
    assert stance.turn_deg == pytest.approx(degrees, abs=3)


def test_a_hand_outside_the_photo_does_not_matter() -> None:
    assert check_front(with_landmark(standing(), "LEFT_INDEX", 1.1, 0.5)).faces_camera


def test_a_photo_from_the_side_is_measured_as_such() -> None:
    assert abs(check_side(from_side()).turn_deg) == pytest.approx(90, abs=25)


def test_a_front_photo_is_not_accepted_as_a_side_photo() -> None:
    with pytest.raises(PhotoRefused) as refused:
        check_side(standing())
    assert refused.value.reason == Refusal.NOT_FROM_SIDE


def test_a_side_photo_is_not_accepted_as_a_front_photo() -> None:
    with pytest.raises(PhotoRefused) as refused:
        check_front(from_side())
    assert refused.value.reason == Refusal.TURNED_AWAY


def test_a_straight_body_has_straight_angles() -> None:
    stance = stance_of(standing())
    assert stance.knee_deg > 165
    assert stance.hip_deg > 165
    assert abs(stance.roll_deg) < 1


# --------------------------------------------------------------------------- people


def person_next_to(person: PoseReading, cols: int, share: float = 1.0) -> PoseReading:
    """A person like this, this many pixels to the right and `share` as tall."""
    mask = np.zeros_like(person.mask)
    small = person.mask[:: round(1 / share), :: round(1 / share)]
    mask[: len(small), cols : cols + small.shape[1]] = small[:, : mask.shape[1] - cols]
    landmarks = person.landmarks.copy()
    landmarks[:, 0] = landmarks[:, 0] * share + cols / mask.shape[1]
    landmarks[:, 1] *= share
    return replace(person, mask=mask, landmarks=landmarks)


def test_a_photo_without_people_is_refused() -> None:
    with pytest.raises(PhotoRefused, match="no person"):
        the_person([])


def test_a_body_seen_where_there_is_none_does_not_count() -> None:
    ghost = replace(standing(), mask=np.zeros((1000, 760), np.float32))
    with pytest.raises(PhotoRefused, match="no person"):
        the_person([ghost])


def test_two_people_are_refused() -> None:
    company = person_next_to(standing(trunk_cm=20), 350, 0.5)
    with pytest.raises(PhotoRefused) as refused:
        the_person([standing(trunk_cm=20), company])
    assert refused.value.reason == Refusal.SEVERAL_PEOPLE


def test_a_person_far_behind_does_not_count() -> None:
    passer_by = person_next_to(standing(), 600, 0.2)
    person = standing()
    assert the_person([passer_by, person]) is person


def test_one_person_found_twice_is_one_person() -> None:
    person = standing()
    assert the_person([person, replace(person)]) is person


# --------------------------------------------------------------------------- light


def refusal_of(photo: NDArray[np.uint8], *people: PoseReading) -> str:
    with pytest.raises(PhotoRefused) as refused:
        estimate(photo, FixedReader(people), EstimateRequest(height_cm=180))
    return refused.value.reason


def test_a_dark_photo_is_refused_before_people_are_looked_for() -> None:
    assert refusal_of(photo_of(standing(), brightness=0.1)) == Refusal.TOO_DARK


def test_a_dark_person_next_to_a_lamp_is_refused() -> None:
    photo = photo_of(standing(), brightness=0.1)
    photo[:300, :100] = 255
    assert not is_dark(photo)
    assert refusal_of(photo, standing()) == Refusal.TOO_DARK


@pytest.mark.parametrize("sigma_px", [4, 6, 9])
def test_a_blurred_photo_is_refused(sigma_px: float) -> None:
    assert refusal_of(blurred(photo_of(standing()), sigma_px), standing()) == Refusal.BLURRED


def test_motion_blur_in_one_direction_is_detected() -> None:
    photo = photo_of(standing()).astype(np.float32)
    moved = np.mean([np.roll(photo, shift, axis=1) for shift in range(17)], axis=0)
    assert softness(moved.astype(np.uint8), standing()) > MOST_SOFT


def test_a_sharp_photo_is_sharp_whatever_its_contrast() -> None:
    sharp = photo_of(standing())
    flat = (sharp * 0.1 + 150).astype(np.uint8)
    assert softness(sharp, standing()) < MOST_SOFT / 2
    assert softness(flat, standing()) < MOST_SOFT


# --------------------------------------------------------------------------- words


@pytest.mark.parametrize("refusal", Refusal)
def test_every_refusal_says_what_to_do(refusal: Refusal) -> None:
    detail, hint = WORDS[refusal]
    assert detail
    assert hint.endswith(".")


@pytest.mark.parametrize("page", ["http.md", "measuring.md"])
@pytest.mark.parametrize("refusal", Refusal)
def test_every_refusal_is_in_the_manual(page: str, refusal: Refusal) -> None:
    assert f"`{refusal.value}`" in (DOCS / page).read_text()
