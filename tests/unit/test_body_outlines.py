"""Readings of outlines of drawn bodies with known breadths and depths."""

from dataclasses import replace

import numpy as np
import pytest

from devkit.bodies import (
    BOTTOM,
    LEG_CM,
    STATURE_CM,
    TOP,
    TRUNK_CM,
    from_side,
    standing,
)
from wearon_cli.core.body.profile import SIDE_LEVELS, Profile, measure_side
from wearon_cli.core.body.silhouette import (
    TRUNK_LEVELS,
    Silhouette,
    extent_px,
    measure_front,
    run_around,
)

#: A drawn edge is on a pixel's border; reading it has an error of half a pixel on either side.
CLOSE_CM = 0.25


def front(**drawn: float) -> Silhouette:
    measured = measure_front(standing(**drawn), height_cm=STATURE_CM)
    assert measured is not None
    return measured


def side(*, hand_forward: bool = False) -> Profile:
    measured = measure_side(from_side(hand_forward=hand_forward), height_cm=STATURE_CM)
    assert measured is not None
    return measured


def test_the_person_reaches_from_crown_to_soles() -> None:
    assert extent_px(standing().mask) == pytest.approx((TOP, BOTTOM), abs=1.0)


def test_a_photo_without_a_person_has_no_extent() -> None:
    assert extent_px(np.zeros((40, 30), np.float32)) is None


@pytest.mark.parametrize("level", TRUNK_LEVELS)
def test_the_trunk_is_as_broad_as_drawn(level: float) -> None:
    assert front().features[f"trunk_{level:.2f}"] == pytest.approx(TRUNK_CM, abs=CLOSE_CM)


@pytest.mark.parametrize("level", TRUNK_LEVELS)
def test_an_arm_against_the_trunk_is_cut_off(level: float) -> None:
    measured = front(arm_gap_px=0.0)
    assert measured.trunk[level].arms_cut == 2
    assert measured.features[f"trunk_{level:.2f}"] == pytest.approx(TRUNK_CM, abs=CLOSE_CM)


@pytest.mark.parametrize("name", ["calf_0.20", "calf_0.50", "thigh_0.80"])
def test_legs_are_as_broad_as_drawn(name: str) -> None:
    assert front().features[name] == pytest.approx(LEG_CM, abs=2 * CLOSE_CM)


def test_every_reading_scales_with_the_stature() -> None:
    tall = measure_front(standing(), height_cm=2 * STATURE_CM)
    assert tall is not None
    short = front().features
    assert tall.features == pytest.approx({name: 2 * cm for name, cm in short.items()})


def test_a_smaller_photo_of_the_same_body_reads_the_same() -> None:
    whole = standing()
    half = replace(whole, mask=whole.mask.reshape(500, 2, 380, 2).mean(axis=(1, 3)))
    measured = measure_front(half, height_cm=STATURE_CM)
    assert measured is not None
    for name, cm in front().features.items():
        assert measured.features[name] == pytest.approx(cm, abs=0.8), name


def test_a_mask_that_is_not_where_the_joints_are_is_not_measured() -> None:
    person = standing()
    moved = replace(person, mask=np.roll(person.mask, 300, axis=1))
    assert measure_front(moved, height_cm=STATURE_CM) is None


def test_an_edge_is_found_between_pixels() -> None:
    row = np.array([0, 0.25, 1, 1, 0.75, 0], np.float32)
    left, right = run_around(row, 2)
    assert left == pytest.approx(1.5 + 1 / 3)
    assert right == pytest.approx(4.5 + 1 / 3)


@pytest.mark.parametrize("level", SIDE_LEVELS)
def test_the_body_is_as_deep_as_drawn(level: float) -> None:
    assert side().features[f"depth_{level:.2f}"] == pytest.approx(22.0, abs=CLOSE_CM)


@pytest.mark.parametrize("level", SIDE_LEVELS)
def test_a_hand_held_forward_adds_no_depth(level: float) -> None:
    features = side(hand_forward=True).features
    assert features[f"depth_{level:.2f}"] == pytest.approx(22.0, abs=CLOSE_CM)


def test_a_hand_held_forward_is_seen() -> None:
    assert any(line.arms_cut for line in side(hand_forward=True).trunk.values())


def test_a_side_photo_without_a_person_is_not_measured() -> None:
    empty = replace(from_side(), mask=np.zeros((1000, 760), np.float32))
    assert measure_side(empty, height_cm=STATURE_CM) is None
