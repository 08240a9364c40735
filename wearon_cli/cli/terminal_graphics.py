"""
Pictures in the terminal: whether it can show them, and how to send them.

It asks the terminal, not the environment, so this works over ssh and in a multiplexer too.

    kitty     sw.kovidgoyal.net/kitty/graphics-protocol/
    iTerm2    iterm2.com/documentation-images.html
    sixel     DEC VT340: six rows of pixels a character
"""

import io
import os
import re
import select
import sys
import termios
import time
import tty
from base64 import b64encode
from collections.abc import Iterator
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from PIL.Image import Image

#: How long a terminal may take to answer, over a slow connection too.
ANSWER_S: Final = 1.0
#: Most characters of data in one kitty command.
_KITTY_CHUNK: Final = 4096
_SIXEL_COLOURS: Final = 255
_SIXEL_ROWS: Final = 6

_ESC: Final = "\x1b"
#: Asks for kitty's protocol, the terminal's name, and its attributes. Every terminal answers the
#: last question, so an answer that has not come before it will not come.
QUESTION: Final = (
    f"{_ESC}_Gi=31,s=1,v=1,a=q,t=d,f=24;AAAA{_ESC}\\"  # a pixel, not to be shown
    f"{_ESC}[>0q"
    f"{_ESC}[c"
)
_ATTRIBUTES: Final = re.compile(r"\x1b\[\?([\d;]*)c")
_NAME: Final = re.compile(r"\x1bP>\|([^\x1b]*)\x1b\\")
_SIXEL_ATTRIBUTE: Final = "4"


class Graphics(StrEnum):
    """A protocol for pictures."""

    KITTY = "kitty"
    ITERM2 = "iterm2"
    SIXEL = "sixel"


def ask_terminal() -> Graphics | None:
    """Ask the terminal of stdin and stdout what it can show; None: no pictures, or it is not a
    terminal.
    """
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return None
    keyboard = sys.stdin.fileno()
    before = termios.tcgetattr(keyboard)
    try:
        tty.setcbreak(keyboard)
        sys.stdout.write(QUESTION)
        sys.stdout.flush()
        return graphics_in(_answer(keyboard))
    finally:
        termios.tcsetattr(keyboard, termios.TCSADRAIN, before)


def graphics_in(answer: str) -> Graphics | None:
    """The best protocol that an answer to `QUESTION` names."""
    if f"{_ESC}_Gi=31;OK" in answer:
        return Graphics.KITTY
    name = _NAME.search(answer)
    if name and name[1].startswith(("iTerm2", "WezTerm")):
        return Graphics.ITERM2
    attributes = _ATTRIBUTES.search(answer)
    if attributes and _SIXEL_ATTRIBUTE in attributes[1].split(";")[1:]:
        return Graphics.SIXEL
    return None


def inline(picture: "Image", graphics: Graphics, *, columns: int) -> str:
    """
    The characters that show a picture at the cursor.

    Args:
        picture: RGB.
        graphics: The terminal's protocol.
        columns: Largest width in characters; sixel shows the pixels unscaled.
    """
    match graphics:
        case Graphics.KITTY:
            return "".join(_kitty(_file(picture, "PNG"), columns)) + "\n"
        case Graphics.ITERM2:
            size, data = f"width={columns};preserveAspectRatio=1", _file(picture, "PNG")
            return f"{_ESC}]1337;File=inline=1;{size}:{b64encode(data).decode()}\x07\n"
        case Graphics.SIXEL:
            return f"{_ESC}Pq{''.join(_sixel(picture))}{_ESC}\\\n"


def _answer(keyboard: int) -> str:
    """Read until the attributes have come, or time is up."""
    read = ""
    give_up_s = time.monotonic() + ANSWER_S
    while _ATTRIBUTES.search(read) is None:
        left_s = give_up_s - time.monotonic()
        if left_s <= 0 or not select.select([keyboard], [], [], left_s)[0]:
            break
        read += os.read(keyboard, 1024).decode("ascii", "replace")
    return read


def _file(picture: "Image", kind: str) -> bytes:
    out = io.BytesIO()
    picture.save(out, kind)
    return out.getvalue()


def _kitty(png: bytes, columns: int) -> Iterator[str]:
    data = b64encode(png).decode()
    head = f"a=T,f=100,q=2,c={columns},"
    for start in range(0, len(data), _KITTY_CHUNK):
        more = int(start + _KITTY_CHUNK < len(data))
        yield f"{_ESC}_G{head}m={more};{data[start : start + _KITTY_CHUNK]}{_ESC}\\"
        head = ""


def _sixel(picture: "Image") -> Iterator[str]:
    """Colours in percent, then bands of six rows: one pass per colour in the band."""
    import numpy as np

    small = picture.convert("RGB").quantize(_SIXEL_COLOURS)
    width, height = small.size
    yield f'"1;1;{width};{height}'
    palette = small.getpalette() or []
    for number in range(len(palette) // 3):
        red, green, blue = (
            round(part * 100 / 255) for part in palette[3 * number : 3 * number + 3]
        )
        yield f"#{number};2;{red};{green};{blue}"
    pixels = np.asarray(small)
    for top in range(0, height, _SIXEL_ROWS):
        band = pixels[top : top + _SIXEL_ROWS]
        bits = 1 << np.arange(len(band))[:, None]
        for number in np.unique(band):
            row = ((band == number) * bits).sum(axis=0)
            yield f"#{number}{_repeated(row.tolist())}$"
        yield "-"


def _repeated(sixels: list[int]) -> str:
    """Six pixels per character, with runs of the same character shortened."""
    out, start = [], 0
    for place in range(1, len(sixels) + 1):
        if place == len(sixels) or sixels[place] != sixels[start]:
            count, character = place - start, chr(63 + sixels[start])
            out.append(f"!{count}{character}" if count > 3 else character * count)
            start = place
    return "".join(out)
