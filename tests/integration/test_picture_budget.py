"""The measured memory of reading a picture, compared with the estimate from its header."""

import io
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from PIL import Image

from devkit import pictures as kit
from wearon_cli.core.errors import PictureUnusable
from wearon_cli.core.pictures.files import MAX_JPEG_SCANS
from wearon_cli.core.pictures.prepare import prepare, prepare_need, verify_need

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

#: Processes a picture from standard input, and prints the peak memory.
MEASURE = """
import sys
from contextlib import suppress
from pathlib import Path
from PIL import Image
from wearon_cli.core.errors import PictureUnusable
from wearon_cli.core.pictures import prepare as work

def peak_bytes():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) * 1024

data = sys.stdin.buffer.read()
Image.init()
before = peak_bytes()
with suppress(PictureUnusable):
    getattr(work, sys.argv[1])(data)
print(peak_bytes() - before)
"""

WIDTH_PX, HEIGHT_PX = 3600, 2700


def photo(mode: str = "RGB") -> Image.Image:
    image = Image.open(kit.PERSON).convert("RGB").resize((WIDTH_PX, HEIGHT_PX))
    if mode == "RGBA":
        image.putalpha(Image.linear_gradient("L").resize(image.size))
        return image
    return image.convert("L").convert(mode) if mode == "I;16" else image.convert(mode)


def keyed(mode: str) -> bytes:
    """A PNG with a colour that stands for transparent."""
    key = (1, 2, 3) if mode == "RGB" else 7
    return kit.encode(photo(mode), "PNG", compress_level=1, transparency=key)


def png(mode: str) -> bytes:
    return kit.encode(photo(mode), "PNG", compress_level=1)


def jpeg(mode: str = "RGB", **options: Any) -> bytes:
    return kit.encode(photo(mode), quality=85, **options)


def webp(mode: str = "RGB", **options: object) -> bytes:
    return kit.encode(photo(mode), "WEBP", method=0, **options)


#: The heaviest variant of each format. A baseline JPEG takes almost nothing.
PICTURES: dict[str, Callable[[], bytes]] = {
    "JPEG": jpeg,
    "JPEG, progressive": partial(jpeg, progressive=True),
    "JPEG, progressive, full colour": partial(jpeg, progressive=True, subsampling=0),
    "JPEG, progressive, ink colours": partial(jpeg, "CMYK", progressive=True),
    "JPEG, grey": partial(jpeg, "L"),
    **{f"PNG, {mode}": partial(png, mode) for mode in ("1", "L", "LA", "RGB", "RGBA", "P", "I;16")},
    **{f"PNG, {mode}, keyed": partial(keyed, mode) for mode in ("L", "RGB", "P")},
    "WebP": webp,
    "WebP, alpha": partial(webp, "RGBA"),
    "WebP, lossless": partial(webp, lossless=True, quality=0),
    "WebP, lossless, alpha": partial(webp, "RGBA", lossless=True, quality=0),
}


def measured_bytes(work: str, data: bytes) -> int:
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, work], input=data, capture_output=True, check=True
    )
    return int(done.stdout)


@pytest.fixture(scope="module", params=PICTURES)
def picture(request: pytest.FixtureRequest) -> bytes:
    """Each of them, drawn once and held only while its tests run."""
    return PICTURES[request.param]()


@pytest.mark.parametrize("work", ["prepare", "verify"])
def test_no_picture_takes_more_memory_than_estimated(picture: bytes, work: str) -> None:
    need_bytes = prepare_need(picture) if work == "prepare" else verify_need(picture)
    assert measured_bytes(work, picture) <= need_bytes


@pytest.mark.parametrize(
    "picture", ["PNG, RGBA", "WebP", "JPEG, progressive, full colour"], indirect=True
)
def test_the_estimate_is_not_much_above_the_real_memory(picture: bytes) -> None:
    """Otherwise it would refuse readable photos."""
    assert prepare_need(picture) < 2 * measured_bytes("prepare", picture)


@pytest.mark.parametrize(
    ("kind", "size", "options"),
    [
        pytest.param("JPEG", (4000, 3000), {}, id="12 MP JPEG"),
        pytest.param("JPEG", (6000, 4000), {}, id="24 MP JPEG"),
        pytest.param("JPEG", (8064, 6048), {}, id="48 MP JPEG"),
        pytest.param(
            "JPEG", (8064, 6048), {"progressive": True, "subsampling": 0}, id="48 MP, full colour"
        ),
        pytest.param("PNG", (4032, 3024), {"compress_level": 1}, id="12 MP PNG"),
        pytest.param("WEBP", (4032, 3024), {"method": 0}, id="12 MP WebP"),
    ],
)
def test_phone_photos_are_within_the_budget(
    kind: str, size: tuple[int, int], options: dict[str, object]
) -> None:
    held = io.BytesIO()
    Image.open(kit.PERSON).convert("RGB").resize(size).save(held, kind, **options)
    assert prepare_need(held.getvalue()) > 0


BOMBS = {
    "40 bytes of WebP": kit.webp_claiming(7000, 7000),
    "a WebP canvas around a small picture": kit.webp_canvas(7000, 7000),
    "a PNG with alpha": kit.png(7000, 7000, colour=6),
    "a PNG with a transparent colour": kit.png(6000, 6000, kit.png_chunk(b"tRNS", b"\0" * 6)),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_few_bytes_that_cost_hundreds_of_megabytes_are_refused(name: str) -> None:
    """All are below the 50 megapixels that are allowed."""
    with pytest.raises(PictureUnusable, match=r"7000x7000|6000x6000|contradicts itself"):
        prepare(BOMBS[name])
    assert measured_bytes("prepare", BOMBS[name]) < 4_000_000


def test_colour_profiles_after_the_pixels_are_dropped() -> None:
    """A transparent colour makes Pillow use three times the memory; after the pixels the header
    check misses it.
    """
    data = png("RGB")
    late = data[:-12] + kit.png_chunk(b"tRNS", b"\0" * 6) + data[-12:]
    assert (
        prepare_need(late) == prepare_need(data) + 3 * 18
    )  # three copies of a file longer by one chunk
    assert measured_bytes("prepare", late) <= prepare_need(late)


def test_many_scans_over_many_pixels_are_refused() -> None:
    data = kit.encode(photo().resize((4000, 3000)), progressive=True)
    last = data[data.rindex(b"\xff\xda") : -2]
    assert prepare(data[:-2] + last * 2 + b"\xff\xd9").jpeg
    many = data[:-2] + last * 80 + b"\xff\xd9"
    assert many.count(b"\xff\xda") < MAX_JPEG_SCANS
    with pytest.raises(PictureUnusable, match="too many scans"):
        prepare(many)
