"""Previews on a drawn person: cloth is where it belongs, and nothing else changes."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

import wearon_cli
from devkit.previews import OLD_TOP, PAPER, SKIN, Point, drawn_garment, drawn_person
from wearon_cli.core.body.pose import Landmark, PoseReading
from wearon_cli.core.errors import NotDressable
from wearon_cli.core.preview.card import mark
from wearon_cli.core.preview.cloth import find_cloth
from wearon_cli.core.preview.composing import compose, require_good
from wearon_cli.core.preview.dressing import dress
from wearon_cli.core.preview.garment import Garment, read_garment
from wearon_cli.core.preview.rasters import Rgb

ASSETS = Path(wearon_cli.__file__).parent / "assets"
RED, BLUE, GREEN = (200, 40, 40), (40, 60, 200), (30, 150, 60)
#: Rows and columns of the drawn person.
CHEST = (slice(170, 260), slice(130, 170))
FACE = (slice(30, 95), slice(120, 180))
LEGS = (slice(420, 600), slice(100, 200))
RIGHT_UPPER_ARM = (slice(160, 180), slice(88, 100))


def colour_of(rgb: Rgb) -> tuple[float, ...]:
    return tuple(np.median(rgb.reshape(-1, 3), axis=0))


def laid(photo: Rgb) -> Garment:
    """The parts of a garment that lies in a photo."""
    return read_garment(photo, find_cloth(photo))


def is_near(rgb: Rgb, wanted: tuple[int, int, int], tolerance: int = 30) -> bool:
    return max(abs(a - b) for a, b in zip(colour_of(rgb), wanted, strict=True)) <= tolerance


@given(colour=st.tuples(*[st.integers(20, 200)] * 3))
@settings(max_examples=15)
def test_the_garments_colour_is_on_chest_and_arms(colour: tuple[int, int, int]) -> None:
    person, pose = drawn_person()
    dressed = dress(person, pose, laid(drawn_garment(colour)))
    assert is_near(dressed.rgb[CHEST], colour)
    assert is_near(dressed.rgb[RIGHT_UPPER_ARM], colour, 45)


def test_the_size_and_the_inputs_are_unchanged() -> None:
    person, pose = drawn_person()
    before = person.copy()
    dressed = dress(person, pose, laid(drawn_garment(RED)))
    assert dressed.rgb.shape == person.shape
    assert dressed.rgb.dtype == np.uint8
    assert (person == before).all()


def test_only_what_is_reported_changes_and_face_legs_and_backdrop_do_not() -> None:
    person, pose = drawn_person()
    dressed = dress(person, pose, laid(drawn_garment(RED)))
    assert (dressed.rgb[~dressed.changed] == person[~dressed.changed]).all()
    for place in (FACE, LEGS, (slice(None), slice(0, 20)), (slice(None), slice(280, 300))):
        assert not dressed.changed[place].any()
    # A top over two thirds of a torso at least, and not over everything.
    assert 0.03 < dressed.changed.mean() < 0.25


def test_nothing_is_mirrored() -> None:
    person, pose = drawn_person()
    garment = drawn_garment(RED, BLUE)
    garment[340:400][(garment[340:400] != PAPER).any(2)] = GREEN
    dressed = dress(person, pose, laid(garment)).rgb
    assert is_near(dressed[170:240, 122:140], RED)
    assert is_near(dressed[170:240, 160:178], BLUE)
    assert is_near(dressed[290:302, 130:170], GREEN, 40)


def test_bare_hands_in_front_of_the_body_stay_in_front() -> None:
    person, pose = drawn_person(right_hand=[(70, 210), (130, 250), (160, 245)])
    dressed = dress(person, pose, laid(drawn_garment(RED))).rgb
    assert is_near(dressed[244:254, 128:150], SKIN)
    assert is_near(dressed[180:215, 130:170], RED)


def test_arms_stay_bare_without_sleeves() -> None:
    person, pose = drawn_person()
    dressed = dress(person, pose, laid(drawn_garment(RED, sleeves=False)))
    assert not dressed.changed[190:220, 60:80].any()
    assert is_near(dressed.rgb[CHEST], RED)


def test_skin_shows_where_the_new_neckline_is_lower_than_the_old_one() -> None:
    person, pose = drawn_person()
    garment = drawn_garment(RED)
    picture = Image.fromarray(garment)
    picture.paste(PAPER, (215, 40, 285, 130))
    dressed = dress(person, pose, laid(np.asarray(picture))).rgb
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
    with pytest.raises(NotDressable):
        laid(garment)


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
    with pytest.raises(NotDressable, match="upper body"):
        dress(person, odd, laid(drawn_garment(RED)))


@pytest.mark.parametrize(
    "floor",
    [
        pytest.param(((170, 130, 90), (190, 150, 105)), id="boards"),
        pytest.param(((60, 100, 70), (120, 60, 90)), id="a flowery sheet"),
    ],
)
def test_a_garment_on_a_floor_with_a_pattern_is_cut_out_along_its_edge(
    floor: tuple[tuple[int, int, int], ...],
) -> None:
    garment = drawn_garment((225, 225, 230))
    cloth = (garment != PAPER).any(2)
    boards = (np.arange(500)[:, None] // 23 + np.arange(500)[None] // 61) % 2
    photo = np.where(cloth[..., None], garment, np.array(floor, np.uint8)[boards])
    noise = np.random.default_rng(3).normal(0, 6, photo.shape)
    photo = np.clip(photo + noise, 0, 255).astype(np.uint8)
    found = find_cloth(photo)
    assert (found & cloth).sum() / (found | cloth).sum() > 0.95


def test_one_sleeve_that_is_folded_away_mirrors_the_other() -> None:
    photo = drawn_garment(RED)
    photo[:, 351:] = PAPER
    assert laid(photo).sleeve is not None
    person, pose = drawn_person()
    dressed = dress(person, pose, laid(photo))
    assert is_near(dressed.rgb[RIGHT_UPPER_ARM], RED, 45)
    assert is_near(dressed.rgb[160:180, 200:212], RED, 45)


@pytest.mark.parametrize(
    ("garment", "why"),
    [
        pytest.param("trousers", "only tops", id="trousers"),
        pytest.param("dress", "only tops", id="a dress"),
        pytest.param("cut off", "cut off", id="a top that is not all in its picture"),
    ],
)
def test_an_incomplete_top_is_shown_next_to_the_person_with_the_reason(
    garment: str, why: str
) -> None:
    picture = Image.new("RGB", (500, 500), PAPER)
    draw = ImageDraw.Draw(picture)
    if garment == "trousers":
        draw.polygon([(180, 40), (320, 40), (340, 460), (260, 460), (250, 160)], fill=BLUE)
        draw.polygon([(180, 40), (320, 40), (250, 160), (240, 460), (160, 460)], fill=BLUE)
    elif garment == "dress":
        draw.polygon([(200, 30), (220, 70), (280, 70), (300, 30), (320, 470), (180, 470)], fill=RED)
    else:
        picture.paste(Image.fromarray(drawn_garment(RED)).crop((0, 120, 500, 500)), (0, 0))
    shown = np.asarray(picture)
    with pytest.raises(NotDressable, match=why):
        laid(shown)
    person, pose = drawn_person()
    card = np.asarray(compose(person, pose, shown, None))
    assert card.shape[1] > 1.4 * person.shape[1]
    # The person is on it as given: this row of pixels is found again somewhere.
    assert any((card[y, x : x + 200] == person[90, 50:250]).all() for y, x in _starts(card, person))


def _starts(card: Rgb, person: Rgb) -> list[tuple[int, int]]:
    """Places of the card where the person's picture can have row 90, column 50."""
    gap = (card.shape[0] - person.shape[0]) // 2
    return [(y, x) for y in range(90, 90 + 2 * gap) for x in range(50, 50 + 2 * gap)]


def test_a_top_is_taken_from_its_wearer_without_face_and_skin() -> None:
    person, pose = drawn_person()
    other, wearer = drawn_person(own_top=RED, skin=(120, 80, 60))
    picture = np.asarray(compose(person, pose, other, wearer))
    assert picture.shape == person.shape
    assert is_near(picture[CHEST], RED)
    assert (picture[FACE] == person[FACE]).all()
    # A shaded seam may have any colour; a patch of skin may not.
    assert (np.abs(picture.astype(int) - (120, 80, 60)).max(2) < 12).sum() < 10


def test_a_card_for_a_worn_top_leaves_the_wearers_face_out() -> None:
    person, pose = drawn_person()
    other, wearer = drawn_person(own_top=RED, skin=(120, 80, 60))
    hidden = replace(pose, landmarks=np.zeros_like(pose.landmarks))
    card = np.asarray(compose(person, hidden, other, wearer))
    assert card.shape[1] > 1.4 * person.shape[1]
    red = np.abs(card.astype(int) - RED).max(2) < 30
    other_skin = np.abs(card.astype(int) - (120, 80, 60)).max(2) < 8
    assert red.sum() > 1000
    assert not other_skin[: np.flatnonzero(red.any(1))[0] - 12].any()


def _narrowed(person: Rgb, pose: PoseReading, cols: int) -> tuple[Rgb, PoseReading]:
    size = cols, len(person)
    photo, mask = (Image.fromarray(each).resize(size) for each in (person, pose.mask))
    return np.asarray(photo), replace(pose, mask=np.asarray(mask))


def test_a_garment_that_comes_out_stretched_is_shown_on_a_card() -> None:
    person, pose = _narrowed(*drawn_person(), 130)
    with pytest.raises(NotDressable, match="stretched"):
        require_good(dress(person, pose, laid(drawn_garment(RED))), pose)
    card = np.asarray(compose(person, pose, drawn_garment(RED), None))
    assert card.shape[1] > 1.4 * person.shape[1]


@pytest.mark.parametrize("missing", ["a band", "a hole"])
def test_cloth_in_pieces_or_with_holes_is_rejected(missing: str) -> None:
    person, pose = drawn_person()
    dressed = dress(person, pose, laid(drawn_garment(RED)))
    cover = dressed.cover.copy()
    rows, cols = np.flatnonzero(dressed.body.any(1)), np.flatnonzero(dressed.body.any(0))
    row, col = int(rows.mean()), int(cols.mean())
    cover[
        row - 20 : row + 20, slice(None) if missing == "a band" else slice(col - 25, col + 25)
    ] = 0
    with pytest.raises(NotDressable, match="in pieces"):
        require_good(replace(dressed, cover=cover), pose)


def test_a_top_that_leaves_the_persons_own_in_sight_does_not_pass() -> None:
    person, pose = drawn_person()
    dressed = dress(person, pose, laid(drawn_garment(RED)))
    cover, own_rows = dressed.cover.copy(), np.flatnonzero(dressed.own_top.any(1))
    cover[int(np.quantile(own_rows, 0.7)) :] = 0
    with pytest.raises(NotDressable, match="own top would show"):
        require_good(replace(dressed, cover=cover), pose)


def test_a_head_that_is_bent_over_the_chest_is_not_covered() -> None:
    person, pose = drawn_person()
    landmarks = pose.landmarks.copy()
    landmarks[: Landmark.MOUTH_RIGHT + 1, :2] = landmarks[Landmark.NOSE, :2]
    landmarks[[Landmark.MOUTH_LEFT, Landmark.MOUTH_RIGHT], 1] = 170 / len(person)
    bent = replace(pose, landmarks=landmarks)
    with pytest.raises(NotDressable, match="cover the face"):
        require_good(dress(person, bent, laid(drawn_garment(RED))), bent)
    card = np.asarray(compose(person, bent, drawn_garment(RED), None))
    assert card.shape[1] > 1.4 * person.shape[1]


def test_cloth_over_a_forearm_does_not_pass() -> None:
    person, pose = drawn_person()
    dressed = dress(person, pose, laid(drawn_garment(RED)))
    cover = dressed.cover.copy()
    cover[dressed.limbs] = 1
    with pytest.raises(NotDressable, match="cover an arm"):
        require_good(replace(dressed, cover=cover), pose)


def test_a_person_seen_from_behind_is_shown_beside_the_garment() -> None:
    person, pose = drawn_person()
    landmarks = pose.landmarks.copy()
    left, right = Landmark.LEFT_SHOULDER, Landmark.RIGHT_SHOULDER
    landmarks[[left, right]] = landmarks[[right, left]]
    with pytest.raises(NotDressable, match="from behind"):
        dress(person, replace(pose, landmarks=landmarks), laid(drawn_garment(RED)))


def test_a_thing_without_an_edge_is_no_garment() -> None:
    off = np.hypot(*(np.mgrid[:240, :240] - 120))
    shade = np.clip(40 + 2.2 * off, 0, 255).astype(np.uint8)
    with pytest.raises(NotDressable, match="separated"):
        find_cloth(np.repeat(shade[..., None], 3, axis=2))


def test_parts_at_unlike_scales_do_not_pass() -> None:
    person, pose = drawn_person()
    dressed = dress(person, pose, laid(drawn_garment(RED)))
    body, left, right = dressed.scales
    with pytest.raises(NotDressable, match="stretched"):
        require_good(replace(dressed, scales=(body, 4 * left, right)), pose)


def test_a_sleeve_at_another_scale_than_the_body_is_shown_on_a_card() -> None:
    with Image.open(ASSETS / "garment_sweater.jpg") as picture:
        sweater = laid(np.asarray(picture.convert("RGB")))
    person, pose = drawn_person()
    require_good(dress(person, pose, sweater), pose)
    # An arm that points at the camera leaves no room for a long sleeve.
    person, pose = drawn_person(right_hand=[(106, 143), (104, 146), (102, 149)])
    with pytest.raises(NotDressable, match="stretched"):
        require_good(dress(person, pose, sweater), pose)


@pytest.mark.parametrize(
    "right_hand",
    [
        pytest.param(None, id="arms at the sides"),
        pytest.param([(70, 210), (130, 250), (160, 245)], id="a hand before the body"),
    ],
)
def test_arms_in_front_of_a_garment_do_not_tear_it(right_hand: list[Point] | None) -> None:
    person, pose = drawn_person(right_hand=right_hand)
    require_good(dress(person, pose, laid(drawn_garment(RED))), pose)


@given(width=st.integers(64, 1400), height=st.integers(64, 1400))
@settings(max_examples=25)
def test_the_mark_is_readable_in_its_corner_and_nowhere_else(width: int, height: int) -> None:
    picture = Image.new("RGB", (width, height), (120, 130, 140))
    mark(picture)
    changed = (np.asarray(picture) != (120, 130, 140)).any(2)
    rows, cols = np.nonzero(changed)
    assert changed.sum() > 200
    # A small picture is narrower than the word is long.
    assert rows.min() > height // 2
    assert cols.min() > min(width // 2, width - 100)
