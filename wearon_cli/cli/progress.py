"""Live progress on stderr: one moving line on a terminal, one line a change elsewhere."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from rich.status import Status as Spinner

from wearon_cli.cli.output import note, stderr_console
from wearon_cli.core.session import Session, Status

_WORDS: Final = {
    Status.QUEUED: "queued: waiting for a worker",
    Status.PENDING: "queued: waiting for a worker",
    Status.PROCESSING: "processing: the picture is being made",
    Status.COMPLETED: "completed",
    Status.FAILED: "failed",
}


class Progress:
    """What is going on, and for how long already."""

    def __init__(self, spinner: Spinner | None) -> None:
        self._spinner = spinner
        self._started_s = time.monotonic()
        self._said = ""

    @property
    def elapsed_s(self) -> float:
        """Seconds since the progress began."""
        return time.monotonic() - self._started_s

    def say(self, text: str) -> None:
        """Show what happens now."""
        if self._spinner is not None:
            self._spinner.update(f"{text} [dim]{self.elapsed_s:.0f} s[/dim]")
        elif text != self._said:
            note(f"{self.elapsed_s:5.1f} s  {text}")
        self._said = text

    def look(self, row: Session) -> None:
        """Show a row's status; repeats are ignored."""
        self.say(_WORDS[row.status])


@contextmanager
def progress(first: str) -> Iterator[Progress]:
    """Show progress while the block runs."""
    console = stderr_console()
    if not console.is_terminal:
        shown = Progress(None)
        shown.say(first)
        yield shown
        return
    with console.status(first, spinner="dots") as spinner:
        yield Progress(spinner)
