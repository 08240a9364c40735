"""Size charts, valid and invalid, and the probabilities of sizes."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wearon_cli.core.body.sizes import (
    BUILT_IN,
    MAX_CHART_BYTES,
    RANGE_ODDS,
    built_in_chart,
    load_chart,
    parse_chart,
    size_odds,
    size_of,
)
from wearon_cli.core.body.stated import GarmentKind
from wearon_cli.core.errors import ChartUnusable

GOOD: dict[str, Any] = {
    "name": "tops",
    "sizes": ["S", "M", "L"],
    "up_to_cm": {"chest": [92, 100], "waist": [78, 88]},
}
DEFAULT = built_in_chart("default")


def chart(**changes: Any) -> bytes:
    return json.dumps({**GOOD, **changes}).encode()


BAD = {
    "no JSON": (b"S,M,L", "not JSON"),
    "not UTF-8": (b"\xff\xfe{", "not JSON"),
    "a list": (b"[1, 2]", "invalid"),
    "no sizes": (chart(sizes=[]), "sizes"),
    "one size": (chart(sizes=["M"], up_to_cm={"chest": []}), "sizes"),
    "a size twice": (chart(sizes=["S", "S", "L"]), "listed twice"),
    "too few bounds": (chart(up_to_cm={"chest": [92]}), "chest needs 2 bounds for 3 sizes"),
    "too many bounds": (chart(up_to_cm={"chest": [92, 100, 108]}), "chest needs 2 bounds"),
    "falling bounds": (chart(up_to_cm={"chest": [100, 92]}), "do not increase"),
    "equal bounds": (chart(up_to_cm={"chest": [92, 92]}), "do not increase"),
    "a negative bound": (chart(up_to_cm={"chest": [-1, 92]}), "up_to_cm.chest"),
    "inches as text": (chart(up_to_cm={"chest": ["36in", "40in"]}), "up_to_cm.chest"),
    "an unknown girth": (chart(up_to_cm={"neck": [38, 40]}), "not a girth"),
    "no girth": (chart(up_to_cm={}), "up_to_cm"),
    "an unknown key": (chart(colour="red"), "colour"),
    "no name": (chart(name=""), "name"),
    "not a number": (b'{"name":"t","sizes":["S","M"],"up_to_cm":{"chest":[NaN]}}', "chest"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_chart_says_what_is_wrong(case: str) -> None:
    document, said = BAD[case]
    with pytest.raises(ChartUnusable, match=said):
        parse_chart(document)


def test_a_good_chart_is_read() -> None:
    read = parse_chart(chart())
    assert read.sizes == ("S", "M", "L")
    assert read.up_to_cm["waist"] == (78, 88)


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_built_in_chart_is_good(name: str) -> None:
    assert load_chart(name).name == name
    assert load_chart(name).source


def test_a_chart_comes_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "tops.json"
    path.write_bytes(chart())
    assert load_chart(str(path)) == parse_chart(chart())


def test_an_unknown_chart_lists_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(ChartUnusable) as missing:
        load_chart(str(tmp_path / "none.json"))
    assert all(name in missing.value.hint for name in BUILT_IN)


def test_a_huge_file_is_not_a_chart(tmp_path: Path) -> None:
    path = tmp_path / "huge.json"
    path.write_bytes(b" " * (MAX_CHART_BYTES + 1))
    with pytest.raises(ChartUnusable, match="larger than"):
        load_chart(str(path))


@pytest.mark.parametrize(
    ("chest_cm", "size"),
    [
        (60, "XS"),
        (84, "XS"),
        (84.1, "S"),
        (92, "S"),
        (100, "M"),
        (108, "L"),
        (116, "XL"),
        (150, "XXL"),
    ],
)
def test_a_size_includes_its_upper_bound(chest_cm: float, size: str) -> None:
    assert size_of(DEFAULT, GarmentKind.TOP, {"chest": chest_cm}) == size


#: Of the women's chart: chest S (82 to 90), waist M (74 to 82), hip L (106 to 114.5).
MIXED = {"chest": 85.0, "waist": 80.0, "hip": 110.0}


@pytest.mark.parametrize(
    ("garment", "size"),
    [(GarmentKind.TOP, "S"), (GarmentKind.BOTTOM, "L"), (GarmentKind.DRESS, "L")],
)
def test_the_girth_that_needs_the_largest_size_decides(garment: GarmentKind, size: str) -> None:
    assert size_of(built_in_chart("women"), garment, MIXED) == size


def test_a_girth_that_the_chart_lacks_does_not_count() -> None:
    without_hip = parse_chart(chart(up_to_cm={"waist": [78, 88]}))
    assert size_of(without_hip, GarmentKind.BOTTOM, MIXED) == "M"


def normal(mean: float, sd: float) -> dict[str, np.ndarray]:
    return {"chest": np.random.default_rng(0).normal(mean, sd, 4000)}


@given(mean=st.floats(60, 140), sd=st.floats(0.1, 20))
def test_the_range_is_the_smallest_run_with_enough(mean: float, sd: float) -> None:
    found = size_odds(DEFAULT, GarmentKind.TOP, normal(mean, sd))
    order = list(found.odds)
    odds = list(found.odds.values())
    first, last = order.index(found.lower), order.index(found.upper)
    assert sum(odds) == pytest.approx(1)
    assert sum(odds[first : last + 1]) >= RANGE_ODDS - 1e-9
    for start in range(len(odds) - (last - first) + 1):
        assert sum(odds[start : start + last - first]) < RANGE_ODDS
    assert found.confidence == max(odds)


def test_a_body_known_exactly_has_one_size() -> None:
    found = size_odds(DEFAULT, GarmentKind.TOP, {"chest": np.full(100, 96.0)})
    assert (found.recommended, found.lower, found.upper, found.confidence) == ("M", "M", "M", 1)


def test_a_body_on_a_border_may_have_either_size() -> None:
    found = size_odds(DEFAULT, GarmentKind.TOP, normal(100, 1.0))
    assert (found.lower, found.upper) == ("M", "L")
    assert found.confidence == pytest.approx(0.5, abs=0.05)
