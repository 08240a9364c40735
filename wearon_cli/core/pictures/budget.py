"""
The memory that processing a picture takes, computed from its header before decoding.

A file of 40 bytes can claim 49 megapixels. The file's size does not matter, but what the decoder
allocates for its pixels, which depends on the format: 0 to 8 bytes a pixel for a JPEG, which is
decoded at a fraction of its size, 2 to 12 for a PNG, 17 for a WebP. The numbers were measured with
Pillow 13 on photos of 12 to 49 megapixels; `tests/integration/test_picture_budget.py` measures them
again.
"""

from typing import Final

from wearon_cli.core.errors import PictureTooHeavy, PictureUnusable
from wearon_cli.core.pictures.headers import Kind, PictureHeader

#: Most memory one picture may take. Enough for 48 megapixels of a phone as a progressive JPEG with
#: full colour (312 MB), 50 as an opaque PNG, and 18 as a WebP.
MAX_DECODE_BYTES: Final = 340_000_000
#: For each pixel of a decoded JPEG: decoded, resized, rotated upright.
_SHRUNK_BYTES_PER_PX: Final = 12
#: For each pixel of an answer that is re-encoded at its full size: colours, alpha, the white below,
#: a colour profile's copy, and what a WebP decoder keeps (measured: up to 25.5).
_FULL_SIZE_BYTES_PER_PX: Final = 26
#: Copies of the file: received, stripped, and passed to a decoder.
_FILE_COPIES: Final = 3
#: Resampling steps and the finished picture, at most 1024 px a side.
_FIXED_BYTES: Final = 16_000_000

#: JPEG decoders halve a picture up to three times for less than a full decode costs. If the result
#: is this close below the requested size, it is not resized: phone photos of 4000 and 4032 px
#: become 1000 and 1008 px without any resampling.
_NEAR_ENOUGH: Final = 0.94
_JPEG_REDUCTIONS: Final = (2, 4, 8)


def jpeg_reduction(header: PictureHeader, longest_px: int) -> int:
    """The factor by which a JPEG is reduced while it is decoded: 1, 2, 4 or 8."""
    longest = max(header.width_px, header.height_px)
    fits = [n for n in _JPEG_REDUCTIONS if longest / n >= longest_px * _NEAR_ENOUGH]
    return fits[-1] if fits else 1


def prepare_bytes(header: PictureHeader, *, file_bytes: int, longest_px: int) -> int:
    """Most memory that `prepare` takes for this picture, in bytes."""
    decoded = header.bytes_per_px * header.size_px
    if header.kind is Kind.JPEG:
        shrunk_px = header.size_px / jpeg_reduction(header, longest_px) ** 2
        decoded += _SHRUNK_BYTES_PER_PX * shrunk_px
    return round(decoded) + _FILE_COPIES * file_bytes + _FIXED_BYTES


def verify_bytes(header: PictureHeader, *, file_bytes: int) -> int:
    """Most memory that `verify` takes for this picture, in bytes."""
    decoded = max(header.bytes_per_px, _FULL_SIZE_BYTES_PER_PX) * header.size_px
    return round(decoded) + _FILE_COPIES * file_bytes + _FIXED_BYTES


def require_affordable(header: PictureHeader, *, max_px: int, needed_bytes: int) -> None:
    """
    Refuse a picture of too many pixels, or of pixels that take too much memory.

    Raises:
        PictureUnusable: More pixels than `max_px`.
        PictureTooHeavy: More memory than `MAX_DECODE_BYTES`.
    """
    size = f"{header.width_px}x{header.height_px} px"
    if header.size_px > max_px:
        raise PictureUnusable(
            f"the picture has {size}, more than allowed",
            hint=f"at most {max_px // 1_000_000} megapixels; send a smaller one",
        )
    if needed_bytes > MAX_DECODE_BYTES:
        raise PictureTooHeavy(
            f"reading a {header.kind.value} picture of {size} takes {needed_bytes / 1e6:.0f} MB, "
            f"more than the {MAX_DECODE_BYTES / 1e6:.0f} MB allowed",
            hint="send a smaller one, or save it as an ordinary JPEG",
        )
