"""Gets the pose model for a command that needs it: downloads it with a progress bar, or fails."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from wearon_cli.cli.output import note, stderr_console
from wearon_cli.core.errors import UpstreamError

if TYPE_CHECKING:
    from wearon_cli.core.settings import Settings

WHAT = "downloading the pose model (once)"


def ensure_model(settings: "Settings") -> Path:
    """
    The pose model's file; downloaded when it is missing, with a bar on a terminal.

    Raises:
        ConfigError: WEARON_POSE_MODEL names a file that is not there, or there is no pip.
        UpstreamError: It could not be downloaded: the hint says what to run later.
    """
    from wearon_cli.adapters.pose import model_file

    path = model_file.model_path(settings)
    if settings.pose_model or model_file.is_bundle(path):
        return model_file.require_model(settings)
    return fetch_model(settings)


def fetch_model(settings: "Settings") -> Path:
    """As `ensure_model`, but always downloads."""
    from wearon_cli.adapters.pose import model_file

    with _bar() as on_bytes:
        try:
            return model_file.pull_model(settings, again=True, on_bytes=on_bytes)
        except UpstreamError as exc:
            hint = f"{exc.hint}; then run `wearon model pull`, or this command again"
            raise UpstreamError(str(exc), hint=hint) from exc


@contextmanager
def _bar() -> "Iterator[Callable[[int, int], None]]":
    """Yields a callback for the bytes received so far and the total."""
    console = stderr_console()
    if not console.is_terminal:
        note(f"{WHAT} (36 MB) ...")
        yield lambda _done, _total: None
        return
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn(WHAT), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as shown:
        task = shown.add_task("", total=None)
        yield lambda done, total: shown.update(task, completed=done, total=total)
