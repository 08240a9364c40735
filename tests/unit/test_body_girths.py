"""Girths, bands and warnings from features, and the answer that callers parse."""

import json
from dataclasses import replace
from functools import cache
from importlib.resources import files
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageFilter

from devkit.bodies import STATURE_CM, FixedReader, from_side, photo_of, standing
from wearon_cli.core.body.body_types import BodyType, body_type
from wearon_cli.core.body.clothing import growth, looseness, without_loose_cloth
from wearon_cli.core.body.estimate import (
    ASSUMED_HEIGHT_CM,
    Estimate,
    EstimateRequest,
    estimate,
)
from wearon_cli.core.body.girths import (
    BAND_ODDS,
    DRAWS,
    MEASURES,
    Girths,
    expected_weight_kg,
    predict,
    variant_name,
    variants,
)
from wearon_cli.core.body.profile import measure_side
from wearon_cli.core.body.silhouette import measure_front
from wearon_cli.core.body.sizes import built_in_chart
from wearon_cli.core.body.stated import HEIGHT_RANGE_CM, WEIGHT_RANGE_KG, GarmentKind, Sex
from wearon_cli.core.errors import InputError, PhotoRefused

#: What callers accept inside `measurements` (the platform's contract); anything else makes them
#: reject the whole answer.
ALLOWED_KEYS = {"chest_cm", "waist_cm", "hip_cm", "shoulder_cm", "inseam_cm", "height_cm"}


@cache
def features() -> dict[str, float]:
    """The drawn body from both sides."""
    front = measure_front(standing(), height_cm=STATURE_CM)
    side = measure_side(from_side(), height_cm=STATURE_CM)
    assert front is not None
    assert side is not None
    return {**front.features, **side.features}


def known_inputs() -> dict[str, float]:
    return {**features(), "weight": 80.0, "male": 1.0}


def measured(request: EstimateRequest | None = None, *, trunk_cm: float = 32.0) -> Estimate:
    person = standing(trunk_cm=trunk_cm)
    request = request or EstimateRequest(height_cm=STATURE_CM)
    return estimate(photo_of(person), FixedReader((person,)), request)


def codes(answer: Estimate) -> set[str]:
    return {warning.code for warning in answer.warnings}


# --------------------------------------------------------------------------- regressions

NAMES = [
    variant_name(side=side, weight=weight, sex=sex)
    for side, weight, sex in product((False, True), repeat=3)
]


def test_there_is_a_variant_for_every_set_of_inputs() -> None:
    assert set(variants()) == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_every_coefficient_has_a_feature_that_is_measured(name: str) -> None:
    girths = predict(known_inputs(), variants()[name])
    assert np.isfinite(girths.middle).all()
    assert (girths.sd > 0).all()


@pytest.mark.parametrize("name", NAMES)
def test_the_coefficients_say_how_good_they_are(name: str) -> None:
    document = json.loads(files("wearon_cli.core.body").joinpath("girths.json").read_bytes())
    for measure in MEASURES:
        part = document["variants"][name][measure]
        assert 0 < part["cv_mae_cm"] < 4.0
        # Of normal errors the 80 % quantile is 1.6 times the mean; an anchor adds to it.
        assert part["cv_mae_cm"] < part["band_80_cm"] < 1.8 * part["cv_mae_cm"] + 2.1
        assert abs(part["anchor_cm"]) <= 3.5


@pytest.mark.parametrize("measure", MEASURES)
def test_a_side_photo_and_a_weight_never_widen_a_band(measure: str) -> None:
    i = MEASURES.index(measure)
    known = ("front", "front+weight", "front+side", "front+side+weight")
    sd = {name: float(predict(known_inputs(), variants()[name]).sd[i]) for name in known}
    assert sd["front+weight"] <= sd["front"] + 0.01
    assert sd["front+side"] <= sd["front"] + 0.01
    assert sd["front+side+weight"] <= sd["front+weight"] + 0.01


@pytest.mark.parametrize("name", NAMES)
def test_bands_contain_their_share_of_the_drawn_bodies(name: str) -> None:
    girths = predict(known_inputs(), variants()[name])
    for measure in MEASURES:
        low, high = girths.band(measure)
        drawn = girths.drawn(measure)
        assert ((drawn >= low) & (drawn <= high)).mean() == pytest.approx(BAND_ODDS, abs=0.02)
        assert drawn.mean() == pytest.approx(girths.value(measure), abs=0.05)


def test_the_same_features_give_the_same_draws() -> None:
    one, two = (predict(known_inputs(), variants()["front"]) for _ in range(2))
    assert (one.draws == two.draws).all()
    assert one.draws.shape == (DRAWS, len(MEASURES))


def test_an_uncertain_height_widens_the_bands() -> None:
    sure = predict(known_inputs(), variants()["front"])
    unsure = predict(known_inputs(), variants()["front"], height_sd_cm=9.5)
    assert (unsure.middle == sure.middle).all()
    assert (unsure.sd > 1.2 * sure.sd).all()


@given(factor=st.floats(1.1, 3.0))
def test_nothing_is_clamped(factor: float) -> None:
    """However broad a body, its number grows at the same rate."""
    grown = _waist_cm(factor) - _waist_cm(1.0)
    assert grown / (factor - 1) == pytest.approx(_waist_cm(2.0) - _waist_cm(1.0))


def _waist_cm(factor: float) -> float:
    broad = {
        name: value * (factor if name.startswith(("trunk_0", "trunk_1")) else 1.0)
        for name, value in features().items()
    }
    return predict(broad, variants()["front"]).value("waist")


def test_the_expected_weight_is_realistic() -> None:
    assert 60 < expected_weight_kg(features()) < 100


# --------------------------------------------------------------------------- clothes


def test_the_distance_of_cloth_from_the_body_is_estimated() -> None:
    here = features()
    loose = without_loose_cloth(here, -1.5)
    assert looseness().at_cm(loose) - looseness().at_cm(here) == pytest.approx(
        1.5 * 170 / STATURE_CM, rel=0.02
    )


def test_loose_clothes_are_reported_corrected_and_widen_the_bands() -> None:
    person = standing()
    cloth = Image.fromarray((person.mask * 255).astype(np.uint8)).filter(ImageFilter.MaxFilter(15))
    dressed = replace(person, mask=np.asarray(cloth, np.float32) / np.float32(255))
    answer = estimate(
        photo_of(dressed), FixedReader((dressed,)), EstimateRequest(height_cm=STATURE_CM)
    )
    naive = measure_front(dressed, height_cm=STATURE_CM)
    assert naive is not None
    undoubted = predict(naive.features, variants()["front"])
    assert codes(answer) == {"loose_clothing"}
    for measure in ("chest", "waist", "hip"):
        true = measured().girths.value(measure)
        too_much = undoubted.value(measure) - true
        assert 0 <= answer.girths.value(measure) - true < 0.75 * too_much
    assert answer.girths.sd[1] > 1.2 * undoubted.sd[1]


def test_joints_do_not_move_with_the_cloth() -> None:
    for span in ("shoulder_span", "hip_span", "trunk_length", "leg_length", "stature"):
        assert growth(span) == 0


def test_every_breadth_grows_on_both_sides() -> None:
    for name in ("trunk_0.30", "depth_1.46", "waist_narrowest", "hip_deepest", "calf_0.20"):
        assert growth(name) == 2


# --------------------------------------------------------------------------- the answer


def test_a_wider_body_is_measured_wider() -> None:
    narrow, wide = measured(trunk_cm=30.0), measured(trunk_cm=34.0)
    for measure in ("chest", "waist", "hip"):
        assert wide.girths.value(measure) > narrow.girths.value(measure) + 5


def test_only_allowed_keys_are_measurements() -> None:
    answer = measured().to_response()
    numbers = answer["measurements"]
    assert isinstance(numbers, dict)
    assert set(numbers) == ALLOWED_KEYS
    assert all(type(value) is float for value in numbers.values())


def test_an_assumed_height_is_not_reported_as_a_measurement() -> None:
    answer = measured(EstimateRequest()).to_response()
    assert set(answer["measurements"]) == ALLOWED_KEYS - {"height_cm"}  # type: ignore[call-overload]


def test_the_answer_is_json() -> None:
    assert json.loads(json.dumps(measured().to_response())) == measured().to_response()


def test_confidence_is_the_odds_of_the_recommended_size() -> None:
    answer = measured()
    response = answer.to_response()
    odds = response["size_odds"]
    assert isinstance(odds, dict)
    assert response["confidence"] == max(odds.values()) == odds[response["recommended_size"]]
    assert sum(odds.values()) == pytest.approx(1, abs=0.01)


def test_the_recommended_size_lies_in_its_range() -> None:
    answer = measured()
    order = list(answer.odds.odds)
    low, best, high = (
        order.index(size)
        for size in (answer.odds.lower, answer.odds.recommended, answer.odds.upper)
    )
    assert low <= best <= high
    assert sum(list(answer.odds.odds.values())[low : high + 1]) >= 0.8


def test_bands_stand_around_their_measurements() -> None:
    response = measured().to_response()
    for name, (low, high) in response["bands"].items():  # type: ignore[attr-defined]
        assert low < response["measurements"][name] < high  # type: ignore[index]


def test_without_a_height_170_is_assumed_and_reported() -> None:
    assumed, known = measured(EstimateRequest()), measured()
    assert ASSUMED_HEIGHT_CM == 170
    assert codes(assumed) == {"height_assumed"}
    assert "170 cm" in assumed.warnings[0].text
    assert (assumed.girths.sd > known.girths.sd).all()
    assert codes(known) == set()


def test_a_side_photo_is_used() -> None:
    person, side = standing(), from_side()
    answer = estimate(
        photo_of(person),
        FixedReader((person,), (side,)),
        EstimateRequest(height_cm=STATURE_CM),
        side=photo_of(side),
    )
    assert answer.variant == "front+side"
    assert answer.girths.sd[0] < 0.7 * measured().girths.sd[0]


def test_a_bad_side_photo_is_refused_even_with_a_good_front() -> None:
    person = standing()
    with pytest.raises(PhotoRefused) as refused:
        estimate(
            photo_of(person),
            FixedReader((person,), (person,)),
            EstimateRequest(height_cm=STATURE_CM),
            side=photo_of(person),
        )
    assert refused.value.reason == "not_from_side"


def test_a_fitting_weight_is_used() -> None:
    weight_kg = round(expected_weight_kg(features()))
    answer = measured(EstimateRequest(height_cm=STATURE_CM, weight_kg=weight_kg))
    assert answer.variant == "front+weight"
    assert codes(answer) == set()


@pytest.mark.parametrize("factor", [2.2, 0.5], ids=["pounds", "half"])
def test_an_impossible_weight_is_left_out_and_reported(factor: float) -> None:
    weight_kg = factor * expected_weight_kg(features())
    answer = measured(EstimateRequest(height_cm=STATURE_CM, weight_kg=weight_kg))
    assert answer.variant == "front"
    assert codes(answer) == {"weight_unlikely"}
    assert (answer.girths.middle == measured().girths.middle).all()


def test_sex_narrows_the_inseam() -> None:
    male = measured(EstimateRequest(height_cm=STATURE_CM, sex=Sex.MALE))
    female = measured(EstimateRequest(height_cm=STATURE_CM, sex=Sex.FEMALE))
    inseam = MEASURES.index("inseam")
    assert male.girths.sd[inseam] < measured().girths.sd[inseam]
    assert male.girths.value("inseam") != female.girths.value("inseam")


@pytest.mark.parametrize(
    ("height_cm", "weight_kg"),
    [
        pytest.param(HEIGHT_RANGE_CM[0] - 1, None, id="too small"),
        pytest.param(HEIGHT_RANGE_CM[1] + 1, None, id="too tall"),
        pytest.param(1.78, None, id="metres"),
        pytest.param(float("nan"), None, id="no number"),
        pytest.param(170.0, WEIGHT_RANGE_KG[0] - 1, id="too light"),
        pytest.param(170.0, WEIGHT_RANGE_KG[1] + 1, id="too heavy"),
    ],
)
def test_heights_and_weights_out_of_range_are_refused(
    height_cm: float, weight_kg: float | None
) -> None:
    with pytest.raises(InputError, match="outside"):
        EstimateRequest(height_cm=height_cm, weight_kg=weight_kg)


def test_a_chart_that_cannot_size_the_garment_is_refused_before_measuring() -> None:
    with pytest.raises(InputError, match="has no waist or hip"):
        EstimateRequest(chart=built_in_chart("default"), garment=GarmentKind.BOTTOM)


# --------------------------------------------------------------------------- the body type


def built(chest_cm: float, waist_cm: float, sd_cm: float = 1.0) -> Girths:
    girths = predict(known_inputs(), variants()["front"])
    middle = girths.middle.copy()
    middle[:2] = (chest_cm, waist_cm)
    spread = (girths.draws - girths.middle) * (sd_cm / girths.sd)
    return replace(girths, middle=middle, draws=middle + spread)


@pytest.mark.parametrize(
    ("chest_cm", "waist_cm", "word"),
    [
        (115, 110, BodyType.BROAD),
        (85, 72, BodyType.SLIM),
        (112, 90, BodyType.ATHLETIC),
        (98, 92, BodyType.AVERAGE),
    ],
)
def test_a_build_has_a_body_type(chest_cm: float, waist_cm: float, word: BodyType) -> None:
    assert body_type(built(chest_cm, waist_cm), height_cm=175) is word


def test_between_builds_there_is_no_body_type() -> None:
    between = built(chest_cm=98, waist_cm=0.5265 * 175, sd_cm=15)
    assert body_type(between, height_cm=175) is None
