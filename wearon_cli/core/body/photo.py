"""
Decodes a photo to upright pixels of the size that is measured.

The pose network sees 256 pixels of a body's height, so a phone photo can be decoded at a fraction
of its size without loss, which JPEG allows in a fraction of the time.
"""

import io
import warnings
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from wearon_cli.core.errors import PictureTooLarge, PictureUnusable
from wearon_cli.core.pictures.budget import prepare_bytes, require_affordable
from wearon_cli.core.pictures.headers import read_header

#: Longest side that is measured.
LONGEST_PX: Final = 1024
#: A JPEG decoded at a half, a quarter or an eighth is not scaled further when its longest side has
#: at least this: the same bodies measure within a cm of one another at 700 and at 1024 px.
ENOUGH_PX: Final = 700
#: Most pixels a photo may claim to have, before anything is decoded.
MAX_PX: Final = 50_000_000
FORMATS: Final = ("JPEG", "PNG", "WEBP")


def read_photo(
    data: bytes, *, max_px: int = MAX_PX, longest_px: int = LONGEST_PX
) -> NDArray[np.uint8]:
    """
    Decode a photo, rotate it upright by its EXIF orientation, and scale it.

    Returns:
        (rows, cols, 3) uint8, RGB, contiguous; the longest side is at most `longest_px`.

    Raises:
        PictureUnusable: It is not a complete JPEG, PNG or WebP picture.
        PictureTooLarge: It claims more than `max_px` pixels.
        PictureTooHeavy: Reading it would take more memory than allowed.
    """
    _require_affordable(data, max_px, longest_px)
    try:
        with warnings.catch_warnings():
            # Pillow's own size warning: the limit here is stricter, and an error.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data), formats=FORMATS) as image:
                return _decode(image, longest_px)
    except UnidentifiedImageError as exc:
        raise PictureUnusable(
            "this is not a JPEG, PNG or WebP picture",
            hint="save the photo as JPEG and try again",
        ) from exc
    except Image.DecompressionBombError as exc:
        raise _too_large(max_px) from exc
    except (OSError, SyntaxError, ValueError, EOFError) as exc:
        raise PictureUnusable(
            "the picture is damaged or incomplete", hint="send the photo again"
        ) from exc


def _require_affordable(data: bytes, max_px: int, longest_px: int) -> None:
    """Check the header alone: a WebP decoder allocates everything when it is opened."""
    header = read_header(data)
    if header.size_px > max_px:
        raise _too_large(max_px)
    needed_bytes = prepare_bytes(header, file_bytes=len(data), longest_px=longest_px)
    require_affordable(header, max_px=max_px, needed_bytes=needed_bytes)


def _decode(image: Image.Image, longest_px: int) -> NDArray[np.uint8]:
    scale = max(image.size) / min(ENOUGH_PX, longest_px)
    if max(image.size) > longest_px:
        # JPEG only: decodes at 1/2, 1/4 or 1/8, never below the size asked for.
        image.draft("RGB", (int(image.width / scale), int(image.height / scale)))
    flat = _flat(image)
    if max(flat.size) > longest_px:
        flat.thumbnail((longest_px, longest_px), Image.Resampling.BILINEAR, reducing_gap=2.0)
    return np.ascontiguousarray(ImageOps.exif_transpose(flat), dtype=np.uint8)


def _flat(image: Image.Image) -> Image.Image:
    """Convert to RGB; transparent pixels become white."""
    if image.mode == "RGB":
        return image
    if image.has_transparency_data:
        layered = image.convert("RGBA")
        canvas = Image.new("RGBA", layered.size, "white")
        flat = Image.alpha_composite(canvas, layered).convert("RGB")
    else:
        flat = image.convert("RGB")
    flat.info["exif"] = image.info.get("exif", b"")
    return flat


def _too_large(max_px: int) -> PictureTooLarge:
    return PictureTooLarge(
        f"the picture has more than {max_px / 1e6:.0f} million pixels",
        hint="send a smaller one",
    )
