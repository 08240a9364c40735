"""Decoding a photo to upright pixels."""

import io

import numpy as np
import pytest
from PIL import Image

from devkit.pictures import corners, encode, webp_claiming
from wearon_cli.core.body.photo import ENOUGH_PX, LONGEST_PX, read_photo
from wearon_cli.core.errors import PictureTooHeavy, PictureTooLarge, PictureUnusable

#: By orientation: the colour that an upright viewer sees top left in the stored `corners()`.
TOP_LEFT = {1: "red", 2: "lime", 3: "white", 4: "blue", 5: "red", 6: "blue", 7: "white", 8: "lime"}
COLOURS = {"red": (255, 0, 0), "lime": (0, 255, 0), "white": (255, 255, 255), "blue": (0, 0, 255)}


def turned(orientation: int, kind: str = "JPEG", size: tuple[int, int] = (64, 96)) -> bytes:
    tags = Image.Exif()
    tags[0x0112] = orientation
    return encode(corners(*size), kind, exif=tags.tobytes())


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", TOP_LEFT)
def test_a_photo_is_turned_upright(orientation: int, kind: str) -> None:
    rgb = read_photo(turned(orientation, kind))
    assert rgb.shape == ((96, 64, 3) if orientation < 5 else (64, 96, 3))
    wanted = np.array(COLOURS[TOP_LEFT[orientation]])
    assert np.abs(rgb[5, 5].astype(int) - wanted).max() < 40


def test_a_rotated_phone_photo_is_rotated_after_it_is_scaled() -> None:
    rgb = read_photo(turned(6, size=(2400, 1800)))
    assert rgb.shape == (1024, 768, 3)
    assert rgb.flags.c_contiguous


@pytest.mark.parametrize(
    "size", [(4032, 3024), (3000, 4000), (1200, 1600), (1025, 500), (2400, 100)]
)
def test_a_large_photo_is_scaled_down(size: tuple[int, int]) -> None:
    rgb = read_photo(encode(corners(*size)))
    rows, cols, _ = rgb.shape
    assert max(rows, cols) <= LONGEST_PX
    assert max(rows, cols) >= ENOUGH_PX
    assert cols / rows == pytest.approx(size[0] / size[1], rel=0.03)


def test_a_small_photo_stays_as_it_is() -> None:
    assert read_photo(encode(corners(64, 96), "PNG")).shape == (96, 64, 3)


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "LA", "CMYK", "1"])
def test_every_mode_becomes_rgb(mode: str) -> None:
    data = encode(corners().convert(mode), "JPEG" if mode == "CMYK" else "PNG")
    rgb = read_photo(data)
    assert rgb.dtype == np.uint8
    assert rgb.shape == (96, 64, 3)


def test_transparent_pixels_become_white() -> None:
    clear = Image.new("RGBA", (8, 8), (255, 0, 0, 0))
    assert (read_photo(encode(clear, "PNG")) == 255).all()


def sixteen_bits() -> bytes:
    held = io.BytesIO()
    Image.new("I;16", (8, 8)).save(held, "TIFF")
    return held.getvalue()


BROKEN = {
    "nothing": b"",
    "text": b"not a picture",
    "cut short": encode(corners(400, 600))[:3000],
    "only a header": b"\x89PNG\r\n\x1a\n",
    "a GIF": encode(corners(), "GIF"),
    "a TIFF": sixteen_bits(),
    "HEIC": b"\0\0\0\x18ftypheic" + bytes(64),
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_is_no_whole_photo_is_refused(case: str) -> None:
    with pytest.raises(PictureUnusable) as refused:
        read_photo(BROKEN[case])
    assert refused.value.hint


def test_too_many_pixels_are_refused_before_they_are_decoded() -> None:
    with pytest.raises(PictureTooLarge, match="more than 0 million"):
        read_photo(encode(corners(200, 200)), max_px=39_999)


def test_a_photo_that_would_cost_hundreds_of_megabytes_is_refused() -> None:
    with pytest.raises(PictureTooHeavy, match="7000x7000"):
        read_photo(webp_claiming(7000, 7000))
