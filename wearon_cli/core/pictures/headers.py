"""
Reads the header of a picture file: its format, its size, and the memory needed to decode it.

Read byte by byte and without a copy, in a few microseconds, before any decoder sees the file.
Supports only JPEG, PNG and WebP. `files` parses the rest of a file.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from wearon_cli.core.errors import PictureUnusable

PNG_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
JPEG_FRAMES: Final = frozenset({0xC0, 0xC1, 0xC2})  # baseline, extended, progressive
JPEG_SCAN: Final = 0xDA
_JPEG_PROGRESSIVE: Final = 0xC2
_JPEG_BARE: Final = frozenset({0x01, *range(0xD0, 0xD9)})
#: Parts before the pixels begin. A colour profile has at most 255 in a JPEG, EXIF and XMP a few.
MAX_PARTS_BEFORE_PIXELS: Final = 1000

#: Bytes per pixel that Pillow holds of a PNG until it is shrunk, by the colour type in its header:
#: the decoded picture, and a copy in a mode that a resampling filter can process.
_PNG_BYTES_PER_PX: Final = {0: 2, 2: 4, 3: 5, 4: 8, 6: 8}
#: The same with a transparent colour: the picture, as RGBA, and with premultiplied alpha.
_PNG_KEYED_BYTES_PER_PX: Final = 12
#: The same for 16-bit grey: 2 as decoded, 4 as integers twice, 1 as grey (measured: 9.7).
_PNG_GREY_16_BYTES_PER_PX: Final = 11
#: The same of a WebP (measured: 15.5 to 16.6): libwebp's canvas and the one before it, the bytes
#: handed over, and Pillow's own picture.
_WEBP_BYTES_PER_PX: Final = 17
#: All of a JPEG's coefficients are held when its samples come in several scans.
_JPEG_BYTES_PER_COEFFICIENT: Final = 2

#: Brands of the ISO container after "ftyp", and their common names.
_ISO_BRANDS: Final = {
    b"avif": "AVIF",
    b"avis": "AVIF",
    **dict.fromkeys((b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1"), "HEIC"),
}
#: First bytes of other files that arrive as pictures.
_OTHER_KINDS: Final = (
    (b"GIF8", "GIF"),
    (b"BM", "BMP"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"%PDF", "PDF"),
    (b"\0\0\x01\0", "ICO"),
    (b"8BPS", "Photoshop"),
    (b"<", "HTML or SVG"),
    (b"PK\x03\x04", "ZIP"),
)
CONVERT_HINT: Final = "save the photo as JPEG, PNG or WebP and send it again"
_BROKEN_HINT: Final = "the file is damaged or incomplete; send it again"


class Kind(StrEnum):
    """The kinds of picture files that are read, by Pillow's names."""

    JPEG = "JPEG"
    PNG = "PNG"
    WEBP = "WEBP"

    @property
    def content_type(self) -> str:
        return f"image/{self.value.lower()}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureHeader:
    """The header of a picture file. Nothing is decoded yet."""

    kind: Kind
    width_px: int  # as stored, before the orientation is applied
    height_px: int
    #: Bytes held per stored pixel while decoding, however small the result is.
    bytes_per_px: float

    @property
    def size_px(self) -> int:
        return self.width_px * self.height_px


def sniff(data: bytes) -> Kind | None:
    """The format, by the first bytes; None when it is not supported."""
    if data.startswith(b"\xff\xd8\xff"):
        return Kind.JPEG
    if data.startswith(PNG_SIGNATURE):
        return Kind.PNG
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return Kind.WEBP
    return None


def read_header(data: bytes) -> PictureHeader:
    """
    Read what comes before the pixels.

    Raises:
        PictureUnusable: Not a JPEG, PNG or WebP file, an animated one, or a damaged header.
    """
    kind = sniff(data)
    if kind is None:
        raise PictureUnusable(_what_it_is(data), hint=CONVERT_HINT)
    try:
        header = _READERS[kind](data)
    except (struct.error, IndexError) as exc:
        raise broken("ends too early") from exc
    if header.width_px < 1 or header.height_px < 1:
        raise broken("has no pixels according to its header")
    return header


def _what_it_is(data: bytes) -> str:
    if not data:
        return "the picture is empty"
    name = _ISO_BRANDS.get(data[8:12]) if data[4:8] == b"ftyp" else None
    start = data[:256].lstrip()
    name = name or next((n for first, n in _OTHER_KINDS if start.startswith(first)), None)
    if name is None:
        return "this is not a supported picture"
    return f"{name} files are not supported, only JPEG, PNG and WebP pictures"


def broken(how: str) -> PictureUnusable:
    """The refusal of a file that does not follow its format."""
    return PictureUnusable(f"the picture file {how}", hint=_BROKEN_HINT)


# ------------------------------------------------------------------------------- JPEG


def _jpeg_header(data: bytes) -> PictureHeader:
    frame: tuple[int, int] | None = None  # marker, start
    in_first_scan = 0
    for marker, start, _ in jpeg_segments(data):
        if marker in JPEG_FRAMES:
            if frame is not None:
                raise broken("contains several pictures")
            frame = marker, start
        elif marker == JPEG_SCAN:
            in_first_scan = data[start + 4]
    if frame is None:
        raise broken("has no picture in it")
    height_px, width_px, components = struct.unpack_from(">HHB", data, frame[1] + 5)
    in_scans = frame[0] == _JPEG_PROGRESSIVE or in_first_scan < components
    samples = _jpeg_samples_per_px(data, frame[1], components)
    return PictureHeader(
        kind=Kind.JPEG,
        width_px=width_px,
        height_px=height_px,
        bytes_per_px=_JPEG_BYTES_PER_COEFFICIENT * samples if in_scans else 0.0,
    )


def _jpeg_samples_per_px(data: bytes, frame: int, components: int) -> float:
    """3 when colour is stored at full size, 1.5 when at half each way."""
    factors = [data[frame + 11 + 3 * number] for number in range(components)]
    wide, high = [f >> 4 for f in factors], [f & 15 for f in factors]
    if not factors or min(wide) < 1 or min(high) < 1:
        raise broken("has a frame without samples")
    stored = sum(w * h for w, h in zip(wide, high, strict=True))
    return stored / (max(wide) * max(high))


def jpeg_segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """(marker, first byte, byte after the last) of every segment up to the first scan."""
    at = 2
    for _ in range(MAX_PARTS_BEFORE_PIXELS):
        if data[at] != 0xFF:
            raise broken("has unexpected bytes between its parts")
        while data[at + 1] == 0xFF:  # padding
            at += 1
        marker = data[at + 1]
        if marker in _JPEG_BARE:
            at += 2
            continue
        (length,) = struct.unpack_from(">H", data, at + 2)
        end = at + 2 + length
        if length < 2 or end > len(data) or marker == 0xD9:
            raise broken("ends too early")
        yield marker, at, end
        if marker == JPEG_SCAN:
            return
        at = end
    raise broken("has too many parts before its pixels")


# -------------------------------------------------------------------------------- PNG


def _png_header(data: bytes) -> PictureHeader:
    keyed = False
    for number, (name, _, _) in enumerate(png_chunks(data)):
        if number > MAX_PARTS_BEFORE_PIXELS:
            raise broken("has too many parts before its pixels")
        keyed = keyed or name == b"tRNS"
        if name in {b"IDAT", b"IEND"}:
            break
    width_px, height_px, depth, colour = struct.unpack_from(">IIBB", data, 16)
    if colour not in _PNG_BYTES_PER_PX:
        raise broken("has an unknown colour type")
    bytes_per_px = _PNG_BYTES_PER_PX[colour]
    if keyed:
        bytes_per_px = _PNG_KEYED_BYTES_PER_PX
    elif (colour, depth) == (0, 16):
        bytes_per_px = _PNG_GREY_16_BYTES_PER_PX
    return PictureHeader(
        kind=Kind.PNG, width_px=width_px, height_px=height_px, bytes_per_px=bytes_per_px
    )


def png_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """(name, first byte, byte after the last) of every chunk up to the end of the picture."""
    at = len(PNG_SIGNATURE)
    name = b""
    while name != b"IEND":
        length, name = struct.unpack_from(">I4s", data, at)
        end = at + 12 + length
        if end > len(data):
            raise broken("ends too early")
        is_first = at == len(PNG_SIGNATURE)
        if is_first != (name == b"IHDR") or (is_first and length != 13):
            raise broken("has no header, or two")
        yield name, at, end
        at = end


# ------------------------------------------------------------------------------- WebP


def _webp_header(data: bytes) -> PictureHeader:
    sizes: list[tuple[int, int]] = []
    for name, start, end in webp_chunks(data):
        if name in {b"ANIM", b"ANMF"}:
            raise PictureUnusable("this is an animated picture", hint=CONVERT_HINT)
        if (size := _webp_size(name, data[start + 8 : min(end, start + 18)])) is not None:
            sizes.append(size)
    if not sizes:
        raise broken("has no picture in it")
    if len(set(sizes)) > 1 or len(sizes) > 2:  # the canvas and the one picture on it
        raise broken("contradicts itself about its size")
    width_px, height_px = sizes[0]
    return PictureHeader(
        kind=Kind.WEBP, width_px=width_px, height_px=height_px, bytes_per_px=_WEBP_BYTES_PER_PX
    )


def webp_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """(name, first byte, byte after the last) of every chunk."""
    (claimed,) = struct.unpack_from("<I", data, 4)
    if claimed + 8 > len(data):
        raise broken("ends too early")
    at, stop = 12, claimed + 8
    for _ in range(MAX_PARTS_BEFORE_PIXELS):
        if at + 8 > stop:
            return
        name, length = struct.unpack_from("<4sI", data, at)
        end = at + 8 + length + length % 2
        if end > stop + 1:  # some writers omit the last padding byte
            raise broken("ends too early")
        yield name, at, min(end, stop)
        at = end
    raise broken("has too many parts")


def _webp_size(name: bytes, body: bytes) -> tuple[int, int] | None:
    """(width, height) in px, if this chunk states them."""
    if name == b"VP8X":
        return _uint24(body, 4) + 1, _uint24(body, 7) + 1
    if name == b"VP8 ":
        width_px, height_px = struct.unpack_from("<HH", body, 6)
        return width_px & 0x3FFF, height_px & 0x3FFF
    if name == b"VP8L":
        (bits,) = struct.unpack_from("<I", body, 1)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    return None


def _uint24(body: bytes, at: int) -> int:
    low, high = struct.unpack_from("<HB", body, at)
    return int(low) | int(high) << 16


_READERS: Final = {Kind.JPEG: _jpeg_header, Kind.PNG: _png_header, Kind.WEBP: _webp_header}
