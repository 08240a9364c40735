"""The contact sheet: its layout works for any number of cards and any text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from devkit import pictures as kit
from wearon_cli.core.pictures.contact_sheet import PLACE_PX, Card, contact_sheet

WIDTH, HEIGHT = PLACE_PX


def drawn(cards: list[Card]) -> Image.Image:
    return kit.decode(contact_sheet(cards, title="T", subtitle="s"))


def colour(name: str, width: int = 40, height: int = 60) -> Card:
    picture = kit.encode(Image.new("RGB", (width, height), name), quality=95)
    return Card(name=name, facts="1.0 s", jpeg=picture)


def centre(sheet: Image.Image, column: int, row: int) -> tuple[int, ...]:
    """The colour in the middle of a card's picture: margin 48, head 108, gap 28, caption 76."""
    x = 48 + column * (WIDTH + 28) + WIDTH // 2
    y = 48 + 108 + row * (HEIGHT + 76 + 28) + HEIGHT // 2
    pixel = sheet.getpixel((x, y))
    assert isinstance(pixel, tuple)
    return pixel


def is_close(one: tuple[int, ...], other: tuple[int, ...]) -> bool:
    return all(abs(a - b) < 12 for a, b in zip(one, other, strict=True))


def test_cards_are_in_order_in_rows_of_at_most_four() -> None:
    names = ["red", "lime", "blue", "yellow", "cyan", "magenta"]
    wanted = {
        "red": (255, 0, 0),
        "lime": (0, 255, 0),
        "blue": (0, 0, 255),
        "yellow": (255, 255, 0),
        "cyan": (0, 255, 255),
        "magenta": (255, 0, 255),
    }
    sheet = drawn([colour(name) for name in names])
    for number, name in enumerate(names):  # six cards: two even rows of three
        assert is_close(centre(sheet, number % 3, number // 3), wanted[name]), name


@pytest.mark.parametrize(("cards", "columns"), [(1, 1), (3, 3), (4, 4), (5, 3), (8, 4), (9, 3)])
def test_rows_are_filled_evenly(cards: int, columns: int) -> None:
    sheet = drawn([colour("red")] * cards)
    assert sheet.width == 2 * 48 + columns * (WIDTH + 28) - 28


def test_a_picture_is_shown_whole_whatever_its_shape() -> None:
    wide = drawn([colour("red", 600, 100)])
    left = wide.getpixel((48 + 6, 48 + 108 + HEIGHT // 2))
    assert isinstance(left, tuple)
    assert is_close(left, (255, 0, 0)), "it reaches the side of its place"
    above = wide.getpixel((48 + WIDTH // 2, 48 + 108 + 100))
    assert isinstance(above, tuple)
    assert not is_close(above, (255, 0, 0)), "it is not stretched to its height"


def test_a_failure_is_a_card_with_its_reason() -> None:
    with_reason = drawn([Card(name="m", reason="the safety system said no")])
    without = drawn([Card(name="m", reason="")])
    assert with_reason.size == without.size
    assert with_reason.tobytes() != without.tobytes()


@given(text=st.text(max_size=400))
def test_no_caption_breaks_the_layout(text: str) -> None:
    card = Card(name=text, facts=text, reason=text)
    assert drawn([card]).size == (2 * 48 + WIDTH, 48 + 108 + HEIGHT + 76 + 48)
