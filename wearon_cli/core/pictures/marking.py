"""
Marks a picture as AI-generated if its provider did not.

A picture that already has a mark is never changed: one more byte would break its signature.
"""

import asyncio
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

from wearon_cli.core.errors import ConfigError, PictureUnusable
from wearon_cli.core.events import emit
from wearon_cli.core.pictures.events import PictureNotSigned
from wearon_cli.core.pictures.headers import jpeg_segments
from wearon_cli.core.pictures.marks import XMP_SEGMENT, XMP_START, Marks, read_marks
from wearon_cli.core.providers import GeneratedPicture

#: Where IPTC's source types are defined: newscodes/digitalsourcetype.
SOURCE_TYPE_SCHEME: Final = "http://cv.iptc.org/newscodes/digitalsourcetype/"
#: Of a JPEG's segment: two bytes of the 65535 are its own length.
_MOST_SEGMENT_BYTES: Final = 65_533
_JFIF: Final = 0xE0
_END_OF_RDF: Final = re.compile(rb"</(?:[A-Za-z][\w.-]*:)?RDF\s*>")


class SourceType(StrEnum):
    """How a picture was made, in IPTC's vocabulary."""

    GENERATED = "trainedAlgorithmicMedia"  # drawn by a trained model
    COMPOSITE = "compositeSynthetic"  # composed of photos, with synthetic parts
    COLLAGE = "compositeWithTrainedAlgorithmicMedia"  # photos beside pictures drawn by a model


class MarkedBy(StrEnum):
    """Who set the marks of a stored picture."""

    PROVIDER = "provider"  # it is stored as received, byte for byte
    WORKER = "worker"


class Signer(Protocol):
    """Signs pictures with content credentials (C2PA)."""

    def sign(
        self, jpeg: bytes, *, parent: bytes, source_type: SourceType, encoded_anew: bool
    ) -> bytes:
        """
        The same JPEG with a signature, and `parent` as what it was made from. Blocks for about
        10 ms.

        Args:
            jpeg: Without content credentials.
            parent: The received file: a JPEG, PNG or WebP. Its own credentials are kept.
            source_type: How the picture came about.
            encoded_anew: `jpeg` is the parent's picture, re-encoded.

        Raises:
            ConfigError: The certificate or its key cannot sign, or no longer can.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkedPicture:
    """A picture to be stored."""

    jpeg: bytes
    marks: Marks
    by: MarkedBy


@dataclass(frozen=True, slots=True, kw_only=True)
class Marking:
    """Marks pictures before they are stored. One instance serves all jobs of a process."""

    signer: Signer | None = None

    async def mark_drawn(self, jpeg: bytes, picture: GeneratedPicture) -> MarkedPicture:
        """Mark what a provider drew, verified as `jpeg`. Otherwise as `mark`."""
        made = SourceType.COMPOSITE if picture.usage.is_preview else SourceType.GENERATED
        return await self.mark(jpeg, answer=picture.data, source_type=made)

    async def mark(self, jpeg: bytes, *, answer: bytes, source_type: SourceType) -> MarkedPicture:
        """
        Mark a picture that has no mark. If signing fails, the picture is stored without a
        signature.

        Args:
            jpeg: The verified picture.
            answer: The received file: the same bytes, unless it was re-encoded.
            source_type: How it came about.
        """
        marks = read_marks(jpeg)
        if marks.any:
            return MarkedPicture(jpeg=jpeg, marks=marks, by=MarkedBy.PROVIDER)
        marked = with_source_type(jpeg, source_type)
        if self.signer is not None:
            try:
                marked = await asyncio.to_thread(
                    self.signer.sign,
                    marked,
                    parent=answer,
                    source_type=source_type,
                    encoded_anew=jpeg != answer,
                )
            except ConfigError as exc:
                emit(PictureNotSigned(detail=str(exc)))
        return MarkedPicture(jpeg=marked, marks=read_marks(marked), by=MarkedBy.WORKER)


def with_source_type(jpeg: bytes, source_type: SourceType) -> bytes:
    """
    Write the source type into the XMP of a JPEG. Nothing else of the file changes.

    Existing XMP is kept, if the source type still fits into its segment.

    Args:
        jpeg: A complete JPEG without content credentials.
        source_type: How the picture came about.
    """
    start, end = _xmp_place(jpeg)
    packet = jpeg[start:end][4 + len(XMP_START) :]
    body = XMP_START + _extended(packet, source_type)
    if len(body) > _MOST_SEGMENT_BYTES:
        body = XMP_START + _extended(b"", source_type)
    head = bytes((0xFF, XMP_SEGMENT)) + (len(body) + 2).to_bytes(2, "big")
    return jpeg[:start] + head + body + jpeg[end:]


def _xmp_place(jpeg: bytes) -> tuple[int, int]:
    """Where its XMP is; an empty range after the JFIF header when it has none."""
    behind_head = 2
    for marker, start, end in _segments(jpeg):
        if marker == XMP_SEGMENT and jpeg.startswith(XMP_START, start + 4):
            return start, end
        if marker == _JFIF and start == behind_head:
            behind_head = end
    return behind_head, behind_head


def _segments(jpeg: bytes) -> Iterator[tuple[int, int, int]]:
    try:
        yield from jpeg_segments(jpeg)
    except PictureUnusable:
        return


def _extended(packet: bytes, source_type: SourceType) -> bytes:
    """The XMP packet with the source type added; a packet that cannot be parsed is replaced."""
    ends = list(_END_OF_RDF.finditer(packet))
    if not ends or b'="http://www.w3.org/1999/02/22-rdf-syntax-ns#"' not in packet:
        return _PACKET % _description(source_type)
    at = ends[-1].start()
    return packet[:at] + _description(source_type) + packet[at:]


def _description(source_type: SourceType) -> bytes:
    return _DESCRIPTION % (SOURCE_TYPE_SCHEME + source_type.value).encode("ascii")


#: Declares its own namespaces, so that it fits into any packet.
_DESCRIPTION: Final = (
    b'<rdf:Description xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" rdf:about=""'
    b' xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/">'
    b"<Iptc4xmpExt:DigitalSourceType>%s</Iptc4xmpExt:DigitalSourceType></rdf:Description>"
)
#: The packet form of XMP part 1 (Adobe 2012, section 7.3.2); read-only, without padding. The id is
#: the one in the specification.
_PACKET: Final = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
    '<x:xmpmeta xmlns:x="adobe:ns:meta/">'
    '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">%s</rdf:RDF>'
    '</x:xmpmeta><?xpacket end="r"?>'
).encode()
