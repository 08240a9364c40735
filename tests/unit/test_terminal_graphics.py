"""Pictures in a terminal: its answers, and the sequences sent to it, decoded again."""

import io
import re
from base64 import b64decode

import numpy as np
import pytest
from PIL import Image

from wearon_cli.cli.terminal_graphics import Graphics, graphics_in, inline

KITTY = "\x1b_Gi=31;OK\x1b\\\x1bP>|kitty(0.45.0)\x1b\\\x1b[?62;52;c"
ITERM2 = "\x1bP>|iTerm2 3.6.5\x1b\\\x1b[?65;1;9c"
SIXEL = "\x1b[?62;1;4;22c"


@pytest.mark.parametrize(
    ("answer", "graphics"),
    [
        pytest.param(KITTY, Graphics.KITTY, id="kitty"),
        pytest.param(ITERM2, Graphics.ITERM2, id="iTerm2"),
        pytest.param("\x1bP>|WezTerm 2026\x1b\\\x1b[?65;4;6c", Graphics.ITERM2, id="WezTerm"),
        pytest.param(SIXEL, Graphics.SIXEL, id="xterm with sixel"),
        pytest.param("\x1b[?64;1;2;6;22c", None, id="xterm without"),
        pytest.param("\x1b[?4c", None, id="a VT132: 4 is its class, not an attribute"),
        pytest.param("\x1b_Gi=31;ENOTSUP\x1b\\\x1b[?62c", None, id="kitty's protocol, refused"),
        pytest.param("", None, id="no answer"),
    ],
)
def test_the_terminals_answer_selects_the_protocol(answer: str, graphics: Graphics | None) -> None:
    assert graphics_in(answer) is graphics


@pytest.fixture
def picture() -> Image.Image:
    """Few colours, and a height that is not a multiple of six."""
    pixels = np.zeros((20, 33, 3), dtype=np.uint8)
    pixels[:, 11:22] = (255, 0, 0)
    pixels[7:, 22:] = (0, 51, 255)
    return Image.fromarray(pixels)


def test_kitty_gets_the_picture_in_chunks(picture: Image.Image) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (60, 60, 3), dtype=np.uint8)
    large = Image.fromarray(noise)
    counts = []
    for each in (picture, large):
        sent = inline(each, Graphics.KITTY, columns=40)
        commands = re.findall(r"\x1b_G([^;]*);([^\x1b]*)\x1b\\", sent)
        assert commands[0][0].startswith("a=T,f=100,q=2,c=40,m=")
        assert [head[-1] for head, _ in commands] == ["1"] * (len(commands) - 1) + ["0"]
        assert all(len(data) <= 4096 for _, data in commands)
        png = b64decode("".join(data for _, data in commands))
        assert np.array_equal(np.asarray(Image.open(io.BytesIO(png))), np.asarray(each))
        counts.append(len(commands))
    assert counts[0] == 1 < counts[1]


def test_iterm2_gets_the_picture_whole(picture: Image.Image) -> None:
    sent = inline(picture, Graphics.ITERM2, columns=40)
    found = re.fullmatch(r"\x1b\]1337;File=inline=1;width=40;[^:]*:([^\x07]*)\x07\n", sent)
    assert found is not None
    shown = np.asarray(Image.open(io.BytesIO(b64decode(found[1]))))
    assert np.array_equal(shown, np.asarray(picture))


def test_sixels_are_the_picture(picture: Image.Image) -> None:
    shown = unsixeled(inline(picture, Graphics.SIXEL, columns=40))
    assert np.abs(shown - np.asarray(picture).astype(int)).max() <= 2  # colours are in percent


def unsixeled(sent: str) -> "np.ndarray[tuple[int, ...], np.dtype[np.int64]]":
    """Draw sixels as a terminal does."""
    found = re.fullmatch(r'\x1bPq"1;1;(\d+);(\d+)(.*)\x1b\\\n', sent, re.DOTALL)
    assert found is not None
    width, height = int(found[1]), int(found[2])
    canvas = np.full((height + 6, width, 3), -1, dtype=np.int64)
    colours: dict[str, list[int]] = {}
    column, top, colour = 0, 0, ""
    steps = re.finditer(r"#(\d+)(?:;2;(\d+);(\d+);(\d+))?|!(\d+)([?-~])|([$-])|([?-~])", found[3])
    for number, red, green, blue, count, repeated, move, single in (s.groups() for s in steps):
        if number is not None:
            colour = number
            if red is not None:
                colours[number] = [round(int(part) * 2.55) for part in (red, green, blue)]
        elif move is not None:
            column, top = 0, top + 6 * (move == "-")
        else:
            times, bits = int(count or 1), ord(repeated or single) - 63
            for row in range(6):
                if bits >> row & 1:
                    canvas[top + row, column : column + times] = colours[colour]
            column += times
    assert (canvas[:height] >= 0).all()
    assert (canvas[height:] == -1).all()
    return canvas[:height]
