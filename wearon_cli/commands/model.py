"""`wearon model`: the pose model file, which measuring and previews need."""

from typing import Annotated

import typer

from wearon_cli.cli.model_fetch import ensure_model, fetch_model
from wearon_cli.cli.output import Result, note

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Download the pose model, or show where it is.\n\nMeasuring bodies and making previews "
    "need a pose model file of 9 MB. It is built once from two networks inside MediaPipe's "
    "wheel on the package index and kept in your cache folder. Generating try-ons does not "
    "need it.",
)


@app.command()
def pull(
    again: Annotated[
        bool, typer.Option("--again", help="Build it again even if it exists.")
    ] = False,
) -> Result:
    """
    Download the pose model.

    Downloads 36 MB with pip, using your index, proxy and certificate settings, checks the content
    and writes the file atomically. Does nothing if the file exists. If WEARON_POSE_MODEL is set,
    only checks that file.
    """
    from wearon_cli.core.settings import load_settings

    settings = load_settings()
    path = fetch_model(settings) if again and not settings.pose_model else ensure_model(settings)
    data = {"path": path, "size_bytes": path.stat().st_size}
    return Result(data=data, lines=[str(path)])


@app.command()
def path() -> Result:
    """
    Show where the pose model is.

    Prints the path even if the file does not exist yet; `wearon model pull` downloads it.
    WEARON_POSE_MODEL sets another path.
    """
    from wearon_cli.adapters.pose import model_file as pose_model
    from wearon_cli.core.settings import load_settings

    settings = load_settings()
    where = pose_model.model_path(settings)
    is_there = pose_model.is_bundle(where)
    if not is_there:
        note("there is no pose model yet: run `wearon model pull`")
    return Result(data={"path": where, "is_there": is_there}, lines=[str(where)])
