"""A listening socket, and a server that reports when it listens."""

import socket
from collections.abc import Callable
from typing import Final

import uvicorn

from wearon_cli.core.errors import ConfigError

BACKLOG: Final = 512


class AnnouncingServer(uvicorn.Server):
    """Reports when it listens, and when it begins to stop."""

    def __init__(
        self,
        config: uvicorn.Config,
        *,
        on_ready: Callable[[], None],
        on_stop: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__(config)
        self._on_ready = on_ready
        self._on_stop = on_stop

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
