"""
Which marks of its origin a picture file carries: content credentials (C2PA), and XMP.

Reads byte by byte: it finds a signature but does not verify it. Where each is kept: C2PA 2.2,
section A.3 (embedding in JPEG, PNG, WebP); XMP part 3, Adobe 2020. The values of the source type
are IPTC's.
"""

import re
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from wearon_cli.core.errors import PictureUnusable
from wearon_cli.core.pictures.headers import Kind, jpeg_segments, png_chunks, sniff, webp_chunks

#: A JPEG's segment of XMP: its marker, and how it begins. The marker is shared with EXIF.
XMP_SEGMENT: Final = 0xE1
XMP_START: Final = b"http://ns.adobe.com/xap/1.0/\0"
_APP11: Final = 0xEB
_SOURCE_TYPE: Final = re.compile(rb"newscodes/digitalsourcetype/([A-Za-z]{1,60})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """What a file says about its origin."""

    has_c2pa: bool = False
    source_type: str | None = None  # IPTC's, as trainedAlgorithmicMedia

    @property
    def any(self) -> bool:
        return self.has_c2pa or self.source_type is not None

    def __str__(self) -> str:
        """As text, for a timeline: `C2PA and XMP trainedAlgorithmicMedia`, or `none`."""
        names = (
            *(("C2PA",) if self.has_c2pa else ()),
            *((f"XMP {self.source_type}",) if self.source_type else ()),
        )
        return " and ".join(names) or "none"


def read_marks(data: bytes) -> Marks:
    """Find the marks of a JPEG, PNG or WebP file. Any other file, or a broken one, has none."""
    kind = sniff(data)
    if kind is None:
        return Marks()
    has_c2pa, source_type = False, None
    try:
        for is_c2pa, body in _PARTS[kind](data):
            if is_c2pa:
                has_c2pa = True
            elif match := _SOURCE_TYPE.search(body):
                source_type = match[1].decode("ascii")
    except (PictureUnusable, struct.error, IndexError):
        pass  # keep what was found before the end
    return Marks(has_c2pa=has_c2pa, source_type=source_type)


def _in_jpeg(data: bytes) -> Iterator[tuple[bool, bytes]]:
    """(whether it belongs to C2PA, bytes) of each part that may hold a mark."""
    for marker, start, end in jpeg_segments(data):
        body = data[start + 4 : end]
        if marker == _APP11 and body.startswith(b"JP") and b"jumb" in body and b"c2pa" in body:
            yield True, body
        elif marker == XMP_SEGMENT and body.startswith(XMP_START):
            yield False, body


def _in_png(data: bytes) -> Iterator[tuple[bool, bytes]]:
    for name, start, end in png_chunks(data):
        body = data[start + 8 : end - 4]
        if name == b"caBX":
            yield True, body
        elif name == b"iTXt" and body.startswith(b"XML:com.adobe.xmp\0"):
            yield False, body


def _in_webp(data: bytes) -> Iterator[tuple[bool, bytes]]:
    for name, start, end in webp_chunks(data):
        if name in {b"C2PA", b"XMP "}:
            yield name == b"C2PA", data[start + 8 : end]


_PARTS: Final[Mapping[Kind, Callable[[bytes], Iterator[tuple[bool, bytes]]]]] = {
    Kind.JPEG: _in_jpeg,
    Kind.PNG: _in_png,
    Kind.WEBP: _in_webp,
}
