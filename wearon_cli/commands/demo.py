"""`wearon demo`: one try-on end to end, in a temporary stack on this machine."""

import asyncio
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import as_file, files
from pathlib import Path
from typing import Annotated, Final

import typer

from wearon_cli.cli.model_fetch import ensure_model
from wearon_cli.cli.operator import operator_name
from wearon_cli.cli.outcome import check_target
from wearon_cli.cli.output import Result
from wearon_cli.cli.progress import progress
from wearon_cli.cli.uploads import read_uploads
from wearon_cli.commands import try_on
from wearon_cli.core.errors import Interrupted, UpstreamError

#: The bundled sample, inside `wearon_cli.assets`.
PERSON: Final = "person.jpg"
GARMENT: Final = "garment_sweater.jpg"
DEFAULT_OUT: Final = Path("wearon-demo.jpg")
KEPT_LOG: Final = Path("wearon-demo.log")


def demo(
    out: Annotated[Path, typer.Option(help="Where to save the picture.")] = DEFAULT_OUT,
    timeout: Annotated[
        float, typer.Option(min=1, help="Longest wait for the result, in seconds.")
    ] = 120.0,
) -> Result:
    """
    Run one try-on end to end on this machine.

    Starts a temporary stack in its own folder: a Redis server, a database, file storage and the
    three roles. Sends bundled photos of a person and a garment through it as the platform would:
    upload, credit, session, queue. Follows the session to its end, saves the picture and removes
    everything else.

    It needs no account and costs nothing: the picture is a preview, a composite that is marked as
    one, even if an image provider's key is set. Use `wearon try-on` for a generated picture. The
    pose model is downloaded on first use; after that no network is needed.
    """
    from wearon_cli.core.settings import load_settings
    from wearon_cli.runtime.all.local_stack import local_stack

    target = check_target(out)
    ensure_model(load_settings())
    sample = files("wearon_cli.assets")
    with as_file(sample / PERSON) as person, as_file(sample / GARMENT) as garment:
        pictures = read_uploads((person, garment), load_settings())
    command = try_on.TryOnCommand(
        pictures=pictures, by=operator_name(), out=target, timeout_s=timeout
    )
    with (
        progress("starting a temporary stack") as shown,
        tempfile.TemporaryDirectory(prefix="wearon-demo-") as folder,
        _log_kept(Path(folder)),
        local_stack(Path(folder), previews_only=True) as settings,
    ):
        try:
            return asyncio.run(try_on.run(command, settings, shown))
        except Interrupted as exc:
            raise Interrupted("the demo was stopped", hint="it left nothing behind") from exc


@contextmanager
def _log_kept(folder: Path) -> Iterator[None]:
    """When a service fails, the stack's log is kept although its folder is removed."""
    try:
        yield
    except UpstreamError as exc:
        from wearon_cli.runtime.all.local_stack import LOG_FILE

        shutil.copyfile(folder / LOG_FILE, KEPT_LOG)
        raise type(exc)(str(exc), hint=f"see the log of its processes in {KEPT_LOG}") from exc
