"""Previews on a drawn person: cloth arrives where it belongs, and nothing else changes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from devkit.previews import OLD_TOP, PAPER, SKIN, drawn_garment, drawn_person
from wearon_cli.core.body.pose import Landmark, PoseReading
from wearon_cli.core.errors import RequestRejected
from wearon_cli.core.preview.cloth import Rgb, find_cloth
from wearon_cli.core.preview.dressing import dress
from wearon_cli.core.preview.garment import read_garment
from wearon_cli.core.preview.mark import mark

RED, BLUE, GREEN = (200, 40, 40), (40, 60, 200), (30, 150, 60)
#: Rows and columns of the drawn person.
CHEST = (slice(170, 260), slice(130, 170))
FACE = (slice(30, 95), slice(120, 180))
LEGS = (slice(420, 600), slice(100, 200))
RIGHT_UPPER_ARM = (slice(160, 180), slice(88, 100))


def colour_of(rgb: Rgb) -> tuple[float, ...]:
    return tuple(np.median(rgb.reshape(-1, 3), axis=0))


def is_near(rgb: Rgb, wanted: tuple[int, int, int], tolerance: int = 30) -> bool:
    return max(abs(a - b) for a, b in zip(colour_of(rgb), wanted, strict=True)) <= tolerance


@given(colour=st.tuples(*[st.integers(20, 200)] * 3))
@settings(max_examples=15)
def test_the_garments_colour_arrives_on_chest_and_arms(colour: tuple[int, int, int]) -> None:
    person, pose = drawn_person()
    dressed = dress(person, pose, read_garment(drawn_garment(colour)))
    assert is_near(dressed.rgb[CHEST], colour)
    assert is_near(dressed.rgb[RIGHT_UPPER_ARM], colour, 45)


def test_the_size_and_the_given_arrays_stay() -> None:
    person, pose = drawn_person()
    before = person.copy()
    dressed = dress(person, pose, read_garment(drawn_garment(RED)))
    assert dressed.rgb.shape == person.shape
    assert dressed.rgb.dtype == np.uint8
    assert (person == before).all()


def test_only_what_is_reported_changes_and_face_legs_and_backdrop_do_not() -> None:
    person, pose = drawn_person()
    dressed = dress(person, pose, read_garment(drawn_garment(RED)))
    assert (dressed.rgb[~dressed.changed] == person[~dressed.changed]).all()
    for place in (FACE, LEGS, (slice(None), slice(0, 20)), (slice(None), slice(280, 300))):
        assert not dressed.changed[place].any()
    # A top over two thirds of a torso at least, and not over everything.
    assert 0.03 < dressed.changed.mean() < 0.25


def test_left_stays_left_and_up_stays_up() -> None:
    person, pose = drawn_person()
    garment = drawn_garment(RED, BLUE)
    garment[400:450][(garment[400:450] != PAPER).any(2)] = GREEN
    dressed = dress(person, pose, read_garment(garment)).rgb
    assert is_near(dressed[170:240, 122:140], RED)
    assert is_near(dressed[170:240, 160:178], BLUE)
    assert is_near(dressed[326:338, 130:170], GREEN, 40)


def test_bare_hands_in_front_of_the_body_stay_in_front() -> None:
    person, pose = drawn_person(right_hand=[(70, 210), (130, 250), (160, 245)])
    dressed = dress(person, pose, read_garment(drawn_garment(RED))).rgb
    assert is_near(dressed[244:254, 128:150], SKIN)
    assert is_near(dressed[180:215, 130:170], RED)


def test_arms_stay_bare_without_sleeves() -> None:
    person, pose = drawn_person()
    dressed = dress(person, pose, read_garment(drawn_garment(RED, sleeves=False)))
    assert not dressed.changed[190:220, 60:80].any()
    assert is_near(dressed.rgb[CHEST], RED)


def test_skin_shows_where_the_new_neckline_is_lower_than_the_old_one() -> None:
    person, pose = drawn_person()
    garment = drawn_garment(RED)
    picture = Image.fromarray(garment)
    picture.paste(PAPER, (215, 40, 285, 130))
    dressed = dress(person, pose, read_garment(np.asarray(picture))).rgb
    low_neck = dressed[130:138, 146:154]
    assert is_near(low_neck, SKIN, 40)
    assert not is_near(low_neck, OLD_TOP, 40)


def test_a_pale_garment_on_white_paper_is_found() -> None:
    cloth = find_cloth(drawn_garment((240, 240, 236)))
    assert cloth[250, 250]
    assert not cloth[250, 50]


def test_a_print_in_the_papers_colour_is_cloth() -> None:
    garment = drawn_garment(RED)
    garment[200:260, 220:280] = PAPER
    assert find_cloth(garment)[230, 250]


@pytest.mark.parametrize(
    "garment",
    [
        pytest.param(np.full((200, 200, 3), 255, np.uint8), id="blank paper"),
        pytest.param(
            np.random.default_rng(1).integers(0, 255, (200, 200, 3), np.uint8), id="noise"
        ),
        pytest.param(np.zeros((3, 3, 3), np.uint8), id="almost nothing"),
    ],
)
def test_a_picture_without_a_garment_is_refused(garment: Rgb) -> None:
    with pytest.raises(RequestRejected, match="garment"):
        read_garment(garment)


@pytest.mark.parametrize(
    ("landmark", "place"),
    [
        pytest.param(Landmark.LEFT_SHOULDER, (1.2, 0.2), id="a shoulder outside the photo"),
        pytest.param(Landmark.LEFT_HIP, (0.6, 0.1), id="hips above the shoulders"),
    ],
)
def test_a_person_whose_torso_cannot_be_seen_is_refused(
    landmark: Landmark, place: tuple[float, float]
) -> None:
    person, pose = drawn_person()
    landmarks = pose.landmarks.copy()
    landmarks[landmark, :2] = place
    odd = PoseReading(
        landmarks=landmarks, visibility=pose.visibility, world=pose.world, mask=pose.mask
    )
    with pytest.raises(RequestRejected, match="upper body"):
        dress(person, odd, read_garment(drawn_garment(RED)))


@given(width=st.integers(64, 1400), height=st.integers(64, 1400))
@settings(max_examples=25)
def test_the_mark_is_readable_in_its_corner_and_nowhere_else(width: int, height: int) -> None:
    picture = Image.new("RGB", (width, height), (120, 130, 140))
    corner = mark(picture)
    changed = (np.asarray(picture) != (120, 130, 140)).any(2)
    assert corner.shape == changed.shape
    assert not changed[~corner].any()
    assert changed.sum() > 200
    assert corner.mean() < 0.5
