"""Pictures without a mark get one; those with a mark keep every byte."""

import struct
from xml.etree import ElementTree

import pytest

from devkit import pictures as kit
from wearon_cli.core.errors import ConfigError
from wearon_cli.core.pictures.headers import jpeg_segments
from wearon_cli.core.pictures.marking import (
    MarkedBy,
    Marking,
    SourceType,
    with_source_type,
)
from wearon_cli.core.pictures.marks import XMP_SEGMENT, XMP_START, Marks, read_marks

PLAIN = kit.encode(kit.corners())
RDF = b'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"'
CREATOR = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF ' + RDF + b">"
    b'<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/">'
    b"<dc:creator>%s</dc:creator></rdf:Description></rdf:RDF></x:xmpmeta>"
)


def with_xmp(packet: bytes) -> bytes:
    body = XMP_START + packet
    return PLAIN[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + PLAIN[2:]


def packets(jpeg: bytes) -> list[bytes]:
    return [
        jpeg[start + 4 + len(XMP_START) : end]
        for marker, start, end in jpeg_segments(jpeg)
        if marker == XMP_SEGMENT and jpeg.startswith(XMP_START, start + 4)
    ]


def said(packet: bytes) -> dict[str, str]:
    """The content of a packet, by an XML parser: texts by the names of their elements."""
    elements = ElementTree.fromstring(packet.decode("utf-8-sig")).iter()
    return {each.tag.rpartition("}")[2]: each.text for each in elements if each.text}


@pytest.mark.parametrize("source_type", list(SourceType))
def test_a_picture_gets_its_source_type_and_keeps_its_pixels(source_type: SourceType) -> None:
    marked = with_source_type(PLAIN, source_type)
    assert read_marks(marked) == Marks(source_type=source_type.value)
    assert kit.decode(marked).tobytes() == kit.decode(PLAIN).tobytes()
    (packet,) = packets(marked)
    assert said(packet) == {
        "DigitalSourceType": f"http://cv.iptc.org/newscodes/digitalsourcetype/{source_type.value}"
    }
    assert marked.replace(packet, b"").endswith(PLAIN[20:])


def test_existing_xmp_is_kept() -> None:
    marked = with_source_type(with_xmp(CREATOR % b"A person"), SourceType.GENERATED)
    (packet,) = packets(marked)
    facts = said(packet)
    assert facts["creator"] == "A person"
    assert facts["DigitalSourceType"].endswith("/trainedAlgorithmicMedia")


@pytest.mark.parametrize(
    "packet",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"<x:xmpmeta><rdf:RDF>", id="cut off"),
        pytest.param(b"<x:xmpmeta></rdf:RDF>", id="without its namespace"),
        pytest.param(CREATOR % (b"x" * 65_000), id="full"),
    ],
)
def test_a_full_packet_is_replaced(packet: bytes) -> None:
    marked = with_source_type(with_xmp(packet), SourceType.COMPOSITE)
    (left,) = packets(marked)
    assert said(left).keys() == {"DigitalSourceType"}
    assert read_marks(marked).source_type == "compositeSynthetic"


@pytest.mark.anyio
async def test_a_marked_picture_is_not_changed() -> None:
    marked = with_source_type(PLAIN, SourceType.COMPOSITE)
    kept = await Marking(signer=Refusing()).mark(
        marked, answer=marked, source_type=SourceType.GENERATED
    )
    assert kept.jpeg is marked
    assert kept.by is MarkedBy.PROVIDER


@pytest.mark.anyio
async def test_a_failed_signature_does_not_cost_the_picture() -> None:
    marking = Marking(signer=Refusing())
    made = await marking.mark(PLAIN, answer=PLAIN, source_type=SourceType.GENERATED)
    assert made.marks == Marks(source_type="trainedAlgorithmicMedia")
    assert made.by is MarkedBy.WORKER


class Refusing:
    """A signer whose certificate has expired."""

    def sign(
        self, jpeg: bytes, *, parent: bytes, source_type: SourceType, encoded_anew: bool
    ) -> bytes:
        raise ConfigError("the certificate has expired")
