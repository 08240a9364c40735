"""
Reads the structure of a picture file: kind, size, orientation, and the bytes that hold the pixels.

Read here, byte by byte, before any decoder sees the file: what a decoder is then given has no
metadata, one picture, a known size. That keeps Pillow's metadata parsers, their warnings and their
decompression out of reach of untrusted input. Only JPEG, PNG and WebP are supported.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from wearon_cli.core.errors import PictureUnusable

#: An encoder writes about ten scans into a progressive JPEG; thousands of them are an attack.
MAX_JPEG_SCANS: Final = 100

_PNG_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
#: Chunks and segments that make pixels and their colours; everything else is left out.
_PNG_KEPT: Final = frozenset({b"IHDR", b"PLTE", b"tRNS", b"iCCP", b"IDAT", b"IEND"})
_WEBP_KEPT: Final = frozenset({b"VP8X", b"ICCP", b"ALPH", b"VP8 ", b"VP8L"})
_JPEG_FRAMES: Final = frozenset({0xC0, 0xC1, 0xC2})  # baseline, extended, progressive
_JPEG_TABLES: Final = frozenset({0xC4, 0xDB, 0xDD})
_JPEG_BARE: Final = frozenset({0x01, *range(0xD0, 0xD9)})
_JPEG_SCAN: Final = 0xDA
#: Application segments kept, by marker and first bytes: they say what the colours mean.
_JPEG_KEPT: Final = {0xE0: b"JFIF\0", 0xE2: b"ICC_PROFILE\0", 0xEE: b"Adobe"}

#: Brands of the ISO container behind "ftyp", by their usual name.
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
_CONVERT_HINT: Final = "save the photo as JPEG, PNG or WebP and send it again"
_BROKEN_HINT: Final = "the file is damaged or was not sent whole; send it again"


class Kind(StrEnum):
    """The kinds of picture files that are read, by Pillow's names."""

    JPEG = "JPEG"
    PNG = "PNG"
    WEBP = "WEBP"

    @property
    def content_type(self) -> str:
        return f"image/{self.value.lower()}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureFile:
    """A picture file without its metadata, not decoded yet."""

    kind: Kind
    data: bytes  # a whole file of this kind: one picture and its colour profile
    width_px: int  # as stored, before the orientation is applied
    height_px: int
    orientation: int  # 1 to 8, as EXIF counts


def sniff(data: bytes) -> Kind | None:
    """The kind by the first bytes; None when it is not supported."""
    if data.startswith(b"\xff\xd8\xff"):
        return Kind.JPEG
    if data.startswith(_PNG_SIGNATURE):
        return Kind.PNG
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return Kind.WEBP
    return None


def read_file(data: bytes) -> PictureFile:
    """
    Take a picture file apart.

    Raises:
        PictureUnusable: Not a whole JPEG, PNG or WebP file, or an animated one.
    """
    kind = sniff(data)
    if kind is None:
        raise PictureUnusable(_what_it_is(data), hint=_CONVERT_HINT)
    try:
        file = _READERS[kind](data)
    except (struct.error, IndexError) as exc:
        raise _broken("ends too early") from exc
    if file.width_px < 1 or file.height_px < 1:
        raise _broken("has no pixels")
    return file


def _what_it_is(data: bytes) -> str:
    if not data:
        return "the picture is empty"
    name = _ISO_BRANDS.get(data[8:12]) if data[4:8] == b"ftyp" else None
    name = name or next((n for start, n in _OTHER_KINDS if data.lstrip().startswith(start)), None)
    if name is None:
        return "this is not a picture we can read"
    return f"this is a {name} file; only JPEG, PNG and WebP pictures can be used"


def _broken(how: str) -> PictureUnusable:
    return PictureUnusable(f"the picture file {how}", hint=_BROKEN_HINT)


# ------------------------------------------------------------------------------- JPEG


def _read_jpeg(data: bytes) -> PictureFile:
    kept = [data[:2]]
    size: tuple[int, int] | None = None
    orientation = 1
    for marker, start, end in _jpeg_segments(data):
        body = data[start + 4 : end]
        if marker == 0xE1 and body.startswith(b"Exif\0\0"):
            orientation = _exif_orientation(body[6:]) or orientation
        elif marker in _JPEG_FRAMES:
            if size is not None:
                raise _broken("holds several pictures in one")
            height_px, width_px = struct.unpack_from(">HH", body, 1)
            size = (width_px, height_px)
        if marker == _JPEG_SCAN:
            kept.append(data[start:])
        elif _is_kept_segment(marker, body):
            kept.append(data[start:end])
    if size is None:
        raise _broken("has no picture in it")
    if len(kept[-1]) * 8 < (size[0] // 8) * (size[1] // 8):  # a bit for every 8x8 pixels
        raise _broken("has fewer pixels than it says")
    if kept[-1].count(b"\xff\xda") > MAX_JPEG_SCANS:
        raise PictureUnusable("the picture has too many scans", hint=_CONVERT_HINT)
    return PictureFile(
        kind=Kind.JPEG,
        data=b"".join(kept),
        width_px=size[0],
        height_px=size[1],
        orientation=orientation,
    )


def _is_kept_segment(marker: int, body: bytes) -> bool:
    if marker in _JPEG_FRAMES or marker in _JPEG_TABLES:
        return True
    start = _JPEG_KEPT.get(marker)
    return start is not None and body.startswith(start)


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """(marker, first byte, byte after the last) of every segment up to the first scan."""
    at = 2
    while True:
        if data[at] != 0xFF:
            raise _broken("has unexpected bytes between its parts")
        while data[at + 1] == 0xFF:  # padding
            at += 1
        marker = data[at + 1]
        if marker in _JPEG_BARE:
            at += 2
            continue
        (length,) = struct.unpack_from(">H", data, at + 2)
        end = at + 2 + length
        if length < 2 or end > len(data) or marker == 0xD9:
            raise _broken("ends too early")
        yield marker, at, end
        if marker == _JPEG_SCAN:
            return
        at = end


# -------------------------------------------------------------------------------- PNG


def _read_png(data: bytes) -> PictureFile:
    kept = [_PNG_SIGNATURE]
    orientation = 1
    at = len(_PNG_SIGNATURE)
    name = b""
    while name != b"IEND":
        length, name = struct.unpack_from(">I4s", data, at)
        end = at + 12 + length
        if end > len(data):
            raise _broken("ends too early")
        if len(kept) == 1 and (name, length) != (b"IHDR", 13):
            raise _broken("has no header")
        if name in _PNG_KEPT:
            kept.append(data[at:end])
        elif name == b"eXIf":
            orientation = _exif_orientation(data[at + 8 : end - 4]) or orientation
        at = end
    width_px, height_px = struct.unpack_from(">II", kept[1], 8)
    return PictureFile(
        kind=Kind.PNG,
        data=b"".join(kept),
        width_px=width_px,
        height_px=height_px,
        orientation=orientation,
    )


# ------------------------------------------------------------------------------- WebP


def _read_webp(data: bytes) -> PictureFile:
    kept: list[bytes] = []
    size: tuple[int, int] | None = None
    orientation = 1
    for name, start, end in _webp_chunks(data):
        body = data[start + 8 : end]
        if name in {b"ANIM", b"ANMF"}:
            raise PictureUnusable("this is an animated picture", hint=_CONVERT_HINT)
        if name == b"EXIF":
            orientation = _exif_orientation(body.removeprefix(b"Exif\0\0")) or orientation
        elif name in _WEBP_KEPT:
            size = size or _webp_size(name, body)
            kept.append(_without_metadata_flags(name, data[start:end]))
    if size is None:
        raise _broken("has no picture in it")
    chunks = b"".join(kept)
    return PictureFile(
        kind=Kind.WEBP,
        data=b"RIFF" + struct.pack("<I", len(chunks) + 4) + b"WEBP" + chunks,
        width_px=size[0],
        height_px=size[1],
        orientation=orientation,
    )


def _webp_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    (claimed,) = struct.unpack_from("<I", data, 4)
    if claimed + 8 > len(data):
        raise _broken("ends too early")
    at, stop = 12, claimed + 8
    while at + 8 <= stop:
        name, length = struct.unpack_from("<4sI", data, at)
        end = at + 8 + length + length % 2
        if end > stop + 1:  # some writers leave out the last padding byte
            raise _broken("ends too early")
        yield name, at, min(end, stop)
        at = end


def _webp_size(name: bytes, body: bytes) -> tuple[int, int] | None:
    """(width, height) in px as this chunk says, if it is one that does."""
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


def _without_metadata_flags(name: bytes, chunk: bytes) -> bytes:
    """The extended header must not announce the EXIF and XMP chunks that are left out."""
    if name != b"VP8X":
        return chunk
    return chunk[:8] + bytes([chunk[8] & ~0x0C]) + chunk[9:]


# ------------------------------------------------------------------------------- EXIF


def _exif_orientation(tiff: bytes) -> int | None:
    """The orientation tag of the first directory, 1 to 8; None without a valid one."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(tiff[:4])
    if order is None:
        return None
    try:
        (at,) = struct.unpack_from(f"{order}I", tiff, 4)
        (count,) = struct.unpack_from(f"{order}H", tiff, at)
        for number in range(count):
            tag, kind, _, value = struct.unpack_from(f"{order}HHIH", tiff, at + 2 + 12 * number)
            if tag == 0x0112:
                return value if kind == 3 and 1 <= value <= 8 else None
    except struct.error:
        return None
    return None


_READERS: Final = {Kind.JPEG: _read_jpeg, Kind.PNG: _read_png, Kind.WEBP: _read_webp}
