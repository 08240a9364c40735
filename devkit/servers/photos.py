"""Serves the bundled pictures on a loopback port, and one that is too large to decode."""

import http.server
import struct
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import wearon_cli

ASSETS = Path(wearon_cli.__file__).parent / "assets"


#: Sides of a grey PNG that takes 1.6 GB when it is decoded, and 200 kB as a file.
BOMB_PX = 40_000


@cache
def bomb() -> bytes:
    """A PNG of one colour whose pixels do not fit into a worker's memory."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    head = struct.pack(">IIBBBBB", BOMB_PX, BOMB_PX, 1, 0, 0, 0, 0)
    row = bytes(BOMB_PX // 8 + 1)
    pixels = zlib.compress(row * BOMB_PX, 9)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    )


class _Photos(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        found = ASSETS / self.path.rpartition("/")[2]
        data = found.read_bytes() if found.is_file() else b""
        if found.name == "bomb.png":
            data = bomb()
        self.send_response(200 if data else 404)
        kind = "image/png" if found.suffix == ".png" else "image/jpeg"
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@contextmanager
def served_photos() -> Iterator[str]:
    """The server's origin; it runs on threads of this process."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Photos)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
