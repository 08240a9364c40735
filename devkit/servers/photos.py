"""Serves the bundled pictures on a loopback port."""

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import wearon_cli

ASSETS = Path(wearon_cli.__file__).parent / "assets"


class _Photos(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        found = ASSETS / self.path.rpartition("/")[2]
        data = found.read_bytes() if found.is_file() else b""
        self.send_response(200 if data else 404)
        self.send_header("Content-Type", "image/jpeg")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Quiet."""


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
