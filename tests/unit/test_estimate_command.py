"""Input of `wearon estimate` that is refused without the pose network."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from devkit.bodies import STATURE_CM, FixedReader, from_side, photo_of, standing
from devkit.drawing import drawn
from wearon_cli.app import app
from wearon_cli.cli.bars import bar
from wearon_cli.cli.girth_table import batch_table, lines_of
from wearon_cli.cli.output import Result, emit
from wearon_cli.cli.photo_batch import PhotoSet, find_photo_sets, is_batch
from wearon_cli.core.body.drawing import COLOURS, HEIGHT_PX, PANEL_PX, annotate
from wearon_cli.core.body.estimate import Estimate, EstimateRequest, estimate
from wearon_cli.core.errors import InputError


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.jpg"
    path.write_bytes(b"never looked at")
    return path


BAD = {
    "too small": ("{} --height 99", 2, "height"),
    "too tall": ("{} --height 251", 2, "height"),
    "too light": ("{} --weight 10", 2, "weight"),
    "no sex": ("{} --sex unknown", 2, "sex"),
    "no garment": ("{} --garment shoes", 2, "garment"),
    "no such chart": ("{} --chart none.json", 4, "there is no size chart"),
    "a chart without the girth": ("{} --garment bottom", 4, "has no waist or hip"),
    "no such photo": ("none.jpg", 4, "there is no file none.jpg"),
    "one missing of two": ("{} none.jpg", 4, "none.jpg"),
    "no photo": ("", 2, "IMAGE"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_options_get_a_sentence_and_an_exit_code(
    case: str, photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(photo.parent)
    words, exit_code, said = BAD[case]
    result = CliRunner().invoke(app, ["estimate", *words.format(photo.name).split()])
    assert result.exit_code == exit_code
    assert said in result.stderr
    assert "Traceback" not in result.output


def test_a_missing_photo_is_reported_in_json(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["estimate", str(tmp_path / "none.jpg"), "--json"])
    document = json.loads(result.stdout)
    assert document["ok"] is False
    assert document["error"]["code"] == "input_error"


# --------------------------------------------------------------------------- which photos


def test_one_photo_is_not_a_batch(photo: Path) -> None:
    assert not is_batch([photo])
    assert find_photo_sets([photo], None, None) == [PhotoSet(front=photo)]


def test_a_folder_is_searched_for_pictures_by_extension(tmp_path: Path) -> None:
    for name in ("b.JPG", "a.png", "notes.txt", "c.webp"):
        (tmp_path / name).touch()
    assert is_batch([tmp_path])
    assert [s.front.name for s in find_photo_sets([tmp_path], None, None)] == [
        "a.png",
        "b.JPG",
        "c.webp",
    ]


def test_an_empty_folder_is_reported(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no photos"):
        find_photo_sets([tmp_path], None, None)


@pytest.mark.parametrize("option", ["side", "drawing"])
def test_options_for_many_photos_need_folders(option: str, photo: Path) -> None:
    with pytest.raises(InputError, match=r"folder|is a file"):
        find_photo_sets([photo, photo], *((photo, None) if option == "side" else (None, photo)))


# --------------------------------------------------------------------------- tables and drawings


def measured(request: EstimateRequest, *, with_side: bool = False) -> Estimate:
    person, side_reading = standing(), from_side()
    reader = FixedReader((person,), (side_reading,))
    side = photo_of(side_reading) if with_side else None
    return estimate(photo_of(person), reader, request, side=side)


def printed(answer: Estimate, capsys: pytest.CaptureFixture[str]) -> list[str]:
    emit(Result(lines=lines_of(answer)), command="estimate", as_json=False)
    return capsys.readouterr().out.splitlines()


@pytest.mark.parametrize("height_cm", [None, STATURE_CM])
def test_the_table_fits_80_columns(
    height_cm: float | None, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = printed(measured(EstimateRequest(height_cm=height_cm)), capsys)
    assert max(map(len, lines)) <= 80


def test_bars_are_as_long_as_the_probabilities(capsys: pytest.CaptureFixture[str]) -> None:
    answer = measured(EstimateRequest(height_cm=STATURE_CM))
    lines = printed(answer, capsys)
    for size, odds in answer.odds.odds.items():
        line = next(line for line in lines if line[2:].split()[:1] == [size])
        assert bar(odds) in line
        assert line.endswith(f"{odds:.0%}")
        assert line.startswith(">") == (size == answer.odds.recommended)


def test_a_band_is_drawn_with_one_mark_per_cm(capsys: pytest.CaptureFixture[str]) -> None:
    answer = measured(EstimateRequest(height_cm=STATURE_CM))
    line = next(each for each in printed(answer, capsys) if each.startswith("chest"))
    low, high = answer.girths.band("chest")
    assert line.count("─") == 2 * round((high - low) / 2)


@pytest.mark.parametrize("width", [60, 80, 200])
def test_many_photos_are_a_table_that_fits(width: int) -> None:
    answer = measured(EstimateRequest(height_cm=STATURE_CM))
    refused = InputError("photos/far.jpg: the person is too far away")
    shown = drawn(batch_table(["near.jpg", "far.jpg"], [answer, refused]), width=width)
    assert max(map(len, shown)) <= width
    assert "near.jpg" in shown[1]
    assert answer.odds.recommended in shown[1]
    assert "none" in "".join(shown[2:])
    assert ("chest" in shown[0]) == (width >= 80)
    assert "the person is too far away" in " ".join(" ".join(shown[2:]).split())


@pytest.mark.parametrize("with_side", [False, True])
def test_every_measure_is_drawn_in_its_colour(with_side: bool) -> None:
    answer = measured(EstimateRequest(height_cm=STATURE_CM), with_side=with_side)
    side = photo_of(from_side()) if with_side else None
    picture = annotate(photo_of(standing()), answer, side)
    assert picture.size == ((2 if with_side else 1) * 760 + PANEL_PX, HEIGHT_PX)
    seen = {pixel for _, pixel in picture.crop((0, 0, 760, HEIGHT_PX)).getcolors(1_000_000) or ()}
    assert set(COLOURS.values()) <= seen
