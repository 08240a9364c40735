"""
Makes input pictures safe and small, and checks that results are real pictures.

Everything here is pure and blocks: a worker runs it in child processes. Pillow's global state is
not changed, and there are no warnings, since `files` gives the decoders only pixels of a known
size.
"""

import io
from typing import Final

from PIL import Image, ImageCms

from wearon_cli.core.errors import PictureUnusable
from wearon_cli.core.pictures.budget import (
    jpeg_reduction,
    prepare_bytes,
    require_affordable,
    verify_bytes,
)
from wearon_cli.core.pictures.files import PictureFile, read_file
from wearon_cli.core.pictures.headers import Kind, PictureHeader, read_header
from wearon_cli.core.pictures.ports import PreparedPicture, VerifiedPicture

#: Longest side sent to a generator: more pixels cost more and do not improve the result.
LONGEST_PX: Final = 1024
#: Longest side of the copy for the checks, at least about: their network reads 224 pixels of a
#: picture and 256 of a body. To decode it takes a tenth of what the picture takes.
SMALL_PX: Final = 256
#: The copy is reduced by whole pixels; 1000 px by four is near enough.
_SMALL_ENOUGH: Final = 0.94
#: Default limit of decoded pixels: the 50 megapixels of large phone cameras.
MAX_PX: Final = 50_000_000
#: The largest result of any image model has 8.3 megapixels; twice that is an error.
MAX_RESULT_PX: Final = 17_000_000
#: An input with a shorter side than this is too small to pay for.
MIN_SIDE_PX: Final = 16
#: A result with a shorter side than this cannot be a picture of a person.
MIN_RESULT_SIDE_PX: Final = 64

#: Quality and chroma of what we encode; at this size full chroma costs few bytes and keeps the
#: detail of prints.
_JPEG_QUALITY: Final = 92
_JPEG_CHROMA: Final = "4:4:4"
#: As good as Lanczos for large reductions (checked by the SSIM test), in half the time.
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
#: Modes that a resampling filter cannot process, and what they are converted to.
_SIMPLER_MODES: Final = {"1": "L", "PA": "RGBA", "La": "LA", "RGBa": "RGBA", "RGBX": "RGB"}


def prepare(data: bytes, *, longest_px: int = LONGEST_PX, max_px: int = MAX_PX) -> PreparedPicture:
    """
    Make an input picture safe and small: sRGB JPEG, upright, opaque on white, no metadata.

    Args:
        data: An untrusted JPEG, PNG or WebP file.
        longest_px: The longer side is at most this; a smaller picture keeps its size.
        max_px: Most pixels the file may claim to have; nothing is decoded above it.

    Raises:
        PictureUnusable: It is not such a file, is incomplete, or has too few or too many pixels.
    """
    prepare_need(data, longest_px=longest_px, max_px=max_px)
    file = read_file(data)
    image = _decode(file, longest_px=longest_px)
    image = _shrink(_resizable(image), longest_px)
    if file.orientation in _UPRIGHT:
        image = image.transpose(_UPRIGHT[file.orientation])
    image = _flat_srgb(image)
    return PreparedPicture(
        jpeg=_jpeg(image), small=_small(image), width_px=image.width, height_px=image.height
    )


def prepare_need(data: bytes, *, longest_px: int = LONGEST_PX, max_px: int = MAX_PX) -> int:
    """
    The memory that `prepare` will take, in bytes, from the header alone.

    Raises:
        PictureUnusable: As `prepare` would, where the header shows it.
    """
    header = read_header(data)
    _require_side(header, MIN_SIDE_PX)
    needed_bytes = prepare_bytes(header, file_bytes=len(data), longest_px=longest_px)
    require_affordable(header, max_px=_below_warning(max_px), needed_bytes=needed_bytes)
    return needed_bytes


def verify(
    data: bytes,
    *,
    with_small: bool = False,
    min_side_px: int = MIN_RESULT_SIDE_PX,
    max_px: int = MAX_RESULT_PX,
) -> VerifiedPicture:
    """
    Check a generator's answer, and return it as a JPEG file.

    Every byte of it is decoded. A colour JPEG is returned unchanged, with its provenance marks;
    anything else is re-encoded.

    Args:
        data: An untrusted JPEG, PNG or WebP file.
        with_small: Also make the small copy for the checks: 2 ms, where decoding again takes 5.
        min_side_px: The shorter side is at least this.
        max_px: Most pixels the file may claim to have.

    Raises:
        PictureUnusable: It does not decode, or its size is implausible.
    """
    verify_need(data, min_side_px=min_side_px, max_px=max_px)
    file = read_file(data)
    is_jpeg = file.header.kind is Kind.JPEG
    # At an eighth of its size a JPEG is still read to its end, in half the time.
    least_px = SMALL_PX if with_small else 1
    image = _decode(file, longest_px=least_px if is_jpeg else None)
    if is_jpeg and image.mode == "RGB":
        small = _small(_flat_srgb(image)) if with_small else None
        return VerifiedPicture(jpeg=data, small=small)
    if is_jpeg:
        image = _decode(file, longest_px=None)
    image = _flat_srgb(_resizable(image))
    return VerifiedPicture(jpeg=_jpeg(image), small=_small(image) if with_small else None)


def verify_need(
    data: bytes,
    *,
    min_side_px: int = MIN_RESULT_SIDE_PX,
    max_px: int = MAX_RESULT_PX,
) -> int:
    """
    The memory that `verify` will take, in bytes, from the header alone.

    Raises:
        PictureUnusable: As `verify` would, where the header shows it.
    """
    header = read_header(data)
    _require_side(header, min_side_px)
    needed_bytes = verify_bytes(header, file_bytes=len(data))
    require_affordable(header, max_px=_below_warning(max_px), needed_bytes=needed_bytes)
    return needed_bytes


def _require_side(header: PictureHeader, min_side_px: int) -> None:
    if min(header.width_px, header.height_px) < min_side_px:
        raise PictureUnusable(f"a picture of {header.width_px}x{header.height_px} px is too small")


def _below_warning(max_px: int) -> int:
    """Above its own limit Pillow warns, which would affect other threads."""
    return min(max_px, Image.MAX_IMAGE_PIXELS or max_px)


def _decode(file: PictureFile, *, longest_px: int | None) -> Image.Image:
    """
    Decode, a JPEG at a fraction of its size where that is still at least about `longest_px`.

    `icc_profile` is the only metadata left in the result.
    """
    header = file.header
    try:
        image = Image.open(io.BytesIO(file.data), formats=(header.kind.value,))
        if image.size != (header.width_px, header.height_px):
            raise PictureUnusable("the picture's headers disagree about its size")
        if longest_px is not None and header.kind is Kind.JPEG:
            by = jpeg_reduction(header, longest_px)
            image.draft(None, (max(1, image.width // by), max(1, image.height // by)))
        image.load()
    except (OSError, SyntaxError, ValueError, EOFError, OverflowError) as exc:
        raise PictureUnusable(
            "the picture is damaged or incomplete", hint="send the photo again"
        ) from exc
    return image


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
    """Convert to sRGB; transparent pixels become white."""
    profile = image.info.get("icc_profile")
    if image.mode in {"LA", "RGBA"}:
        layered = image.convert("RGBA")
        colours = _srgb(layered.convert("RGB"), profile)
        white = Image.new("RGB", image.size, "white")
        white.paste(colours, mask=layered.getchannel("A"))
        return white
    return _srgb(image, profile)


def _srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Convert by the picture's own colour profile; an unusable profile is ignored."""
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


def _small(image: Image.Image) -> bytes:
    """The copy for the checks."""
    return _jpeg(image.reduce(max(1, int(max(image.size) / (SMALL_PX * _SMALL_ENOUGH)))))


def _jpeg(image: Image.Image) -> bytes:
    held = io.BytesIO()
    image.info = {}  # otherwise Pillow writes profile, comment and resolution into the file
    image.save(held, "JPEG", quality=_JPEG_QUALITY, subsampling=_JPEG_CHROMA)
    return held.getvalue()
