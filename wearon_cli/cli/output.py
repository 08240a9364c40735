"""
What a command prints: the answer on stdout, everything else on stderr.

A command returns one frozen `Result`; `emit` prints it as text or as the versioned JSON envelope.
Failures go through `emit_failure`. Keys and codes are public: docs/json-output.md.
Rich is imported only where it is used, which keeps `wearon --help` fast.
"""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, is_dataclass
from datetime import date
from enum import Enum
from functools import lru_cache
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Final, TextIO
from uuid import UUID

from wearon_cli.core.errors import WearonError

if TYPE_CHECKING:
    from rich.console import Console

#: Version of the JSON envelope; raised when a key changes its meaning or is removed.
ENVELOPE_VERSION: Final = 1
#: Widest line we lay out ourselves. A terminal may be wider; a pipe has no width of its own.
WIDTH: Final = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """
    A command's answer.

    `error` marks an answer that is also a failure (a failed try-on, a failed check): its facts are
    still in `data` and `lines`, and the exit code is the error's.
    """

    data: Mapping[str, object] = field(default_factory=dict)
    #: For people: strings are printed as they are, anything else is a Rich renderable.
    lines: Sequence[object] = ()
    error: WearonError | None = None

    @property
    def exit_code(self) -> int:
        return self.error.exit_code if self.error else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A failure as it is shown: as text, or as the envelope's `error`."""

    code: str
    message: str
    hint: str
    exit_code: int


def describe(error: WearonError) -> Failure:
    """The public form of one of our errors."""
    return Failure(code=error.code, message=str(error), hint=error.hint, exit_code=error.exit_code)


def emit(result: Result, *, command: str, as_json: bool) -> None:
    """Print a command's answer."""
    failure = describe(result.error) if result.error else None
    if as_json:
        _write_json(command, failure, result.data if result.data or not failure else None)
        return
    _write_lines(result.lines)
    if failure:
        _write_failure(failure)


def emit_failure(failure: Failure, *, command: str, as_json: bool) -> None:
    """Print a failure without data."""
    if as_json:
        _write_json(command, failure, None)
    else:
        _write_failure(failure)


def note(text: str) -> None:
    """Print a note (a warning, an assumption): one line on stderr."""
    _write(sys.stderr, f"{text}\n")


def stdout_console() -> "Console":
    """Rich on stdout. Colours and width are the terminal's; none and 80 columns in a pipe."""
    return _console(sys.stdout)


def stderr_console() -> "Console":
    """Rich on stderr, for progress."""
    return _console(sys.stderr)


def silence_stdout() -> None:
    """The reader of our pipe has exited: discard the interpreter's last flush."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@lru_cache(maxsize=8)  # one per stream, so that live displays on it know of each other
def _console(stream: TextIO) -> "Console":
    from rich.console import Console  # most answers do not need its 40 ms

    return Console(file=stream, width=None if stream.isatty() else WIDTH, soft_wrap=False)


def _write_lines(lines: Sequence[object]) -> None:
    for line in lines:
        if isinstance(line, str):
            _write(sys.stdout, f"{line}\n")
        else:
            sys.stdout.flush()
            stdout_console().print(line, crop=False)  # a wider id is not cut
    sys.stdout.flush()


def _write_failure(failure: Failure) -> None:
    text = f"Error: {failure.message}\n"
    if failure.hint:
        text += f"  {failure.hint}\n"
    _write(sys.stderr, text)


def _write_json(command: str, failure: Failure | None, data: Mapping[str, object] | None) -> None:
    envelope: dict[str, object] = {
        "wearon": ENVELOPE_VERSION,
        "command": command,
        "ok": failure is None,
    }
    if data is not None:
        envelope["data"] = data
    if failure is not None:
        envelope["error"] = asdict(failure)
    indent = 2 if sys.stdout.isatty() else None
    # ASCII only: it works in a pipe with a C locale too, and the JSON is equivalent.
    _write(sys.stdout, json.dumps(envelope, indent=indent, default=_to_json) + "\n")


def _to_json(value: Any) -> object:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, UUID | PurePath):
        return str(value)
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    raise TypeError(f"{type(value).__name__} has no JSON form here")


def _write(stream: TextIO, text: str) -> None:
    stream.write(text)
    stream.flush()
