"""`wearon status` on a pseudo terminal: what its keys do."""

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import wearon_cli
from devkit.terminal import Terminal
from wearon_cli.adapters.local import accounts
from wearon_cli.core.errors import Interrupted
from wearon_cli.core.operator.try_on import Order, Upload
from wearon_cli.core.session import Channel, fail
from wearon_cli.core.settings import Settings
from wearon_cli.runtime.all.local_stack import local_services
from wearon_cli.wiring.operator import open_operator_tools

pytestmark = pytest.mark.slow

ASSETS = Path(wearon_cli.__file__).parent / "assets"


async def failed(settings: Settings) -> list[str]:
    """Two sessions that failed, the newest first."""
    made: list[str] = []
    async with open_operator_tools(settings) as tools:
        picture = Upload(data=(ASSETS / "person.jpg").read_bytes(), content_type="image/jpeg")
        for words in ("the first failure", "the second failure"):
            order = Order(
                channel=Channel.B2C, owner_id=accounts.DEMO_USER_ID, pictures=(picture, picture)
            )
            row = await tools.orders.place(order)
            await tools.sessions.apply(row.key, fail(words))
            made.insert(0, row.session_id)
    return made


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[list[str], list[str]]]:
    """`wearon status` of a stack without workers, and its failed sessions."""
    folder = tmp_path_factory.mktemp("stack")
    with local_services(folder, host="127.0.0.1", port=0) as settings:
        sessions = asyncio.run(failed(settings))
        wearon = [sys.executable, "-m", "wearon_cli", "status", "--every", "1"]
        yield [*wearon, "--local", "--data-dir", str(folder)], sessions


def test_q_p_and_enter_on_a_failure(stack: tuple[list[str], list[str]]) -> None:
    command, (newest, older) = stack
    with Terminal(command) as terminal:
        assert older in terminal.read_until("p pause")
        assert newest in terminal.text
        assert "✗ failed" in terminal.text
        terminal.type("p")
        terminal.read_until("paused")
        terminal.type("\x1b[B\r")
        shown = terminal.read_until("q, enter back")
        assert "the first failure" in shown
        assert "the second failure" not in shown
        terminal.shown = b""
        terminal.type("q")
        terminal.read_until("p pause")
        terminal.type("q")
        assert terminal.wait() == 0


def test_the_screen_refreshes_by_itself_and_ctrl_c_ends_it(
    stack: tuple[list[str], list[str]],
) -> None:
    command, _ = stack
    with Terminal(command, columns=60) as terminal:
        terminal.read_until("as of")
        terminal.shown = b""
        terminal.read_until("as of")  # the next look
        terminal.type("\x03")
        assert terminal.wait() == Interrupted.exit_code
    assert "\x1b[?1049l" in terminal.text  # the screen as it was before
