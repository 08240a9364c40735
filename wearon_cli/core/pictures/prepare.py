"""
Input pictures made safe and small; results checked to be real pictures.

Everything here is pure and blocks: callers run it in threads. Nothing of Pillow's global state is
changed, and nothing warns, since `files` hands the decoders bare pixels of a known size.
"""

import io
from typing import Final

from PIL import Image, ImageCms

from wearon_cli.core.errors import PictureUnusable
from wearon_cli.core.pictures.files import Kind, PictureFile, read_file
from wearon_cli.core.pictures.ports import PreparedPicture

#: Longest side sent to a generator: what it looks at costs by the pixel, and shows no more.
LONGEST_PX: Final = 1024
#: Most pixels that are decoded unless said otherwise: the 50 megapixels of large phone cameras.
MAX_PX: Final = 50_000_000
#: The largest answer any image model gives has 8.3 megapixels; twice that is wrong.
MAX_RESULT_PX: Final = 17_000_000
#: An input with a shorter side than this is too small to pay for.
MIN_SIDE_PX: Final = 16
#: A result with a shorter side than this cannot be a picture of a person.
MIN_RESULT_SIDE_PX: Final = 64

#: JPEG decoders halve a picture up to three times for less than a full decode costs. When that
#: lands this close below the size asked for, it is taken as it is: phone photos of 4000 and
#: 4032 px become 1000 and 1008 px without any resampling.
_NEAR_ENOUGH: Final = 0.94
_JPEG_REDUCTIONS: Final = (2, 4, 8)
#: Quality and chroma of what we encode; at this size full chroma costs few bytes and keeps prints.
_JPEG_QUALITY: Final = 92
_JPEG_CHROMA: Final = "4:4:4"
#: As good as Lanczos for large reductions (the SSIM test holds it to that), at half its time.
_FILTER: Final = Image.Resampling.HAMMING
#: Reduce by whole pixels down to this multiple of the target before the filter runs.
_REDUCING_GAP: Final = 2.0

_UPRIGHT: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
#: Modes that a resampling filter cannot work in, and what they become first.
_SIMPLER_MODES: Final = {"1": "L", "PA": "RGBA", "La": "LA", "RGBa": "RGBA", "RGBX": "RGB"}


def prepare(data: bytes, *, longest_px: int = LONGEST_PX, max_px: int = MAX_PX) -> PreparedPicture:
    """
    Make an input picture safe and small: sRGB JPEG, upright, opaque on white, no metadata.

    Args:
        data: A JPEG, PNG or WebP file from anyone.
        longest_px: The longer side is at most this; a smaller picture keeps its size.
        max_px: Most pixels the file may claim to have; nothing is decoded above it.

    Raises:
        PictureUnusable: Not such a file, not whole, or fewer or more pixels than allowed.
    """
    file = read_file(data)
    _require_side(file, MIN_SIDE_PX)
    image = _decode(file, max_px=max_px, longest_px=longest_px)
    image = _shrink(_resizable(image), longest_px)
    if file.orientation in _UPRIGHT:
        image = image.transpose(_UPRIGHT[file.orientation])
    image = _flat_srgb(image)
    return PreparedPicture(jpeg=_jpeg(image), width_px=image.width, height_px=image.height)


def verify(
    data: bytes,
    *,
    min_side_px: int = MIN_RESULT_SIDE_PX,
    max_px: int = MAX_RESULT_PX,
) -> bytes:
    """
    Check a generator's answer, and return it as a JPEG file.

    Every byte of it is decoded. A colour JPEG is returned as it came, with the marks of its origin;
    anything else is encoded anew.

    Raises:
        PictureUnusable: It does not decode, or its size is implausible.
    """
    file = read_file(data)
    _require_side(file, min_side_px)
    # At an eighth of its size a JPEG is still read to its end, for half the time.
    image = _decode(file, max_px=max_px, longest_px=1 if file.kind is Kind.JPEG else None)
    if file.kind is Kind.JPEG and image.mode == "RGB":
        return data
    if file.kind is Kind.JPEG:
        image = _decode(file, max_px=max_px, longest_px=None)
    return _jpeg(_flat_srgb(_resizable(image)))


def _require_side(file: PictureFile, min_side_px: int) -> None:
    if min(file.width_px, file.height_px) < min_side_px:
        raise PictureUnusable(f"a picture of {file.width_px}x{file.height_px} px is too small")


def _decode(file: PictureFile, *, max_px: int, longest_px: int | None) -> Image.Image:
    """
    Decode, a JPEG at a fraction of its size where that is still at least about `longest_px`.

    `icc_profile` is the only metadata left in the result.
    """
    # Above its own limit Pillow warns, through state that other threads share.
    allowed_px = min(max_px, Image.MAX_IMAGE_PIXELS or max_px)
    if file.width_px * file.height_px > allowed_px:
        raise PictureUnusable(
            f"the picture has {file.width_px}x{file.height_px} px, more than allowed",
            hint=f"at most {allowed_px // 1_000_000} megapixels; send a smaller one",
        )
    try:
        image = Image.open(io.BytesIO(file.data), formats=(file.kind.value,))
        if image.size != (file.width_px, file.height_px):
            raise PictureUnusable("the picture's headers disagree about its size")
        if longest_px is not None:
            _draft(image, longest_px)
        image.load()
    except (OSError, SyntaxError, ValueError, EOFError, OverflowError) as exc:
        raise PictureUnusable(
            "the picture is damaged or incomplete", hint="send the photo again"
        ) from exc
    return image


def _draft(image: Image.Image, longest_px: int) -> None:
    """Let a JPEG decoder reduce; other decoders ignore it."""
    longest = max(image.size)
    fits = [n for n in _JPEG_REDUCTIONS if longest / n >= longest_px * _NEAR_ENOUGH]
    if fits:
        image.draft(None, (max(1, image.width // fits[-1]), max(1, image.height // fits[-1])))


def _resizable(image: Image.Image) -> Image.Image:
    """The same picture in a mode with whole samples: L, LA, RGB, RGBA, CMYK or YCbCr."""
    mode = image.mode
    if mode == "P":
        return image.convert("RGBA" if image.has_transparency_data else "RGB")
    if mode in {"I", "F"} or mode.startswith("I;16"):
        return _eight_bits(image)
    if mode in {"L", "RGB"} and "transparency" in image.info:
        return image.convert("RGBA")
    return image.convert(_SIMPLER_MODES[mode]) if mode in _SIMPLER_MODES else image


def _eight_bits(image: Image.Image) -> Image.Image:
    """16-bit grey to 8 bits by scaling; Pillow's own conversion cuts off instead."""
    return image.convert("I").point(lambda value: value * (1 / 256)).convert("L")


def _shrink(image: Image.Image, longest_px: int) -> Image.Image:
    scale = longest_px / max(image.size)
    if scale >= 1:
        return image
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    small = image.resize(size, _FILTER, reducing_gap=_REDUCING_GAP)
    small.info = image.info
    return small


def _flat_srgb(image: Image.Image) -> Image.Image:
    """RGB in the sRGB space; what is transparent becomes white."""
    profile = image.info.get("icc_profile")
    if image.mode in {"LA", "RGBA"}:
        layered = image.convert("RGBA")
        colours = _srgb(layered.convert("RGB"), profile)
        white = Image.new("RGB", image.size, "white")
        white.paste(colours, mask=layered.getchannel("A"))
        return white
    return _srgb(image, profile)


def _srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Convert by the picture's own colour profile; one that cannot be used is ignored."""
    if profile:
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            if "sRGB" not in ImageCms.getProfileDescription(source):
                changed = ImageCms.profileToProfile(
                    image, source, ImageCms.createProfile("sRGB"), outputMode="RGB"
                )
                image = changed or image
        except (ImageCms.PyCMSError, OSError, ValueError):
            pass
    return image if image.mode == "RGB" else image.convert("RGB")


def _jpeg(image: Image.Image) -> bytes:
    held = io.BytesIO()
    image.info = {}  # Pillow would write profile, comment and resolution from here into the file
    image.save(held, "JPEG", quality=_JPEG_QUALITY, subsampling=_JPEG_CHROMA)
    return held.getvalue()
