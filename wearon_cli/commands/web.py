"""`wearon web`: the page for operators."""

from contextlib import ExitStack
from typing import Annotated, Final

import typer

from wearon_cli.cli.options import DataDirOption, LocalOption, OperatorOption

DEFAULT_PORT: Final = 8090


def web(
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes any free one.")
    ] = DEFAULT_PORT,
    host: Annotated[
        str, typer.Option(help="Address to listen on. Beyond this machine, put TLS in front.")
    ] = "127.0.0.1",
    open_browser: Annotated[
        bool, typer.Option("--open", help="Open it in this machine's browser.")
    ] = False,
    allow_actions: Annotated[
        bool,
        typer.Option(
            "--allow-actions", help="Replay, undo, requeue, drop and fix on the page too."
        ),
    ] = False,
    operator: OperatorOption = None,
    local: LocalOption = False,
    data_dir: DataDirOption = None,
) -> None:
    """
    Show the page for operators: what waits and fails, sessions with their pictures, money.

    Prints an address with a token in it: opened once, the browser stays logged in for 12 hours.
    Reads only, unless --allow-actions is given; then every action shows its plan first, asks for a
    name, and keeps it in the session's timeline. docs/web.md has the rest.

    Stop it with SIGTERM or Ctrl-C: it exits with 0.

      wearon web --open

      wearon web --local --allow-actions --as ann

    Exit codes: 3 settings, or the port is taken.
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

        def on_ready(address: str) -> None:
            note(f"the page is at {address}")
            if open_browser:
                stack.callback(open_address(address).unlink, missing_ok=True)

        settings = stack.enter_context(stack_settings(local, data_dir, needs_workers=False))
        configure_logs(settings, "web")
        serve_web(settings, options, on_ready=on_ready)
