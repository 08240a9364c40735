"""
`wearon estimate` with the real pose network, on renders of bodies of known girths.

The coefficients were fitted on these bodies too, so the accuracy here says nothing about people
(docs/measuring.md does). These tests show that the whole path works.
"""

import io
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageFilter
from typer.testing import CliRunner, Result

from wearon_cli.adapters.pose.model_file import require_model
from wearon_cli.app import app
from wearon_cli.core.body.drawing import OUTLINE, PANEL_PX
from wearon_cli.core.errors import ConfigError
from wearon_cli.core.settings import load_settings

pytestmark = pytest.mark.slow

BODIES = Path(__file__).parents[1] / "data" / "bodies"
FRONT, SIDE = BODIES / "front.jpg", BODIES / "side.jpg"
#: Measured on the mesh of the body in front.jpg and side.jpg.
TRUTH_CM = {"chest_cm": 102.8, "waist_cm": 77.8, "hip_cm": 108.1, "shoulder_cm": 36.3}
HEIGHT = ("--height", "165.6")
ALLOWED_KEYS = {*TRUTH_CM, "inseam_cm", "height_cm"}


@pytest.fixture(scope="module", autouse=True)
def model() -> None:
    try:
        require_model(load_settings())
    except ConfigError as exc:
        if os.environ.get("CI"):
            pytest.fail(str(exc))
        pytest.skip(str(exc))


def run(*words: object) -> Result:
    return CliRunner().invoke(app, ["estimate", *map(str, words)])


def answer(*words: object) -> dict[str, Any]:
    result = run(*words, "--json")
    assert result.exit_code == 0, result.output
    data = json.loads(result.stdout)["data"]
    assert isinstance(data, dict)
    return data


@pytest.mark.parametrize(
    ("words", "based_on", "off_cm"),
    [
        pytest.param((), "front", 8, id="front"),
        pytest.param(("--weight", "66"), "front+weight", 7, id="with the weight"),
        pytest.param(("--side", SIDE), "front+side", 5, id="with a side photo"),
        pytest.param(
            ("--side", SIDE, "--weight", "66", "--sex", "female"),
            "front+side+weight+sex",
            5,
            id="with everything",
        ),
    ],
)
def test_a_known_body_is_measured(words: tuple[object, ...], based_on: str, off_cm: float) -> None:
    data = answer(FRONT, *HEIGHT, *words)
    assert data["based_on"] == based_on
    assert data["warnings"] == []
    assert set(data["measurements"]) == ALLOWED_KEYS
    for name, true in TRUTH_CM.items():
        assert data["measurements"][name] == pytest.approx(true, abs=off_cm), name
        low, high = data["bands"][name]
        assert low < data["measurements"][name] < high


def test_the_table_holds_every_girth_and_the_odds_of_every_size() -> None:
    result = run(FRONT, *HEIGHT)
    assert result.exit_code == 0
    for word in ("chest", "waist", "hip", "shoulder", "inseam", "80 % band", "XXL", "█"):
        assert word in result.stdout
    assert all(len(line) <= 80 for line in result.stdout.splitlines())
    assert result.stderr == ""


def test_without_options_170_cm_is_assumed_and_reported() -> None:
    result = run(FRONT)
    assert result.exit_code == 0
    assert "170 cm is assumed" in result.stderr
    assert "height assumed" in result.stdout
    assert "height_cm" not in answer(FRONT)["measurements"]


@pytest.mark.parametrize(("garment", "chart"), [("dress", "women"), ("bottom", "men")])
def test_charts_and_garments_are_used(garment: str, chart: str) -> None:
    data = answer(FRONT, *HEIGHT, "--garment", garment, "--chart", chart)
    assert (data["garment"], data["chart"]) == (garment, chart)
    assert data["recommended_size"] in data["size_odds"]


def test_a_shops_own_chart_is_used(tmp_path: Path) -> None:
    own = tmp_path / "own.json"
    own.write_text('{"name": "own", "sizes": ["one", "two"], "up_to_cm": {"chest": [60]}}')
    data = answer(FRONT, *HEIGHT, "--chart", own)
    assert (data["recommended_size"], data["confidence"]) == ("two", 1.0)


def test_loose_clothes_are_noticed() -> None:
    data = answer(BODIES / "loose.jpg", "--height", "173.7")
    assert [warning["code"] for warning in data["warnings"]] == ["loose_clothing"]
    # The body has a chest of 94.9 cm; measured as skin, the clothes have 115 and more.
    assert data["measurements"]["chest_cm"] == pytest.approx(94.9, abs=10)


# --------------------------------------------------------------------------- refusals

Spoil = Callable[[Image.Image], Image.Image]


def beside_itself(photo: Image.Image) -> Image.Image:
    both = Image.new("RGB", (2 * photo.width, photo.height))
    both.paste(photo, (0, 0))
    both.paste(photo, (photo.width, 0))
    return both


SPOILED: dict[str, tuple[Spoil, str]] = {
    "feet cut off": (lambda p: p.crop((0, 0, p.width, round(0.84 * p.height))), "cut_off"),
    "head cut off": (lambda p: p.crop((0, round(0.17 * p.height), *p.size)), "cut_off"),
    "blurred": (lambda p: p.filter(ImageFilter.GaussianBlur(5)), "blurred"),
    "dark": (lambda p: ImageEnhance.Brightness(p).enhance(0.1), "too_dark"),
    "small": (lambda p: p.resize((p.width // 3, p.height // 3)), "too_small"),
    "two people": (beside_itself, "several_people"),
    "nobody": (lambda p: p.crop((0, 0, 150, 200)).resize(p.size), "no_person"),
    "lying": (lambda p: p.rotate(90, expand=True), "not_standing"),
}


@pytest.mark.parametrize("case", SPOILED)
def test_a_spoiled_photo_is_refused(case: str, tmp_path: Path) -> None:
    spoil, reason = SPOILED[case]
    path = tmp_path / "spoiled.png"
    spoil(Image.open(FRONT).convert("RGB")).save(path)
    refused(reason, path, *HEIGHT)


@pytest.mark.parametrize(("name", "reason"), [("back", "back_view"), ("seated", "not_standing")])
def test_a_bad_pose_is_refused(name: str, reason: str) -> None:
    refused(reason, BODIES / f"{name}.jpg", *HEIGHT)


@pytest.mark.parametrize(
    ("name", "bottom", "reason"),
    [
        pytest.param("seated", 0.86, "not_standing", id="seated, the feet cut off"),
        pytest.param("seated", 0.75, "not_standing", id="seated, the shanks cut off"),
        pytest.param("seated", 0.66, "not_standing", id="seated, cut off below the knees"),
        pytest.param("seated", 0.52, "cut_off", id="seated, the half body"),
        pytest.param("seated", 0.36, "no_person", id="seated, head and shoulders"),
        pytest.param("front", 0.75, "cut_off", id="standing, the shanks cut off"),
        pytest.param("front", 0.52, "cut_off", id="standing, the half body"),
        pytest.param("front", 0.36, "cut_off", id="standing, head and shoulders"),
    ],
)
def test_seated_and_half_bodies_are_told_that_the_whole_body_is_wanted(
    name: str, bottom: float, reason: str, tmp_path: Path
) -> None:
    """Somebody who sits was told to step back, or that the camera is tilted."""
    photo = Image.open(BODIES / f"{name}.jpg")
    path = tmp_path / "cut.png"
    photo.crop((0, 0, photo.width, round(bottom * photo.height))).save(path)
    assert "whole body must be in the picture, standing" in refused(reason, path, *HEIGHT)


def test_a_front_photo_is_not_accepted_as_a_side_photo() -> None:
    refused("not_from_side", FRONT, *HEIGHT, "--side", FRONT)


def refused(reason: str, *words: object) -> str:
    """Checks the answer for a photo that is not measured; returns its hint."""
    result = run(*words, "--json")
    document = json.loads(result.stdout)
    assert result.exit_code == 4
    assert document["data"]["reason"] == reason
    assert document["error"]["code"] == "photo_refused"
    assert document["error"]["hint"]
    assert "measurements" not in document["data"]
    return str(document["error"]["hint"])


# --------------------------------------------------------------------------- EXIF, drawing, many


def test_a_photo_taken_sideways_measures_the_same(tmp_path: Path) -> None:
    photo = Image.open(FRONT).convert("RGB")
    tags = Image.Exif()
    tags[0x0112] = 6  # the viewer turns it clockwise
    upright, sideways = tmp_path / "upright.png", tmp_path / "sideways.png"
    photo.save(upright)
    photo.transpose(Image.Transpose.ROTATE_90).save(sideways, exif=tags)
    one, other = (answer(path, *HEIGHT)["measurements"] for path in (upright, sideways))
    # Scaled before it is rotated, a photo differs slightly.
    assert other == pytest.approx(one, abs=0.5)


def test_the_photo_is_drawn_on(tmp_path: Path) -> None:
    drawing = tmp_path / "new" / "drawn.jpg"
    data = answer(FRONT, *HEIGHT, "--side", SIDE, "--annotate", drawing)
    assert data["annotated"] == str(drawing)
    with Image.open(drawing) as picture:
        pixels = np.asarray(picture.convert("RGB")).astype(int)
    assert pixels.shape == (1000, 750 + 750 + PANEL_PX, 3)  # front, side, panel
    for photo in (pixels[:, :750], pixels[:, 750:1500]):
        outlined = np.abs(photo - OUTLINE).max(axis=2) < 60  # JPEG blurs colours
        assert 500 < outlined.sum() < 20_000


@pytest.mark.parametrize("name", ["drawn.txt", "drawn"])
def test_a_drawing_needs_a_file_name_of_a_picture(name: str, tmp_path: Path) -> None:
    result = run(FRONT, *HEIGHT, "--annotate", tmp_path / name)
    assert result.exit_code == 4
    assert "no picture file extension" in result.stderr


def test_a_folder_gives_a_line_of_json_for_each_photo(tmp_path: Path) -> None:
    result = run(BODIES, *HEIGHT, "--annotate", tmp_path)
    answers = [json.loads(line) for line in result.stdout.splitlines()]
    by_name = {Path(each["photo"]).stem: each for each in answers}
    assert set(by_name) == {"front", "side", "back", "seated", "loose"}
    assert by_name["front"]["measurements"]["height_cm"] == 165.6
    assert by_name["back"]["error"]["code"] == "back_view"
    assert by_name["side"]["error"]["code"] == "turned_away"
    assert {path.name for path in tmp_path.iterdir()} == {"front.jpg", "loose.jpg"}
    assert result.exit_code == 4
    assert "3 of 5 photos could not be measured" in result.stderr


def test_side_photos_of_many_are_in_a_folder_with_the_same_names(tmp_path: Path) -> None:
    for name in ("one.jpg", "two.jpg"):
        (tmp_path / name).write_bytes(FRONT.read_bytes())
    sides = tmp_path / "sides"
    sides.mkdir()
    (sides / "two.jpg").write_bytes(SIDE.read_bytes())
    result = run(tmp_path / "one.jpg", tmp_path / "two.jpg", *HEIGHT, "--side", sides)
    one, two = (json.loads(line) for line in result.stdout.splitlines())
    assert (one["based_on"], two["based_on"]) == ("front", "front+side")
    assert result.exit_code == 0


def test_a_broken_photo_does_not_affect_the_others(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"no picture")
    (tmp_path / "b.jpg").write_bytes(FRONT.read_bytes())
    document = json.loads(run(tmp_path, *HEIGHT, "--json").stdout)
    broken, good = document["data"]["photos"]
    assert broken["error"]["code"] == "picture_unusable"
    assert good["recommended_size"]
    assert document["data"]["failed"] == 1
    assert not document["ok"]


def test_a_phone_photo_of_12_megapixels_measures_nearly_the_same(tmp_path: Path) -> None:
    held = io.BytesIO()
    Image.open(FRONT).convert("RGB").resize((3024, 4032)).save(held, "JPEG", quality=90)
    large = tmp_path / "large.jpg"
    large.write_bytes(held.getvalue())
    small, big = (answer(path, *HEIGHT)["measurements"] for path in (FRONT, large))
    for name in TRUTH_CM:
        assert big[name] == pytest.approx(small[name], abs=2.5), name
