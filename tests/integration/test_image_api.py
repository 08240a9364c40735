"""The image API over real sockets: faults that only a network has."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import httpx
import pytest
from pydantic import SecretStr

from devkit import pictures as kit
from devkit.first_usable import FirstUsable
from devkit.servers.image_api import KEY
from devkit.servers.image_api_process import ImageApiProcess
from devkit.waiting import LONGEST_S, reached, until
from wearon_cli.adapters.providers.openai_edits import OpenAIImages, image_api_client
from wearon_cli.core.errors import CallAmbiguous, GeneratorUnreachable, RateLimited
from wearon_cli.core.pictures.prepare import prepare, verify
from wearon_cli.core.providers import TryOnRequest

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

PICTURE = prepare(kit.PERSON.read_bytes())


@pytest.fixture(scope="module")
def server() -> Iterator[ImageApiProcess]:
    with ImageApiProcess() as running:
        yield running


@pytest.fixture
def api(server: ImageApiProcess) -> ImageApiProcess:
    """The server with nothing in its book, no call in flight and no faults."""
    until(lambda: server.book()["in_flight"] == 0)
    server.rules(faults=[], latency="0", limit=None, gather=0)
    server.reset()
    return server


def request(session_id: str = "s1") -> TryOnRequest:
    return TryOnRequest(session_id=session_id, pictures=(PICTURE, PICTURE), prompt="Dress.")


@asynccontextmanager
async def generator(base_url: str, *, connections: int = 8) -> AsyncIterator[FirstUsable]:
    async with connected(base_url, connections=connections) as http:
        yield images_over(http, timeout_s=LONGEST_S)


def connected(base_url: str, *, connections: int) -> httpx.AsyncClient:
    return image_api_client(base_url=base_url, api_key=SecretStr(KEY), connections=connections)


def images_over(http: httpx.AsyncClient, *, timeout_s: float) -> FirstUsable:
    provider = OpenAIImages(http, size="1024x1536", quality="medium", timeout_s=timeout_s)
    return FirstUsable(provider, models=["gpt-image-1.5"], timeout_s=timeout_s)


async def test_a_picture_comes_back_over_the_wire(api: ImageApiProcess) -> None:
    async with generator(api.base_url) as images:
        made = await images.generate(request())
    assert kit.decode(verify(made.data).jpeg).size == (1024, 1536)
    assert api.book()["purchases"] == {"s1": 1}


@pytest.mark.parametrize(
    ("fault", "billed"), [("drop_before", 0), ("drop_after", 1), ("truncated_body", 1)]
)
async def test_a_connection_that_closes_after_sending_is_ambiguous(
    api: ImageApiProcess, fault: str, billed: int
) -> None:
    api.rules(faults=[{"name": fault}])
    async with generator(api.base_url) as images:
        with pytest.raises(CallAmbiguous):
            await images.generate(request())
    assert api.book()["billed"] == billed


async def test_an_answer_that_never_arrives_is_ambiguous(
    api: ImageApiProcess,
) -> None:
    async with connected(api.base_url, connections=1) as http:
        await images_over(http, timeout_s=LONGEST_S).generate(request())  # opens the connection
        api.rules(faults=[{"name": "hang"}])
        with pytest.raises(CallAmbiguous, match="in 1 s"):
            await images_over(http, timeout_s=1.0).generate(request())


async def test_a_refused_connection_is_free_to_repeat() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, and not listening
        async with generator(f"http://127.0.0.1:{taken.getsockname()[1]}/v1") as images:
            with pytest.raises(GeneratorUnreachable):
                await images.generate(request())


async def test_no_free_connection_is_free_to_repeat(api: ImageApiProcess) -> None:
    """The second call waits for the only connection and is never sent."""
    api.rules(gather=2)
    async with connected(api.base_url, connections=1) as http:
        first = asyncio.create_task(
            images_over(http, timeout_s=LONGEST_S).generate(request("first"))
        )
        await reached(lambda: api.book()["in_flight"])
        with pytest.raises(GeneratorUnreachable):
            await images_over(http, timeout_s=2.0).generate(request("second"))
        api.rules(gather=0)
        await first
    assert api.book()["purchases"] == {"first": 1}


async def test_calls_reuse_their_connection(api: ImageApiProcess) -> None:
    async with generator(api.base_url) as images:
        for _ in range(5):
            await images.generate(request())
    clients = {call["client"] for call in api.book(calls=True)["list"]}
    assert len(clients) == 1


async def test_hundreds_are_in_flight_at_once(api: ImageApiProcess) -> None:
    """None is answered before all have arrived."""
    api.rules(gather=200)
    async with generator(api.base_url, connections=250) as images:
        made = await asyncio.gather(*(images.generate(request(f"s{n}")) for n in range(200)))
    book = api.book()
    assert len(made) == 200
    assert book["most_in_flight"] == 200
    assert set(book["purchases"].values()) == {1}


async def test_the_server_enforces_its_own_rate_limit(api: ImageApiProcess) -> None:
    """The server that tests the limiter must itself refuse calls."""
    api.rules(limit=5)
    async with generator(api.base_url) as images:
        outcomes = await asyncio.gather(
            *(images.generate(request(f"s{n}")) for n in range(8)), return_exceptions=True
        )
    limited = [each for each in outcomes if isinstance(each, RateLimited)]
    assert len(limited) == 3
    assert all(each.retry_after_s > 0 for each in limited)
    assert (api.book()["billed"], api.book()["peak_per_minute"]) == (5, 8)


async def test_each_picture_names_its_session(api: ImageApiProcess) -> None:
    async with generator(api.base_url) as images:
        made = await asyncio.gather(*(images.generate(request(f"s{n}")) for n in range(10)))
    for number, picture in enumerate(made):
        assert b"session=s%d " % number in verify(picture.data).jpeg
