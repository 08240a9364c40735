"""
A file server for two phone photos of 12 megapixels: `python -m devkit.photo_server`.
It prints its port.

The photos are the bundled person, enlarged, with grain: about as large, and as slow to decode, as a
phone's photo.
"""

import asyncio
import io
import sys
from importlib.resources import files

import numpy as np
from PIL import Image

PHONE_PX = (3024, 4032)
GRAIN_SD = 8.0
QUALITY = 88
NAMES = ("person.jpg", "garment_tee.jpg")


def phone_photo(name: str) -> bytes:
    """A JPEG file as from a phone."""
    source = files("wearon_cli.assets").joinpath(name).read_bytes()
    with Image.open(io.BytesIO(source)) as small:
        large = np.asarray(small.convert("RGB").resize(PHONE_PX, Image.Resampling.BICUBIC))
    grain = np.random.default_rng(1).normal(0, GRAIN_SD, large.shape[:2])[..., None]
    held = io.BytesIO()
    grainy = np.clip(large + grain, 0, 255).astype(np.uint8)
    Image.fromarray(grainy).save(held, "JPEG", quality=QUALITY)
    return held.getvalue()


async def serve(photos: dict[bytes, bytes]) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                photo = photos.get(head.split(b" ", 2)[1].rpartition(b"/")[2])
                if photo is None:
                    writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
                    continue
                length = str(len(photo)).encode()
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\n")
                writer.write(b"Content-Length: " + length + b"\r\n\r\n" + photo)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, backlog=512)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve({name.encode(): phone_photo(name) for name in NAMES}))
