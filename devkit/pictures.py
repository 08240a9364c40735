"""Picture files of every kind, valid and hostile, made from scratch."""

import io
import struct
import zlib
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import wearon_cli

PERSON = Path(wearon_cli.__file__).parent / "assets" / "person.jpg"


def encode(image: Image.Image, kind: str = "JPEG", **options: Any) -> bytes:
    held = io.BytesIO()
    image.save(held, kind, **options)
    return held.getvalue()


def decode(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def corners(width: int = 64, height: int = 96) -> Image.Image:
    """Red top left, green top right, blue bottom left, white bottom right."""
    image = Image.new("RGB", (width, height), "white")
    image.paste("red", (0, 0, width // 2, height // 2))
    image.paste("lime", (width // 2, 0, width, height // 2))
    image.paste("blue", (0, height // 2, width // 2, height))
    return image


def exif(orientation: int, order: str = "<") -> bytes:
    """An EXIF block with an orientation and a location, as a phone writes it."""
    marks = {"<": b"II*\0", ">": b"MM\0*"}
    entries = struct.pack(f"{order}HHIHH", 0x0112, 3, 1, orientation, 0)
    entries += struct.pack(f"{order}HHI4s", 0x8825, 4, 1, b"\0\0\0\x08")
    return (
        b"Exif\0\0"
        + marks[order]
        + struct.pack(f"{order}I", 8)
        + struct.pack(f"{order}H", 2)
        + entries
        + b"\0" * 4
    )


@cache
def photo_12mp(*, grain: float = 4.0) -> Image.Image:
    """
    4000 px high, from a render: enlarged, with the grain of a phone's sensor.

    It takes a second to make and is shared: change a copy.
    """
    big = Image.open(PERSON).convert("RGB").resize((3000, 4000), Image.Resampling.BICUBIC)
    noise = np.random.default_rng(1).normal(0, grain, (4000, 3000, 3))
    return Image.fromarray((np.asarray(big) + noise).clip(0, 255).astype(np.uint8))


# ------------------------------------------------------------------------ made by hand


def png_chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png(width: int, height: int, *chunks: bytes, pixels: bytes = b"", colour: int = 2) -> bytes:
    """A PNG that claims a size, whatever it contains. Its colour type is RGB (2), or RGBA (6)."""
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0))
    data = png_chunk(b"IDAT", zlib.compress(pixels))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + data + png_chunk(b"IEND", b"")


def jpeg_claiming(width: int, height: int) -> bytes:
    """A real JPEG whose frame header claims another size."""
    data = encode(corners())
    at = data.index(b"\xff\xc0") + 5
    return data[:at] + struct.pack(">HH", height, width) + data[at + 4 :]


def jpeg_of_many_scans(scans: int) -> bytes:
    """A progressive JPEG with its last scan repeated."""
    data = encode(corners(), progressive=True)
    last = data[data.rindex(b"\xff\xda") : -2]
    return data[:-2] + last * scans + b"\xff\xd9"


def webp_chunk(name: bytes, body: bytes) -> bytes:
    return name + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)


def webp(*chunks: bytes) -> bytes:
    body = b"WEBP" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def webp_canvas(width: int, height: int) -> bytes:
    """A WebP whose extended header claims a canvas, around a small real picture."""
    small = encode(corners(), "WEBP")[12:]
    header = b"\0\0\0\0" + struct.pack("<I", width - 1)[:3] + struct.pack("<I", height - 1)[:3]
    return webp(webp_chunk(b"VP8X", header), small)


def webp_claiming(width: int, height: int) -> bytes:
    """A lossless WebP of 40 bytes whose header claims a size, up to 16384 a side."""
    bits = (width - 1) | (height - 1) << 14
    return webp(webp_chunk(b"VP8L", b"\x2f" + struct.pack("<I", bits) + b"\0" * 15))


def iso_file(brand: bytes) -> bytes:
    """The beginning of a HEIC or AVIF file."""
    return struct.pack(">I", 24) + b"ftyp" + brand + b"\0\0\0\0" + b"mif1heic" + b"\0" * 200


def icc_profile(*columns: tuple[float, float, float]) -> bytes:
    """A small RGB profile with the given XYZ of red, green and blue, and a gamma of 2.2."""
    xyz = [struct.pack(">4s4x3i", b"XYZ ", *(round(v * 65536) for v in c)) for c in columns]
    white = struct.pack(">4s4x3i", b"XYZ ", 63190, 65536, 54061)
    curve = struct.pack(">4s4xIH2x", b"curv", 1, round(2.2 * 256))
    name = b"test space\0"
    described = struct.pack(">4s4xI", b"desc", len(name)) + name + b"\0" * 78
    text = b"text\0\0\0\0none\0"
    bodies = {
        b"rXYZ": xyz[0],
        b"gXYZ": xyz[1],
        b"bXYZ": xyz[2],
        b"wtpt": white,
        b"rTRC": curve,
        b"gTRC": curve,
        b"bTRC": curve,
        b"desc": described,
        b"cprt": text,
    }
    at = 128 + 4 + 12 * len(bodies)
    table, data = struct.pack(">I", len(bodies)), b""
    for tag, body in bodies.items():
        table += struct.pack(">4sII", tag, at + len(data), len(body))
        data += body + b"\0" * (-len(body) % 4)
    head = struct.pack(
        ">I4xI4s4s4s12x4s4xI4xI4xI3i",
        *(at + len(data), 0x02100000, b"mntr", b"RGB ", b"XYZ ", b"acsp", 0, 0, 0),
        *(63190, 65536, 54061),
    )
    return head.ljust(128, b"\0") + table + data


#: The columns of sRGB, seen in the light that profiles are written for.
SRGB_COLUMNS = ((0.4361, 0.2225, 0.0139), (0.3851, 0.7169, 0.0971), (0.1431, 0.0606, 0.7141))
