"""Runs a program on a pseudo terminal: types input, answers as a terminal does, and reads the
output.
"""

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Mapping, Sequence
from typing import Self

from devkit.waiting import LONGEST_S

#: Bytes read at once.
CHUNK = 65_536
#: Length of the output's end in the message of a failure.
TOLD_CHARS = 2000


class Terminal:
    """One program and its terminal. Use it as a context manager."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        columns: int = 80,
        rows: int = 40,
        env: Mapping[str, str] | None = None,
        answers: Mapping[bytes, bytes] | None = None,
    ) -> None:
        """
        Args:
            command: The program and its arguments.
            columns: Width.
            rows: Height.
            env: Added to this process's environment.
            answers: What the terminal sends when it reads these bytes, once each.
        """
        self.shown = b""
        self._answers = dict(answers or {})
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self._process = subprocess.Popen(
            list(command),
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env={**os.environ, "TERM": "xterm-256color", **(env or {})},
            start_new_session=True,
            preexec_fn=_take_terminal,
        )
        os.close(theirs)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        os.close(self._ours)

    @property
    def text(self) -> str:
        """All that was shown so far."""
        return self.shown.decode("utf-8", "replace")

    def type(self, keys: str) -> None:
        """Type input."""
        os.write(self._ours, keys.encode())

    def read_until(self, text: str, *, within_s: float = LONGEST_S) -> str:
        """Read until this is shown; returns all that was shown."""
        give_up_s = time.monotonic() + within_s
        while text not in self.text:
            if time.monotonic() > give_up_s or not self._read(1.0):
                raise AssertionError(f"{text!r} was not shown: {self.text[-TOLD_CHARS:]!r}")
        return self.text

    def wait(self, *, within_s: float = LONGEST_S) -> int:
        """Read to its end. Returns the exit code."""
        give_up_s = time.monotonic() + within_s
        while self._read(1.0):
            assert time.monotonic() < give_up_s, f"it did not end: {self.text[-TOLD_CHARS:]!r}"
        return self._process.wait(timeout=within_s)

    def _read(self, within_s: float) -> bool:
        """Read the available output. False: the program has closed its side."""
        ready, _, _ = select.select([self._ours], [], [], within_s)
        if not ready:
            return self._process.poll() is None
        try:
            chunk = os.read(self._ours, CHUNK)
        except OSError:
            return False
        self.shown += chunk
        for asked in [asked for asked in self._answers if asked in self.shown]:
            os.write(self._ours, self._answers.pop(asked))
        return bool(chunk)


def _take_terminal() -> None:
    """In the new process: the terminal is its own, and Ctrl-C counts, as in a login shell."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    signal.signal(
        signal.SIGINT, signal.SIG_DFL
    )  # it is ignored in background processes of a script
