"""
Strips a picture file to its pixels.

The file is parsed byte by byte, before any decoder sees it: the decoder then gets one picture of a
known size without metadata. So untrusted data never reaches Pillow's metadata parsers and their
decompression.
"""

import re
import struct
from dataclasses import dataclass
from typing import Final

from wearon_cli.core.errors import PictureUnusable
from wearon_cli.core.pictures.headers import (
    CONVERT_HINT,
    JPEG_FRAMES,
    JPEG_SCAN,
    PNG_SIGNATURE,
    Kind,
    PictureHeader,
    broken,
    jpeg_segments,
    png_chunks,
    read_header,
    webp_chunks,
)

#: An encoder writes about ten scans into a progressive JPEG; thousands of them are an attack.
MAX_JPEG_SCANS: Final = 100
#: Every scan covers all pixels again: twenty scans of the 50 megapixels of a large camera take
#: about a second.
MAX_JPEG_SCANNED_PX: Final = 1_000_000_000

#: Chunks and segments that define pixels and their colours; everything else is removed.
_PNG_KEPT: Final = frozenset({b"IHDR", b"PLTE", b"tRNS", b"iCCP", b"IDAT", b"IEND"})
#: Those that may follow the first pixels. Colours that come later would not be in the budget.
_PNG_PIXELS: Final = frozenset({b"IDAT", b"IEND"})
_WEBP_KEPT: Final = frozenset({b"VP8X", b"ICCP", b"ALPH", b"VP8 ", b"VP8L"})
#: A scan's marker. `bytes.count` takes three times as long for it.
_SCANS: Final = re.compile(b"\xff\xda")
_JPEG_TABLES: Final = frozenset({0xC4, 0xDB, 0xDD})
#: Application segments that are kept, by marker and first bytes: they define the colours.
_JPEG_KEPT: Final = {0xE0: b"JFIF\0", 0xE2: b"ICC_PROFILE\0", 0xEE: b"Adobe"}


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureFile:
    """A picture file without metadata, not decoded yet."""

    header: PictureHeader
    data: bytes  # a complete file of this format: one picture and its colour profile
    orientation: int  # 1 to 8, as EXIF counts


def read_file(data: bytes) -> PictureFile:
    """
    Parse a picture file.

    Raises:
        PictureUnusable: It is not a complete JPEG, PNG or WebP file, or it is animated.
    """
    header = read_header(data)
    try:
        return _READERS[header.kind](data, header)
    except (struct.error, IndexError) as exc:
        raise broken("ends too early") from exc


def _read_jpeg(data: bytes, header: PictureHeader) -> PictureFile:
    kept = [data[:2]]
    orientation = 1
    for marker, start, end in jpeg_segments(data):
        body = data[start + 4 : end]
        if marker == 0xE1 and body.startswith(b"Exif\0\0"):
            orientation = _exif_orientation(body[6:]) or orientation
        if marker == JPEG_SCAN:
            kept.append(data[start:])
        elif _is_kept_segment(marker, body):
            kept.append(data[start:end])
    _require_sane_scans(kept[-1], header)
    return PictureFile(header=header, data=b"".join(kept), orientation=orientation)


def _require_sane_scans(coded: bytes, header: PictureHeader) -> None:
    if len(coded) * 8 < (header.width_px // 8) * (header.height_px // 8):  # a bit for 8x8 pixels
        raise broken("has fewer pixels than its header says")
    scans = sum(1 for _ in _SCANS.finditer(coded))
    if scans > MAX_JPEG_SCANS or scans * header.size_px > MAX_JPEG_SCANNED_PX:
        raise PictureUnusable("the picture has too many scans", hint=CONVERT_HINT)


def _is_kept_segment(marker: int, body: bytes) -> bool:
    if marker in JPEG_FRAMES or marker in _JPEG_TABLES:
        return True
    start = _JPEG_KEPT.get(marker)
    return start is not None and body.startswith(start)


def _read_png(data: bytes, header: PictureHeader) -> PictureFile:
    kept = [PNG_SIGNATURE]
    keeps = _PNG_KEPT
    orientation = 1
    for name, start, end in png_chunks(data):
        keeps = _PNG_PIXELS if name == b"IDAT" else keeps
        if name in keeps:
            kept.append(data[start:end])
        elif name == b"eXIf":
            orientation = _exif_orientation(data[start + 8 : end - 4]) or orientation
    return PictureFile(header=header, data=b"".join(kept), orientation=orientation)


def _read_webp(data: bytes, header: PictureHeader) -> PictureFile:
    kept: list[bytes] = []
    orientation = 1
    for name, start, end in webp_chunks(data):
        if name == b"EXIF":
            body = data[start + 8 : end]
            orientation = _exif_orientation(body.removeprefix(b"Exif\0\0")) or orientation
        elif name in _WEBP_KEPT:
            kept.append(_without_metadata_flags(name, data[start:end]))
    chunks = b"".join(kept)
    whole = b"RIFF" + struct.pack("<I", len(chunks) + 4) + b"WEBP" + chunks
    return PictureFile(header=header, data=whole, orientation=orientation)


def _without_metadata_flags(name: bytes, chunk: bytes) -> bytes:
    """Clear the flags of the EXIF and XMP chunks, which are removed."""
    if name != b"VP8X":
        return chunk
    return chunk[:8] + bytes([chunk[8] & ~0x0C]) + chunk[9:]


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
