"""Shared by the loopback APIs as processes: one JSON line with the port, and a way to close
connections.
"""

import argparse
import contextlib
import json
import socket
import sys
from typing import Any

import uvicorn
from starlette.applications import Starlette
from uvicorn.protocols.http.h11_impl import H11Protocol


class KnownTransport(H11Protocol):
    """Lets the application close its connection."""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self.app_state = {**self.app_state, "transport": transport}


def serve(app: Starlette, *, port: int) -> None:
    """Serve until SIGTERM or SIGINT, after one JSON line with the port on stdout."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen(1024)  # before the port is printed: callers may connect at once
        port = listener.getsockname()[1]
        told = {"port": port, "base_url": f"http://127.0.0.1:{port}/v1"}
        sys.stdout.write(json.dumps(told) + "\n")
        sys.stdout.flush()
        config = uvicorn.Config(
            app,
            http=KnownTransport,
            lifespan="off",
            log_level="critical",
            access_log=False,
            timeout_graceful_shutdown=1,
            backlog=1024,
        )
        with contextlib.suppress(KeyboardInterrupt):
            uvicorn.Server(config).run(sockets=[listener])


def options(description: str) -> argparse.ArgumentParser:
    """The options of every loopback API."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--latency", default="0", help="0.5, 0.3-0.9 or 39~58 (median~p95)")
    parser.add_argument("--faults", default="", help="name[:probability[:times]],...")
    parser.add_argument("--limit", type=int, default=None, help="requests in any 60 s")
    parser.add_argument("--seed", type=int, default=1)
    return parser
