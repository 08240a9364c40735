"""Input pictures: every file becomes an upright, opaque sRGB JPEG, or is refused."""

import io
import threading
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageFile

from devkit import pictures as kit
from wearon_cli.core.errors import PictureUnusable
from wearon_cli.core.pictures.prepare import prepare, verify

RED, LIME, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def colours(jpeg: bytes) -> list[tuple[int, ...]]:
    """The four corners: top left, top right, bottom left, bottom right."""
    image = kit.decode(jpeg)
    assert image.mode == "RGB"
    x, y = image.width - 4, image.height - 4
    found = [image.getpixel(at) for at in ((4, 4), (x, 4), (4, y), (x, y))]
    return [pixel for pixel in found if isinstance(pixel, tuple)]


def near(found: tuple[int, ...], wanted: tuple[int, ...], *, by: int = 12) -> bool:
    return all(abs(a - b) <= by for a, b in zip(found, wanted, strict=True))


def assert_colours(jpeg: bytes, *wanted: tuple[int, ...]) -> None:
    for found, expected in zip(colours(jpeg), wanted, strict=True):
        assert near(found, expected), f"{found} is not {expected}"


# -------------------------------------------------------------------------------- size


@settings(max_examples=40)
@given(
    width=st.integers(16, 3000),
    height=st.integers(16, 3000),
    kind=st.sampled_from(["JPEG", "PNG", "WEBP"]),
)
def test_the_longest_side_is_bounded_and_nothing_is_enlarged(
    width: int, height: int, kind: str
) -> None:
    data = kit.encode(Image.new("RGB", (width, height), "teal"), kind)
    made = prepare(data)
    assert kit.decode(made.jpeg).size == (made.width_px, made.height_px)
    if max(width, height) <= 1024:
        assert (made.width_px, made.height_px) == (width, height)
    else:
        assert 0.94 * 1024 <= max(made.width_px, made.height_px) <= 1024
    scale = max(made.width_px, made.height_px) / max(width, height)
    assert abs(made.width_px - width * scale) <= 1
    assert abs(made.height_px - height * scale) <= 1


def test_another_size_can_be_asked_for() -> None:
    assert prepare(kit.encode(kit.corners(300, 600)), longest_px=200).height_px == 200


@pytest.mark.parametrize("size", [(1, 900), (900, 15)])
def test_a_very_narrow_picture_is_refused(size: tuple[int, int]) -> None:
    with pytest.raises(PictureUnusable, match="too small"):
        prepare(kit.encode(Image.new("RGB", size)))


# ------------------------------------------------------------------------- orientation

ORIENTED = {
    1: (RED, LIME, BLUE, WHITE),
    2: (LIME, RED, WHITE, BLUE),
    3: (WHITE, BLUE, LIME, RED),
    4: (BLUE, WHITE, RED, LIME),
    5: (RED, BLUE, LIME, WHITE),
    6: (BLUE, RED, WHITE, LIME),
    7: (WHITE, LIME, BLUE, RED),
    8: (LIME, WHITE, RED, BLUE),
}


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("orientation", ORIENTED)
def test_a_photo_is_turned_upright(orientation: int, order: str, kind: str) -> None:
    data = kit.encode(kit.corners(), kind, exif=kit.exif(orientation, order))
    made = prepare(data)
    assert_colours(made.jpeg, *ORIENTED[orientation])
    assert (made.width_px < made.height_px) == (orientation < 5)


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_impossible_orientation_is_ignored(orientation: int) -> None:
    made = prepare(kit.encode(kit.corners(), exif=kit.exif(orientation)))
    assert_colours(made.jpeg, *ORIENTED[1])


# ------------------------------------------------------------------------------ colours


def _with_alpha() -> Image.Image:
    image = kit.corners().convert("RGBA")
    image.paste((255, 0, 0, 0), (0, 0, 32, 48))  # red, and not to be seen
    return image


def _palette_with_hole() -> Image.Image:
    image = Image.new("P", (64, 96), 1)
    image.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    image.paste(0, (0, 0, 32, 48))
    return image


def _grey_with_alpha() -> Image.Image:
    image = Image.new("LA", (64, 96), (0, 255))
    image.paste((0, 0), (0, 0, 32, 48))
    return image


def _sixteen_bits() -> Image.Image:
    row = b"\x00\x80" * 32 + b"\xff\xff" * 32
    return Image.frombytes("I;16", (64, 96), row * 96)


BLACK, GREY = (0, 0, 0), (128, 128, 128)
MODES: dict[str, tuple[Callable[[], Image.Image], str, dict[str, Any], tuple[int, ...], Any]] = {
    "alpha in a PNG": (_with_alpha, "PNG", {}, WHITE, LIME),
    "alpha in a WebP": (_with_alpha, "WEBP", {"lossless": True}, WHITE, LIME),
    "a palette": (_palette_with_hole, "PNG", {}, RED, LIME),
    "a palette with a hole": (_palette_with_hole, "PNG", {"transparency": 0}, WHITE, LIME),
    "a colour that is a hole": (kit.corners, "PNG", {"transparency": RED}, WHITE, LIME),
    "grey with alpha": (_grey_with_alpha, "PNG", {}, WHITE, BLACK),
    "grey": (lambda: _grey_with_alpha().convert("L"), "JPEG", {}, BLACK, BLACK),
    "one bit": (lambda: Image.new("1", (64, 96), 1), "PNG", {}, WHITE, WHITE),
    "sixteen bits of grey": (_sixteen_bits, "PNG", {}, GREY, WHITE),
    "ink colours": (lambda: kit.corners().convert("CMYK"), "JPEG", {"quality": 95}, RED, LIME),
    "progressive": (kit.corners, "JPEG", {"progressive": True}, RED, LIME),
}


@pytest.mark.parametrize("name", MODES)
@pytest.mark.parametrize("longest_px", [1024, 48], ids=["as it is", "made smaller"])
def test_every_colour_mode_becomes_rgb_on_white(name: str, longest_px: int) -> None:
    image, kind, options, top_left, top_right = MODES[name]
    made = prepare(kit.encode(image(), kind, **options), longest_px=longest_px)
    found = colours(made.jpeg)
    assert near(found[0], top_left)
    assert near(found[1], top_right)


def test_colours_are_converted_by_the_pictures_own_profile() -> None:
    """A colour space whose red is our green: without conversion the picture would stay red."""
    red, green, blue = kit.SRGB_COLUMNS
    data = kit.encode(
        Image.new("RGB", (64, 64), "red"), icc_profile=kit.icc_profile(green, red, blue)
    )
    assert near(colours(prepare(data).jpeg)[0], LIME, by=20)


def test_a_profile_that_changes_nothing_changes_nothing() -> None:
    data = kit.encode(kit.corners(), icc_profile=kit.icc_profile(*kit.SRGB_COLUMNS))
    assert_colours(prepare(data).jpeg, *ORIENTED[1])


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_broken_profile_is_ignored(kind: str) -> None:
    data = kit.encode(kit.corners(), kind, icc_profile=b"no profile" * 20)
    assert_colours(prepare(data).jpeg, *ORIENTED[1])


def test_only_pixels_are_kept() -> None:
    profile = kit.icc_profile(*kit.SRGB_COLUMNS)
    data = kit.encode(
        kit.corners(),
        exif=kit.exif(6),
        comment=b"secret place",
        dpi=(300, 300),
        icc_profile=profile,
    )
    made = prepare(data).jpeg
    for word in (b"Exif", b"secret", b"ICC_PROFILE", b"http"):
        assert word in data or word == b"http"
        assert word not in made
    assert kit.decode(made).info.get("dpi") is None


# ------------------------------------------------------------------------------ quality


def ssim(one: Image.Image, other: Image.Image) -> float:
    """Structural similarity of two grey pictures, Gaussian window of 11 px (Wang et al. 2004)."""
    kernel = np.exp(-(np.arange(-5, 6) ** 2) / (2 * 1.5**2))
    kernel /= kernel.sum()

    def smooth(pixels: NDArray[np.float64]) -> NDArray[np.float64]:
        for axis in (0, 1):
            slices = np.lib.stride_tricks.sliding_window_view(pixels, 11, axis=axis)
            pixels = slices @ kernel
        return pixels

    a, b = (np.asarray(image.convert("L"), np.float64) for image in (one, other))
    mean_a, mean_b = smooth(a), smooth(b)
    var_a, var_b = smooth(a * a) - mean_a**2, smooth(b * b) - mean_b**2
    both = smooth(a * b) - mean_a * mean_b
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    top = (2 * mean_a * mean_b + c1) * (2 * both + c2)
    return float((top / ((mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2))).mean())


@pytest.mark.parametrize(
    ("size", "small"),
    [
        pytest.param((768, 1024), (192, 256), id="a prepared photo"),
        pytest.param((750, 1000), (188, 250), id="a photo of 12 megapixels, an eighth of it"),
        pytest.param((300, 400), (300, 400), id="a small one, as it is"),
    ],
)
def test_the_copy_for_the_checks_is_the_same_picture_at_about_256_px(
    size: tuple[int, int], small: tuple[int, int]
) -> None:
    made = prepare(kit.encode(Image.open(kit.PERSON).convert("RGB").resize(size), quality=95))
    copy = kit.decode(made.small)
    assert copy.size == small
    full = kit.decode(made.jpeg).resize(small, Image.Resampling.BOX)
    assert ssim(full, copy) >= 0.98


@pytest.mark.parametrize(
    "size", [(3000, 4000), (3024, 4032), (2448, 3264)], ids=["quarter", "quarter of 4032", "filter"]
)
def test_a_phone_photo_stays_sharp(size: tuple[int, int]) -> None:
    """Compared with a full decode and Lanczos, measured on the encoded result."""
    original = kit.encode(kit.photo_12mp().resize(size), quality=92)
    made = prepare(original)
    full = kit.decode(original).resize((made.width_px, made.height_px), Image.Resampling.LANCZOS)
    assert ssim(full, kit.decode(made.jpeg)) >= 0.98


def test_the_similarity_measure_detects_blur() -> None:
    """A measure that finds everything similar would prove nothing."""
    sharp = kit.decode(kit.PERSON.read_bytes())
    blurred = sharp.resize((sharp.width // 4, sharp.height // 4)).resize(sharp.size)
    assert ssim(sharp, sharp) == pytest.approx(1.0)
    assert ssim(sharp, blurred) < 0.975


# ------------------------------------------------------------------------------ refusals

SMALL = Image.open(kit.PERSON).convert("RGB").resize((300, 400))
WHOLE = {kind: kit.encode(SMALL, kind) for kind in ("JPEG", "PNG")}
WHOLE["WEBP"] = kit.encode(kit.corners(300, 400), "WEBP")
LOSSLESS = kit.encode(kit.corners(300, 400), "WEBP", lossless=True)
ANIMATED = kit.encode(
    kit.corners(), "WEBP", save_all=True, append_images=[Image.new("RGB", (64, 96), "red")]
)
REFUSED = {
    "nothing": b"",
    "a word": b"hello",
    "zeros": b"\0" * 4096,
    "a page": b"<html><body>Not found</body></html>",
    "a drawing": b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>',
    "a PDF": b"%PDF-1.7\n%...",
    "a ZIP": b"PK\x03\x04" + b"\0" * 64,
    "GIF": kit.encode(kit.corners(), "GIF"),
    "BMP": kit.encode(kit.corners(), "BMP"),
    "TIFF": kit.encode(kit.corners(), "TIFF"),
    "ICO": kit.encode(kit.corners(), "ICO"),
    "JPEG 2000": kit.encode(kit.corners(), "JPEG2000"),
    "HEIC": kit.iso_file(b"heic"),
    "AVIF": kit.encode(kit.corners(), "AVIF"),
    "only a JPEG's first bytes": b"\xff\xd8\xff",
    "a JPEG of segments without end": b"\xff\xd8" + b"\xff\xe0\0\x02" * 50,
    "a JPEG without a frame": b"\xff\xd8\xff\xda\0\x02\xff\xd9",
    "a JPEG with a segment of no length": b"\xff\xd8\xff\xe0\0\0\xff\xd9",
    "a JPEG with two frames": kit.encode(kit.corners()).replace(
        b"\xff\xc0", b"\xff\xc0\0\x0b\x08\0\x10\0\x10\x01\x01\x11\0\xff\xc0", 1
    ),
    "a JPEG with noise between segments": b"\xff\xd8\xff\xe0\0\x02xx"
    + kit.encode(kit.corners())[2:],
    "a JPEG of thousands of scans": kit.jpeg_of_many_scans(5000),
    "a JPEG claiming 65500x65500": kit.jpeg_claiming(65500, 65500),
    "a JPEG claiming no height": kit.jpeg_claiming(64, 0),
    "a JPEG claiming more than it has": kit.jpeg_claiming(4000, 4000),
    "half a JPEG": WHOLE["JPEG"][: len(WHOLE["JPEG"]) // 2],
    "a JPEG cut in its header": WHOLE["JPEG"][:100],
    "a JPEG that is a PNG inside": b"\xff\xd8\xff" + WHOLE["PNG"],
    "a PNG claiming 100000x100000": kit.png(100_000, 100_000),
    "a PNG claiming 2 billion": kit.png(2**31 - 1, 2**31 - 1),
    "a PNG claiming nothing": kit.png(0, 0),
    "a PNG bomb of zeros": kit.png(30_000, 30_000, pixels=b"\0" * 20_000_000),
    "a PNG with too few pixels": kit.png(64, 64, pixels=b"\0" * 100),
    "a PNG without a header": b"\x89PNG\r\n\x1a\n" + kit.png_chunk(b"IEND", b""),
    "a PNG with a wrong checksum": kit.png(64, 64, pixels=b"\0" * 64 * 193).replace(
        b"IDAT", b"IDAT\x01", 1
    ),
    "half a PNG": WHOLE["PNG"][: len(WHOLE["PNG"]) // 2],
    "a PNG without its end": WHOLE["PNG"][:-12],
    "a PNG with a chunk of 4 GB": kit.png(64, 64)[:33] + b"\xff\xff\xff\xffIDAT",
    "a WebP claiming 16383x16383": kit.webp_canvas(16383, 16383),
    "a WebP whose headers disagree": kit.webp_canvas(640, 480),
    "a WebP without a picture": kit.webp(kit.webp_chunk(b"XMP ", b"<x/>")),
    "a WebP of sound": b"RIFF\x10\0\0\0WEBPWAVEfmt \0\0\0\0",
    "half a WebP": WHOLE["WEBP"][: len(WHOLE["WEBP"]) // 2],
    "half a lossless WebP": LOSSLESS[: len(LOSSLESS) // 2],
    "half a WebP that says it is whole": kit.webp(
        kit.webp_chunk(b"VP8 ", WHOLE["WEBP"][20 : len(WHOLE["WEBP"]) // 2])
    ),
    "an animation": ANIMATED,
    "a WAVE file": b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0",
    "a script that begins like a JPEG": b"\xff\xd8\xff\xe0<?php system($_GET[0]); ?>",
}


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("reader", [prepare, verify])
def test_what_is_no_whole_picture_is_refused(name: str, reader: Callable[[bytes], object]) -> None:
    with pytest.raises(PictureUnusable) as refusal:
        reader(REFUSED[name])
    assert str(refusal.value)


@pytest.mark.parametrize(
    ("name", "word"),
    [("HEIC", "HEIC"), ("AVIF", "AVIF"), ("GIF", "GIF"), ("a PDF", "PDF"), ("a page", "HTML")],
)
def test_the_refusal_names_the_format_and_what_to_send_instead(name: str, word: str) -> None:
    with pytest.raises(PictureUnusable, match=word) as refusal:
        prepare(REFUSED[name])
    assert "JPEG" in refusal.value.hint


def test_more_pixels_than_allowed_are_refused_before_decoding() -> None:
    data = kit.encode(kit.corners(400, 300))
    assert prepare(data, max_px=120_000).width_px == 400
    with pytest.raises(PictureUnusable, match="400x300"):
        prepare(data, max_px=119_999)


@pytest.mark.parametrize("limit_px", [10**9, 10**12])
def test_a_limit_above_pillows_own_causes_no_warning(limit_px: int) -> None:
    """Pillow would warn from 89 megapixels on; here warnings are errors."""
    with pytest.raises(PictureUnusable, match="10000x10000"):
        prepare(kit.png(10_000, 10_000), max_px=limit_px)


def test_metadata_that_makes_pillow_warn_never_reaches_it() -> None:
    broken = b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + b"\x12\x01\x03\0\xff\xff\xff\xff" * 4
    data = kit.encode(kit.corners(), exif=broken)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        Image.open(io.BytesIO(data)).getexif()
        assert caught, "this file should make Pillow warn"
    assert_colours(prepare(data).jpeg, *ORIENTED[1])


@settings(max_examples=300)
@given(
    kind=st.sampled_from([*WHOLE, "LOSSLESS"]),
    edits=st.lists(st.tuples(st.floats(0, 0.999), st.binary(min_size=1, max_size=6)), max_size=8),
    cut=st.floats(0.01, 1),
)
def test_damaged_files_are_read_or_refused_and_nothing_else(
    kind: str, edits: list[tuple[float, bytes]], cut: float
) -> None:
    data = bytearray(LOSSLESS if kind == "LOSSLESS" else WHOLE[kind])
    for place, junk in edits:
        # Squared: most damage near the start, where the headers are.
        at = int(place**4 * len(data))
        data[at : at + len(junk)] = junk
    for reader in (prepare, verify):
        try:
            assert reader(bytes(data[: int(cut * len(data))])).jpeg
        except PictureUnusable:
            continue


@settings(max_examples=200)
@given(
    data=st.binary(max_size=200), start=st.sampled_from([b"", *(w[:12] for w in WHOLE.values())])
)
def test_noise_is_refused_and_nothing_else(data: bytes, start: bytes) -> None:
    with pytest.raises(PictureUnusable):
        prepare(start + data)


def test_many_threads_at_once_give_the_same_answers() -> None:
    good, bomb = WHOLE["JPEG"], REFUSED["a PNG bomb of zeros"]
    expected = prepare(good).jpeg
    together = threading.Barrier(8)

    def work(number: int) -> object:
        together.wait()
        try:
            return prepare(bomb if number % 2 else good).jpeg
        except PictureUnusable:
            return "refused"

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(work, range(8)))
    assert answers == [expected, "refused"] * 4
    assert not ImageFile.LOAD_TRUNCATED_IMAGES
    assert Image.MAX_IMAGE_PIXELS == 89_478_485


# ------------------------------------------------------------------------- pictures out


def test_a_jpeg_answer_is_stored_as_it_came() -> None:
    """It keeps the vendor's provenance marks."""
    answer = kit.encode(kit.corners(640, 960), comment=b"made by a machine")
    assert verify(answer).jpeg == answer


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_another_kind_of_answer_becomes_a_jpeg(kind: str) -> None:
    made = verify(kit.encode(_with_alpha().resize((128, 192)), kind)).jpeg
    assert kit.decode(made).format == "JPEG"
    assert kit.decode(made).size == (128, 192)
    assert near(colours(made)[0], WHITE)


def test_a_jpeg_answer_in_ink_colours_becomes_one_a_browser_shows() -> None:
    made = verify(kit.encode(kit.corners(128, 192).convert("CMYK"), quality=95)).jpeg
    assert kit.decode(made).mode == "RGB"
    assert near(colours(made)[0], RED)


@pytest.mark.parametrize(
    "file",
    [
        pytest.param(lambda image: kit.encode(image, quality=95), id="JPEG"),
        pytest.param(lambda image: kit.encode(image.convert("L")), id="grey JPEG"),
        pytest.param(lambda image: kit.encode(image.convert("CMYK"), quality=95), id="ink colours"),
        pytest.param(lambda image: kit.encode(image, "PNG"), id="PNG"),
    ],
)
def test_the_small_copy_of_an_answer_shows_the_same(file: Callable[[Image.Image], bytes]) -> None:
    made = verify(file(kit.corners(1024, 1536)), with_small=True)
    assert made.small is not None
    assert 240 <= max(kit.decode(made.small).size) < 480
    for of_copy, of_answer in zip(colours(made.small), colours(made.jpeg), strict=True):
        assert near(of_copy, of_answer)


def test_no_copy_is_made_that_nobody_asked_for() -> None:
    assert verify(kit.encode(kit.corners(640, 960))).small is None


@pytest.mark.parametrize("size", [(63, 640), (640, 63)])
def test_a_result_that_is_too_small_is_refused(size: tuple[int, int]) -> None:
    with pytest.raises(PictureUnusable, match="too small"):
        verify(kit.encode(Image.new("RGB", size)))
