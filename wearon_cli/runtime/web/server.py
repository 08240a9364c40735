"""The `web` role: the page behind uvicorn, with our signals and our logs."""

import asyncio
import ipaddress
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from wearon_cli.core.events import emit
from wearon_cli.core.operator.checks import Finding
from wearon_cli.core.settings import Settings
from wearon_cli.runtime.events import ServerStopped, WebOpenToOthers, WebReady
from wearon_cli.runtime.http.listening import AnnouncingServer, listener_on
from wearon_cli.runtime.web.app import make_app
from wearon_cli.runtime.web.checks import run_doctor
from wearon_cli.runtime.web.guard import Logins
from wearon_cli.runtime.web.pictures import Pictures
from wearon_cli.runtime.web.site import Site
from wearon_cli.wiring.web import WebTools, open_web

#: Requests under way at a stop may take this long; live pages end at once.
GRACE_S: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class WebOptions:
    """How the page is to run."""

    host: str
    port: int
    allow_actions: bool
    operator: str  # who acts, unless somebody says another name


def serve_web(
    settings: Settings, options: WebOptions, *, on_address: Callable[[str], None]
) -> None:
    """
    Show the page until SIGTERM or SIGINT.

    Args:
        settings: Of production, or of a local stack.
        options: Where, and what it may do.
        on_address: Gets an address to log in at, when the page is ready and whenever somebody asks
            for another one: by Enter on the terminal, or by SIGUSR1. The token in it is for a
            person's eyes, for no log.

    Raises:
        ConfigError: The port is taken, or a setting is missing or wrong.
    """
    with listener_on(options.host, options.port, variable="WEARON_WEB_PORT") as listener:
        port = listener.getsockname()[1]
        logins = Logins(port=port)
        origin = f"http://{host_to_open(options.host)}:{port}"

        def tell_address() -> None:
            token = logins.issue(now_s=time.monotonic())
            on_address(f"{origin}/login?token={token}")

        def ready() -> None:
            _report(options, port)
            tell_address()
            _watch_terminal(tell_address)

        async def run() -> None:
            async with open_web(settings) as tools:
                site = _site(settings, options, tools, logins)
                server = AnnouncingServer(
                    make_app(site), grace_s=GRACE_S, on_ready=ready, on_stop=site.stopping.set
                )
                asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, tell_address)
                await server.serve_on(listener)
            emit(ServerStopped())

        asyncio.run(run())


def _site(settings: Settings, options: WebOptions, tools: WebTools, logins: Logins) -> Site:
    operator = tools.operator

    async def doctor() -> list[Finding]:
        return await run_doctor(settings)

    return Site(
        settings=settings,
        tools=operator,
        search=operator.search,
        pictures=Pictures(
            inspector=operator.inspector,
            storage=operator.storage,
            open_pixels=tools.open_pixels,
            fetcher=tools.fetcher,
            max_px=settings.max_picture_px,
        ),
        doctor=doctor,
        logins=logins,
        allow_actions=options.allow_actions,
        operator=options.operator,
        host=options.host,
    )


def _watch_terminal(on_enter: Callable[[], None]) -> None:
    """Call this when somebody presses Enter, if there is a terminal."""
    if sys.stdin is None or not sys.stdin.isatty():
        return
    terminal, loop = sys.stdin.fileno(), asyncio.get_running_loop()

    def typed() -> None:
        # Reading would stop a process of the background; an empty line of nothing is Ctrl-D.
        if os.tcgetpgrp(terminal) == os.getpgrp() and os.read(terminal, 1024):
            on_enter()
        else:
            loop.remove_reader(terminal)

    loop.add_reader(terminal, typed)


def _report(options: WebOptions, port: int) -> None:
    emit(WebReady(host=options.host, port=port, allow_actions=options.allow_actions))
    if not is_loopback(options.host):
        emit(
            WebOpenToOthers(
                detail="the connection is not encrypted: others on the network can read the "
                "token and the pictures",
                hint="listen on 127.0.0.1 and use an SSH tunnel or a TLS proxy",
            )
        )


def host_to_open(host: str) -> str:
    """
    The host for an address of the page that opens in a browser.

    Args:
        host: To listen on. `0.0.0.0` and `::` stand for every address of this machine, and no
            browser opens them: they become loopback, which is one of them.
    """
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if address.version == 6:
        return "[::1]" if address.is_unspecified else f"[{host}]"
    return "127.0.0.1" if address.is_unspecified else host


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches it."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
