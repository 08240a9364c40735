"""`wearon web`: the operators' page."""

import os
import sys
from contextlib import ExitStack
from typing import Annotated, Final

import typer

from wearon_cli.cli.options import DataDirOption, LocalOption, OperatorOption

DEFAULT_PORT: Final = 8090


def web(
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port to listen on; 0 picks a free port.")
    ] = DEFAULT_PORT,
    host: Annotated[
        str,
        typer.Option(help="Address to listen on. Anything but loopback needs TLS in front of it."),
    ] = "127.0.0.1",
    open_browser: Annotated[
        bool, typer.Option("--open", help="Open each address in this machine's browser.")
    ] = False,
    allow_actions: Annotated[
        bool,
        typer.Option(
            "--allow-actions", help="Allow replay, undo, requeue, drop and fix on the page."
        ),
    ] = False,
    operator: OperatorOption = None,
    local: LocalOption = False,
    data_dir: DataDirOption = None,
) -> None:
    """
    Serve the operators' page: queue, failures, sessions with their pictures, costs.

    Prints a URL with a login token, which works once, within 10 minutes; the browser then stays
    logged in for 12 hours. Enter, or the signal USR1, prints another URL. The page is read-only
    unless --allow-actions is given. Every action shows its plan first and records your name in the
    session's timeline. See docs/web.md.

    Stop it with SIGTERM or Ctrl-C: it exits with 0.

      wearon web --open

      wearon web --local --allow-actions --as ann

    Exit codes: 3 a setting is wrong or the port is in use.
    """
    from wearon_cli.cli.browser import open_address
    from wearon_cli.cli.operator import operator_name
    from wearon_cli.cli.output import note
    from wearon_cli.cli.stack import stack_settings
    from wearon_cli.runtime.ops.logs import configure_logs
    from wearon_cli.runtime.web.server import WebOptions, serve_web

    options = WebOptions(
        host=host,
        port=port,
        allow_actions=allow_actions,
        operator=operator_name(operator),
    )

    with ExitStack() as stack:

        def on_address(address: str) -> None:
            note(f"the page is at {address}")
            note(f"the address works once, within 10 minutes; {_another_by()}")
            if open_browser:
                stack.callback(open_address(address).unlink, missing_ok=True)

        settings = stack.enter_context(stack_settings(local, data_dir, needs_workers=False))
        configure_logs(settings, "web")
        serve_web(settings, options, on_address=on_address)


def _another_by() -> str:
    """How somebody gets another address."""
    if sys.stdin is not None and sys.stdin.isatty():
        return "press Enter for another one"
    return f"kill -USR1 {os.getpid()} prints another one"
