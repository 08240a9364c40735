"""The `serve` role: the HTTP app behind uvicorn, with our signals and our logs."""

import asyncio
import socket
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Final

from wearon_cli.core.events import emit
from wearon_cli.core.settings import Settings
from wearon_cli.runtime.events import HttpOpenToAll, ServerReady, ServerStopped
from wearon_cli.runtime.http.app import make_app
from wearon_cli.runtime.http.health import Health
from wearon_cli.runtime.http.listening import AnnouncingServer, listener_on
from wearon_cli.runtime.http.measuring import Measuring
from wearon_cli.runtime.ops.metrics import Meters
from wearon_cli.wiring.parts import open_pose_reader
from wearon_cli.wiring.serve import open_serve

#: A photo that takes longer is not worth waiting for: callers give up after 5 s.
FETCH_TIMEOUT_S: Final = 4.0
#: Requests under way at a stop may take this long.
GRACE_S: Final = 10


def serve(
    settings: Settings, meters: Meters, *, on_ready: Callable[[], None] = lambda: None
) -> None:
    """
    Answer HTTP until SIGTERM or SIGINT.

    Raises:
        ConfigError: The port is taken, or a setting is wrong.
    """
    with listener_on(settings.host, settings.port) as listener:
        asyncio.run(_serve(settings, meters, listener, on_ready))


async def _serve(
    settings: Settings, meters: Meters, listener: socket.socket, on_ready: Callable[[], None]
) -> None:
    async with AsyncExitStack() as stack:
        adapters = await stack.enter_async_context(
            open_serve(settings, fetch_timeout_s=FETCH_TIMEOUT_S)
        )
        measuring = await stack.enter_async_context(
            Measuring(
                lambda: open_pose_reader(settings),
                adapters.fetcher,
                max_picture_bytes=settings.max_picture_bytes,
            )
        )
        health = await stack.enter_async_context(Health(measuring, adapters.look_for_halts))
        server = AnnouncingServer(
            make_app(settings, measuring, health, adapters.files, meters),
            grace_s=GRACE_S,
            on_ready=lambda: _report_ready(settings, listener, on_ready),
        )
        await server.serve_on(listener)
    emit(ServerStopped())


def _report_ready(
    settings: Settings, listener: socket.socket, on_ready: Callable[[], None]
) -> None:
    emit(ServerReady(host=settings.host, port=listener.getsockname()[1]))
    if settings.http_token is None and settings.host not in {"127.0.0.1", "::1", "localhost"}:
        emit(
            HttpOpenToAll(
                detail="the endpoint is unauthenticated: only the network in front of this port "
                "protects it",
                hint="set WEARON_HTTP_TOKEN, or let only the platform's addresses through",
            )
        )
    on_ready()
