"""Options that several commands share, so that they read and behave the same everywhere."""

from pathlib import Path
from typing import Annotated

import typer

#: Use the local stack instead of the production settings.
LocalOption = Annotated[
    bool,
    typer.Option(
        "--local",
        envvar="WEARON_LOCAL",
        help="Use a local stack on this machine. Needs no account.",
    ),
]

#: The operator's name, for the timeline.
OperatorOption = Annotated[
    str | None,
    typer.Option(
        "--as",
        envvar="WEARON_OPERATOR",
        metavar="NAME",
        help="Your name, recorded in the timeline. Default: this user and machine.",
    ),
]

#: Where the local stack keeps its rows, files and queue.
DataDirOption = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        envvar="WEARON_DATA_DIR",
        file_okay=False,
        help="Data folder of the local stack (with --local). Default: ./.wearon.",
    ),
]
