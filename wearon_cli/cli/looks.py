"""How a state is shown: a colour, and a symbol that means the same without colours."""

import sys
from enum import Enum
from typing import Final

from rich.text import Text

from wearon_cli.core.session import Status


class Tone(Enum):
    """The look of a state: symbol, its ASCII form, and style."""

    OK = ("✓", "+", "green")
    WAITING = ("○", "o", "cyan")
    RUNNING = ("▶", ">", "blue")
    WARNING = ("!", "!", "yellow")
    FAILED = ("✗", "x", "red")
    HALTED = ("■", "#", "bold magenta")

    @property
    def glyph(self) -> str:
        """The symbol that stdout can show."""
        glyph, ascii_glyph, _ = self.value
        return glyph if shows_unicode() else ascii_glyph

    @property
    def style(self) -> str:
        return self.value[2]

    def text(self, words: str) -> Text:
        """The words with their symbol, which is kept where there are no colours: in a pipe, with
        NO_COLOR.
        """
        return Text(f"{self.glyph} {words}", style=self.style)


#: The look of each row status.
STATUS_TONES: Final = {
    Status.QUEUED: Tone.WAITING,
    Status.PENDING: Tone.WAITING,
    Status.PROCESSING: Tone.RUNNING,
    Status.COMPLETED: Tone.OK,
    Status.FAILED: Tone.FAILED,
}


def status_text(status: Status) -> Text:
    """A row's status, as every table shows it."""
    return STATUS_TONES[status].text(status.value)


def shows_unicode() -> bool:
    """Whether stdout can show more than ASCII."""
    # A live display of Rich replaces stdout and has no encoding.
    stdout = getattr(sys.stdout, "rich_proxied_file", sys.stdout)
    return (stdout.encoding or "").lower().replace("-", "").startswith("utf")


def masked_email(email: str) -> str:
    """`ann@shop.example` as `a...@shop.example`: enough to recognise, not to write to."""
    name, _, domain = email.partition("@")
    return f"{name[:1]}...@{domain}"
