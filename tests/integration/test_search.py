"""Whatever is pasted into the search finds something or nothing, and is never an error."""

import pytest

from devkit.accounts import USER
from devkit.crashes import b2c
from devkit.operators import Operators
from devkit.world import World
from wearon_cli.core.errors import InputError
from wearon_cli.core.operator.search import Pasted, Wanted

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

BROKEN = ("https://[broken", "https://[broken")
TEXTS = pytest.mark.parametrize(
    "text",
    [
        pytest.param("https://[shop.example", id="half a bracket"),
        pytest.param("//[", id="no host"),
        pytest.param("https://ex\u2100mple.com", id="a letter that becomes a slash"),
        pytest.param("a\0b", id="NUL"),
        pytest.param("\udce4", id="a byte that is not UTF-8"),
        pytest.param("https://\udce4/", id="the same in an address"),
        pytest.param("%*_,)(\\", id="characters of patterns and filters"),
    ],
)


@TEXTS
async def test_a_text_that_names_nothing_finds_nothing(
    world: World, operators: Operators, text: str
) -> None:
    """Seen: a traceback for an address with half a bracket, and for bytes that are not UTF-8."""
    await b2c(world)
    page = await operators.tools.search.find(Wanted(text=text))
    assert (page.pasted, page.sessions) == (Pasted.UNKNOWN, ())


@TEXTS
async def test_a_text_that_is_no_owner_is_bad_input(
    world: World, operators: Operators, text: str
) -> None:
    await b2c(world)
    with pytest.raises(InputError, match="there is no store or user"):
        await operators.tools.search.find(Wanted(owner=text))


async def test_an_address_that_was_copied_with_brackets_names_its_session(
    world: World, operators: Operators
) -> None:
    key = await b2c(world)
    text = f"https://[files.example/generated/{key.session_id}.jpg]"
    page = await operators.tools.search.find(Wanted(text=text))
    assert page.pasted is Pasted.ADDRESS
    assert [each.session.session_id for each in page.sessions] == [key.session_id]


async def test_a_row_with_a_broken_address_can_be_read(world: World, operators: Operators) -> None:
    """Seen: a traceback, also when another session of its owner was forgotten."""
    key = await world.sell(owner_id=USER, image_urls=BROKEN, push=False)
    report = await operators.report(key)
    assert [each.path for each in await operators.inspector.input_pictures(report)] == [None, None]
