"""Provenance marks are found where the formats define them, and nowhere else."""

import struct
import zlib

import pytest

from devkit import pictures as kit
from devkit.servers.image_api_answers import content_credentials, stamped_picture
from wearon_cli.core.pictures.marks import Marks, read_marks
from wearon_cli.core.pictures.prepare import prepare, verify

XMP = (
    b"<x:xmpmeta><Iptc4xmpExt:DigitalSourceType>http://cv.iptc.org/newscodes/digitalsourcetype/"
    b"trainedAlgorithmicMedia</Iptc4xmpExt:DigitalSourceType></x:xmpmeta>"
)
BOTH = Marks(has_c2pa=True, source_type="trainedAlgorithmicMedia")


def segment(marker: int, body: bytes) -> bytes:
    return bytes((0xFF, marker)) + struct.pack(">H", len(body) + 2) + body


def jpeg() -> bytes:
    plain = kit.encode(kit.corners())
    xmp = segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + XMP)
    return plain[:2] + xmp + content_credentials() + plain[2:]


def png() -> bytes:
    def chunk(name: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        )

    plain = kit.encode(kit.corners(), "PNG")
    head = 8 + 25  # signature and IHDR
    marks = chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP) + chunk(b"caBX", b"jumb")
    return plain[:head] + marks + plain[head:]


def webp() -> bytes:
    def chunk(name: bytes, body: bytes) -> bytes:
        return name + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)

    plain = kit.encode(kit.corners(), "WEBP")
    body = plain[12:] + chunk(b"XMP ", XMP) + chunk(b"C2PA", b"jumb")
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


@pytest.mark.parametrize("data", [jpeg(), png(), webp()], ids=["JPEG", "PNG", "WebP"])
def test_both_marks_are_found(data: bytes) -> None:
    assert read_marks(data) == BOTH


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_picture_without_marks_has_none(kind: str) -> None:
    assert read_marks(kit.encode(kit.corners(), kind)) == Marks()


@pytest.mark.parametrize("data", [b"", b"no picture", b"\xff\xd8\xff", b"RIFF\0\0\0\0WEBP"])
def test_an_incomplete_picture_has_no_marks(data: bytes) -> None:
    assert not read_marks(data).any


def test_text_in_pixels_or_a_comment_is_not_a_mark() -> None:
    plain = kit.encode(kit.corners())
    assert read_marks(plain[:2] + segment(0xFE, b"JP jumb c2pa" + XMP) + plain[2:]) == Marks()


def test_a_stored_jpeg_keeps_its_marks_and_an_input_loses_them() -> None:
    assert read_marks(verify(jpeg()).jpeg) == BOTH
    assert read_marks(prepare(jpeg()).jpeg) == Marks()


def test_the_loopback_of_openai_marks_its_pictures() -> None:
    marked = stamped_picture((64, 64), "jpeg", b"s", marks=content_credentials())
    assert read_marks(marked) == Marks(has_c2pa=True)
