"""The rules of checks: findings from measurements."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wearon_cli.core.body.pose import Landmark
from wearon_cli.core.checks.colours import (
    distance,
    inner,
    leg_colours,
    relit,
    spread,
    trunk_colours,
    trunk_corners,
    worn_colours,
)
from wearon_cli.core.checks.detail import likeness, structure
from wearon_cli.core.checks.findings import CERTAIN, WORDS, PictureFinding, Report, refusal
from wearon_cli.core.checks.people import Person, person_of
from wearon_cli.core.checks.rules import (
    Comparison,
    Looked,
    compared,
    different_people,
    glimpsed_findings,
    is_blank,
    judged,
    result_findings,
)
from wearon_cli.core.jobs.checking import better

WIDE, HIGH = 192, 256
RED, BLUE = (200, 40, 40), (40, 60, 200)


def person(*, left: float = 96.0, tall: float = 200.0, top: float = 30.0) -> Person:
    """A person who faces the camera: eight heads high, with joints roughly in place."""
    points = np.full((33, 2), (left, top + 0.5 * tall))
    at = {"NOSE": (0, 0.08), "EAR": (0.03, 0.07), "SHOULDER": (0.1, 0.18), "ELBOW": (0.14, 0.35)}
    at |= {"WRIST": (0.15, 0.5), "HIP": (0.06, 0.5), "KNEE": (0.06, 0.73), "ANKLE": (0.06, 0.95)}
    for name, (aside, down) in at.items():
        for side, sign in (("LEFT_", 1), ("RIGHT_", -1)):
            landmark = Landmark.NOSE if name == "NOSE" else Landmark[side + name]
            points[landmark] = (left + sign * aside * tall, top + down * tall)
    return Person(points=points, visibility=np.ones(33), width_px=WIDE, height_px=HIGH)


def photo(cloth: tuple[int, int, int], *, light: float = 1.0) -> np.ndarray:
    """That person in this cloth from the shoulders to the ankles, in front of a grey wall."""
    rgb = np.full((HIGH, WIDE, 3), 150.0)
    rgb[30:66, 80:112] = (220, 180, 150)
    rgb[66:222, 70:122] = cloth
    return np.clip(rgb * light, 0, 255).astype(np.uint8)


GARMENT = np.full((96, 96, 3), BLUE, np.uint8)
SAME = Comparison(
    zoom=1.0,
    is_cut=False,
    moved=0.05,
    turned_round=False,
    head_change=0.02,
    head_likeness=None,
    worn_change=0.3,
    trunk_change=0.3,
    leg_change=0.0,
    worn_likeness=None,
    fold_likeness=0.8,
    end_change=0.02,
    garment_likeness=0.0,
    garment_distance=0.3,
)


@pytest.mark.parametrize(
    ("change", "findings"),
    [
        pytest.param({}, (), id="right"),
        pytest.param({"zoom": 2.0}, (PictureFinding.FRAMED_OTHERWISE,), id="twice as large"),
        pytest.param({"zoom": 0.5}, (PictureFinding.FRAMED_OTHERWISE,), id="half as large"),
        pytest.param({"zoom": 1.4}, (), id="somewhat nearer"),
        pytest.param({"is_cut": True}, (PictureFinding.FRAMED_OTHERWISE,), id="feet cut off"),
        pytest.param({"moved": 0.9}, (PictureFinding.OTHER_PERSON,), id="another pose"),
        pytest.param(
            {"head_change": 0.4, "head_likeness": 0.6},
            (PictureFinding.OTHER_PERSON,),
            id="another head",
        ),
        pytest.param(
            {"moved": 0.12, "head_change": 0.14, "head_likeness": 0.7},
            (PictureFinding.OTHER_PERSON,),
            id="a like pose and like colours, another head",
        ),
        pytest.param({"head_change": 0.3, "head_likeness": 0.82}, (), id="a new hat"),
        pytest.param(
            {"moved": 0.12, "head_change": 0.05, "head_likeness": 0.75},
            (),
            id="drawn again, roughly alike",
        ),
        pytest.param({"moved": 0.3, "head_change": 0.15}, (), id="hardly the same, in part"),
        pytest.param({"turned_round": True}, (PictureFinding.OTHER_PERSON,), id="from behind"),
        pytest.param(
            {"trunk_change": 0.015, "worn_likeness": 0.9, "garment_distance": 0.01},
            (PictureFinding.NOT_APPLIED,),
            id="untouched, and the garment has its colours",
        ),
        pytest.param(
            {"trunk_change": 0.015, "worn_likeness": 0.8, "garment_distance": 0.01},
            (),
            id="another white shirt for a white one",
        ),
        pytest.param(
            {
                "trunk_change": 0.01,
                "leg_change": 0.027,
                "worn_likeness": 0.95,
                "garment_distance": 0.01,
            },
            (),
            id="plain grey shorts for grey ones",
        ),
        pytest.param({"worn_change": 0.01}, (PictureFinding.NOT_APPLIED,), id="untouched"),
        pytest.param(
            {"trunk_change": 0.045}, (PictureFinding.NOT_APPLIED,), id="untouched, drawn again"
        ),
        pytest.param({"trunk_change": 0.045, "fold_likeness": 0.4}, (), id="other folds"),
        pytest.param({"trunk_change": 0.01, "fold_likeness": None}, (), id="no folds to compare"),
        pytest.param(
            {"worn_change": 0.01, "trunk_change": 0.01, "end_change": 0.3},
            (),
            id="other shoes, or a hat",
        ),
        pytest.param({"trunk_change": 0.03, "garment_distance": 0.07}, (), id="nearly its colours"),
        pytest.param({"trunk_change": 0.06, "garment_distance": 0.5}, (), id="changed a little"),
        pytest.param({"worn_change": 0.01, "garment_likeness": 0.9}, (), id="white for white"),
        pytest.param({"worn_change": 0.04, "garment_likeness": 0.5}, (), id="half alike"),
        pytest.param({"worn_change": None}, (), id="trunk out of sight"),
        pytest.param({"garment_likeness": None, "worn_change": 0.01}, (), id="no garment picture"),
    ],
)
def test_a_comparison_gets_its_findings(
    change: dict[str, float | None], findings: tuple[PictureFinding, ...]
) -> None:
    assert judged(replace(SAME, **change)) == findings  # type: ignore[arg-type]


def test_new_clothes_are_seen_whatever_the_light() -> None:
    before, worn = Looked(rgb=photo(RED), people=[person()]), photo(RED, light=1.05)
    new = Looked(rgb=photo(BLUE, light=1.05), people=[person()])
    assert result_findings(before, new, GARMENT) == ()
    untouched = Looked(rgb=worn, people=[person()])
    assert result_findings(before, untouched, np.full((96, 96, 3), RED, np.uint8)) == ()


@pytest.mark.parametrize(
    ("people", "finding"),
    [
        ([], PictureFinding.PERSON_GONE),
        ([person(left=50, tall=150), person(left=140, tall=150)], PictureFinding.MORE_PEOPLE),
    ],
)
def test_people_are_counted(people: list[Person], finding: PictureFinding) -> None:
    before = Looked(rgb=photo(RED), people=[person()])
    assert result_findings(before, Looked(rgb=photo(BLUE), people=people), GARMENT) == (finding,)


def test_duplicates_and_passers_by_do_not_count() -> None:
    found = [person(), person(left=98.0), person(left=180.0, tall=40.0)]
    assert len(different_people(found)) == 1


def test_a_flat_colour_is_blank_with_grain_too_and_a_pale_garment_is_not() -> None:
    flat = np.full((300, 200, 3), 240, np.uint8)
    grain = np.random.default_rng(1).integers(-2, 3, flat.shape)
    assert is_blank(flat)
    assert is_blank((flat + grain).astype(np.uint8))
    pale = flat.copy()
    pale[80:220, 50:150] = 232  # white on white
    assert not is_blank(pale)
    assert 0 < spread(pale) < 0.05


@given(scale=st.floats(1.0, 1.33), shift=st.floats(-5, 5))
def test_fitting_the_photo_into_the_frame_is_not_a_zoom(scale: float, shift: float) -> None:
    """Of 192x256 into 192x341 (2:3 to 9:16): from fitting the width to filling the height."""
    before = person()
    after = replace(
        before, points=before.points * scale + (shift, shift), width_px=192, height_px=341
    )
    blank = np.zeros((341, 192, 3), np.uint8)
    assert compared(photo(RED), before, blank, after, None).zoom == pytest.approx(1.0, abs=0.02)


def test_a_half_body_is_compared_by_its_shoulders() -> None:
    """Hips outside the picture are guesses: here twice as far away in one of the two."""
    near, far = person(top=150), person(top=150)
    far.points[[Landmark.LEFT_HIP, Landmark.RIGHT_HIP], 1] += 100
    assert not near.has_hips or not far.has_hips
    seen = compared(photo(RED), near, photo(BLUE), far, GARMENT)
    assert seen.zoom == pytest.approx(1.0)


def checked(rgb: np.ndarray) -> np.ndarray:
    """With a pattern of its own on the cloth."""
    pattern = np.random.default_rng(3).integers(-40, 40, (39, 13)).repeat(4, axis=0)
    cloth = rgb.astype(int)
    cloth[66:222, 70:122] += pattern.repeat(4, axis=1)[..., None]
    made: np.ndarray = np.clip(cloth, 0, 255).astype(np.uint8)
    return made


def test_untouched_clothes_are_seen_when_the_garment_has_their_colours() -> None:
    before = Looked(rgb=checked(photo(RED)), people=[person()])
    untouched = Looked(rgb=checked(photo(RED, light=1.04)), people=[person()])
    alike = np.full((96, 96, 3), RED, np.uint8)
    assert result_findings(before, untouched, alike) == (PictureFinding.NOT_APPLIED,)
    plain = Looked(rgb=photo(RED), people=[person()])
    assert result_findings(before, plain, alike) == ()


def test_structure_is_found_again_a_few_pixels_off_and_in_other_light() -> None:
    rgb = checked(photo(RED))
    part = trunk_corners(person())
    was = structure(rgb, person().trunk_px)
    moved = structure(np.roll((rgb * 0.8).astype(np.uint8), (2, -2), (0, 1)), person().trunk_px)
    found = likeness(was, part, moved, part, person().trunk_px)
    assert found is not None
    assert min(found.whole, found.worst, found.blocks) > 0.9
    turned = structure(rgb[::-1].copy(), person().trunk_px)
    other = likeness(was, part, turned, part, person().trunk_px)
    assert other is not None
    assert max(other.whole, other.worst) < 0.6
    plain = structure(photo(RED), person().trunk_px)
    assert likeness(plain, inner(part), was, inner(part), person().trunk_px) is None


def test_left_and_right_that_changed_places_are_no_other_pose() -> None:
    """Of people seen from behind the network guesses which side is which."""
    before, after = person(), person()
    for part in ("ELBOW", "WRIST", "KNEE", "ANKLE"):
        pair = [Landmark[f"LEFT_{part}"], Landmark[f"RIGHT_{part}"]]
        after.points[pair] = before.points[pair[::-1]]
    seen = compared(photo(RED), before, photo(BLUE), after, GARMENT)
    assert seen.moved == pytest.approx(0.0)


def test_of_who_is_hardly_found_the_framing_is_judged_not_the_clothes() -> None:
    before = Looked(rgb=photo(RED), people=[person()])
    legs = person(tall=400, top=-210)
    assert glimpsed_findings(before, Looked(rgb=photo(RED), people=[legs])) == (
        PictureFinding.FRAMED_OTHERWISE,
    )
    assert glimpsed_findings(before, Looked(rgb=photo(RED), people=[person()])) == ()
    crowd = Looked(rgb=photo(RED), people=[person(left=50), person(left=140)])
    assert glimpsed_findings(crowd, Looked(rgb=photo(RED), people=[legs])) == ()


def test_people_survive_json() -> None:
    again = person_of(person().to_json())
    assert np.allclose(again.points, person().points, atol=0.1)
    assert np.isnan(worn_colours(photo(RED), person(left=400.0))).all()


def test_a_garments_colours_are_as_far_as_the_nearest_worn_ones() -> None:
    worn = trunk_colours(photo(RED), person())
    blue, red = np.array(BLUE) / 255, np.array(RED) / 255
    expected = float(np.sqrt(((blue - red) ** 2).mean()))
    assert distance(GARMENT, worn.reshape(-1, 3)) == pytest.approx(expected, abs=0.01)
    assert distance(GARMENT, np.full((4, 3), np.nan)) is None


def test_light_and_contrast_are_taken_out_and_few_new_colours_do_not_count() -> None:
    before = np.random.default_rng(5).uniform(0.1, 0.9, (150, 3))
    after = before * (0.85, 1.0, 1.1) + 0.04
    after[:20] = 0.9
    gain, offset = relit(before, after)
    assert gain == pytest.approx((0.85, 1.0, 1.1), abs=0.06)
    assert np.abs(before * gain + offset - after)[20:].max() < 0.04
    nothing = relit(np.full((3, 3), np.nan), np.zeros((3, 3)))
    assert nothing[0] == pytest.approx(1.0)
    assert nothing[1] == pytest.approx(0.0)


def test_legs_are_read_inside_of_them() -> None:
    assert np.allclose(leg_colours(photo(RED), person()), np.array(RED) / 255)


def test_clothes_of_who_stands_sideways_are_not_judged() -> None:
    """The trunk is a line there: what is left of it says nothing."""
    aside = person()
    aside.points[[Landmark.LEFT_SHOULDER, Landmark.RIGHT_SHOULDER], 0] = 96.0
    before = Looked(rgb=checked(photo(RED)), people=[aside])
    assert result_findings(before, before, GARMENT) == ()


def test_untouched_clothes_are_seen_when_contrast_and_tint_are_others() -> None:
    before = Looked(rgb=checked(photo(RED)), people=[person()])
    tinted = 255 * (before.rgb / 255) ** 1.25 * (0.94, 1.0, 1.05)
    drawn = Looked(rgb=np.clip(tinted, 0, 255).astype(np.uint8), people=[person()])
    assert result_findings(before, drawn, GARMENT) == (PictureFinding.NOT_APPLIED,)


def test_the_second_picture_is_kept_unless_it_is_worse() -> None:
    gone, same = (PictureFinding.PERSON_GONE,), (PictureFinding.NOT_APPLIED,)
    assert better(same, ())
    assert better(gone, same)
    assert better(same, same)
    assert not better(same, gone)


def test_only_certain_findings_are_refused_and_the_shopper_is_told_what_to_do() -> None:
    report = Report(findings=(PictureFinding.PERSON_UNCLEAR, PictureFinding.GARMENT_BLANK))
    assert report.certain == (PictureFinding.GARMENT_BLANK,)
    assert set(WORDS) == set(PictureFinding)
    for finding in CERTAIN:
        error = refusal([finding])
        assert (error.code, error.reason) == ("photo_refused", finding.value)
        assert "Please" in error.shopper_message
