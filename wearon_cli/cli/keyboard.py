"""Single keys of a terminal, for a live screen."""

import asyncio
import os
import re
import sys
import termios
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

#: What terminals send for keys that have no character.
_NAMES: Final = {
    "\x1b[A": "up",
    "\x1bOA": "up",
    "k": "up",
    "\x1b[B": "down",
    "\x1bOB": "down",
    "j": "down",
    "\r": "enter",
    "\n": "enter",
    "\x1b": "escape",
}
#: One key: a sequence that a key sends, or a character.
_KEY: Final = re.compile(r"\x1b[\[O][A-Z]|.", re.DOTALL)


class Keys:
    """Keys as they are pressed."""

    def __init__(self) -> None:
        self._pressed: asyncio.Queue[str] = asyncio.Queue()

    async def next(self, within_s: float) -> str | None:
        """The next key, by its name or character; None when none was pressed in time."""
        try:
            return await asyncio.wait_for(self._pressed.get(), within_s)
        except TimeoutError:
            return None

    def read(self) -> None:
        """Read what was typed; fast typing or pasting gives several keys at once."""
        typed = os.read(sys.stdin.fileno(), 64).decode("utf-8", "replace")
        for each in _KEY.findall(typed):
            self._pressed.put_nowait(_NAMES.get(each, each))


@contextmanager
def keyboard() -> Iterator[Keys]:
    """Read keys without echo while the block runs; none where stdin is no terminal."""
    keys = Keys()
    if not sys.stdin.isatty():
        yield keys
        return
    number, loop = sys.stdin.fileno(), asyncio.get_running_loop()
    before = termios.tcgetattr(number)
    tty.setcbreak(number)  # Ctrl-C still interrupts
    loop.add_reader(number, keys.read)
    try:
        yield keys
    finally:
        loop.remove_reader(number)
        termios.tcsetattr(number, termios.TCSADRAIN, before)
