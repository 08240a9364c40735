"""A listening socket and the server on it: uvicorn, set up once for `serve` and `web`."""

import signal
import socket
from collections.abc import Callable
from typing import Final

import uvicorn
from starlette.types import ASGIApp

from wearon_cli.core.errors import ConfigError
from wearon_cli.runtime.http.connections import KEEP_ALIVE_S, BoundedConnection

BACKLOG: Final = 512


class AnnouncingServer(uvicorn.Server):
    """Reports when it listens, and when it begins to stop."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        grace_s: int,
        on_ready: Callable[[], None],
        on_stop: Callable[[], None] = lambda: None,
    ) -> None:
        """
        Args:
            app: Answers the requests.
            grace_s: Requests under way at a stop may take this long.
            on_ready: Called when it listens.
            on_stop: Called when it begins to stop.
        """
        config = uvicorn.Config(
            app,
            log_config=None,  # ours is already set up
            access_log=False,
            server_header=False,
            proxy_headers=False,  # `callers` reads them for `serve`; `web` needs none
            timeout_graceful_shutdown=grace_s,
            lifespan="off",
            http=BoundedConnection,
            timeout_keep_alive=KEEP_ALIVE_S,
            ws="none",
        )
        super().__init__(config)
        self._on_ready = on_ready
        self._on_stop = on_stop

    async def serve_on(self, listener: socket.socket) -> None:
        """Answer until SIGTERM or SIGINT."""
        # uvicorn raises received signals again when it is done; they have already been handled.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: None)
        await self.serve(sockets=[listener])

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._on_stop()
        await super().shutdown(sockets)


def listener_on(host: str, port: int, *, variable: str = "WEARON_PORT") -> socket.socket:
    """
    A listening socket.

    Args:
        host: Address of this machine.
        port: 0 takes any free one.
        variable: Sets the port, for the hint.

    Raises:
        ConfigError: The port is taken, or the address is not this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol is named, because asyncio looks at it: without, it leaves Nagle's algorithm on,
    # and every answer waits 40 ms for the caller's acknowledgement.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError as exc:
        listener.close()
        raise ConfigError(
            f"cannot listen on {host} port {port}: {exc.strerror}",
            hint=f"use another one with --port or {variable}; 0 picks a free port",
        ) from exc
    return listener
