"""Live progress on stderr: one moving line on a terminal, one line a change elsewhere."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from wearon_cli.cli.output import note, stderr_console
from wearon_cli.core.jobs.journal import JobEntry, JobState
from wearon_cli.core.session import Session, Status

if TYPE_CHECKING:
    from rich.status import Status as Spinner

_ROW_WORDS: Final = {
    Status.QUEUED: "queued: waiting for a consumer",
    Status.PENDING: "queued: waiting for a consumer",
    Status.PROCESSING: "processing",
    Status.COMPLETED: "completed",
    Status.FAILED: "failed",
}
_JOB_WORDS: Final = {
    JobState.READY: "ready: waiting for a worker",
    JobState.RELEASED: "released: waiting for a worker",
    JobState.RUNNING: "running: the picture is being generated",
    JobState.WAITING: "waiting: rate limit or outage",
}


class Progress:
    """What is going on, and for how long."""

    def __init__(self, spinner: "Spinner | None") -> None:
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

    def look(self, row: Session, job: JobEntry | None) -> None:
        """Show where a job is, or its row's status, on every update."""
        self.say(_JOB_WORDS[job.state] if job else _ROW_WORDS[row.status])


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
