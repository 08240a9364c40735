"""Responses and Runware over real sockets, as processes: faults that only a network has."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import asdict

import pytest
from pydantic import SecretStr

from devkit import pictures as kit
from devkit.providers import MODELS, OUTER_MODEL, QUALITY, SIZE, request
from devkit.servers import image_api, runware_api
from devkit.servers.image_api_process import (
    ImageApiProcess,
    ResponsesApiProcess,
    RunwareApiProcess,
)
from devkit.waiting import LONGEST_S, reached
from wearon_cli.adapters.fetch.guarded_http import GuardedFetcher
from wearon_cli.adapters.providers.openai_edits import image_api_client
from wearon_cli.adapters.providers.openai_responses import OpenAIResponses
from wearon_cli.adapters.providers.polling import Pace
from wearon_cli.adapters.providers.runware import Runware, runware_client
from wearon_cli.core.errors import CallAmbiguous
from wearon_cli.core.pictures.prepare import verify
from wearon_cli.core.providers import (
    GeneratedPicture,
    Pending,
    Provider,
    Ticket,
    collected,
)

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

CONNECTIONS = 16


@pytest.fixture(scope="module", params=["responses", "runware"])
def server(request: pytest.FixtureRequest) -> Iterator[ImageApiProcess]:
    kinds = {"responses": ResponsesApiProcess, "runware": RunwareApiProcess}
    with kinds[request.param]() as running:
        yield running


@pytest.fixture
def api(server: ImageApiProcess) -> ImageApiProcess:
    """The server with nothing in its book and no faults."""
    server.rules(faults=[], latency="0", limit=None)
    server.reset()
    return server


@asynccontextmanager
async def provider_of(
    api: ImageApiProcess, *, submit_timeout_s: float = LONGEST_S
) -> AsyncIterator[tuple[Provider, str]]:
    """The adapter, with few connections, and the model to request."""
    if isinstance(api, RunwareApiProcess):
        fetcher = GuardedFetcher(
            trusted_origins=[api.origin], max_bytes=10_000_000, total_timeout_s=LONGEST_S
        )
        client = runware_client(
            base_url=api.base_url,
            api_key=SecretStr(runware_api.KEY),
            connections=CONNECTIONS,
        )
        async with client, aclosing(fetcher):
            runware = Runware(
                client,
                fetcher,
                size=SIZE,
                quality=QUALITY,
                submit_timeout_s=submit_timeout_s,
                look_again_s=0.1,
                pace=Pace(0.2),
            )
            yield runware, MODELS["runware"]
        return
    client = image_api_client(
        base_url=api.base_url, api_key=SecretStr(image_api.KEY), connections=CONNECTIONS
    )
    async with client:
        responses = OpenAIResponses(
            client,
            outer_model=OUTER_MODEL,
            size=SIZE,
            quality=QUALITY,
            submit_timeout_s=submit_timeout_s,
            pace=Pace(0.2),
        )
        yield responses, MODELS["responses"]


async def bought(provider: Provider, model: str, session_id: str) -> GeneratedPicture:
    marker = await provider.prepare(session_id)
    state = await provider.submit(request(session_id), model=model, marker=marker)
    assert isinstance(state, Pending)
    return await collected(provider, state, within_s=LONGEST_S)


async def test_a_picture_comes_back_over_the_wire(api: ImageApiProcess) -> None:
    async with provider_of(api) as (provider, model):
        made = await bought(provider, model, "s1")
    assert kit.decode(verify(made.data).jpeg).format == "JPEG"
    assert b"session=s1 " in made.data
    book = api.book()
    assert book["purchases"] == {"s1": 1}
    assert made.usage.cost_usd == pytest.approx(book["cost_usd"])


@pytest.mark.parametrize("fault", ["lose_submit", "hang_submit", "odd_submit", "page_submit"])
async def test_an_answer_that_is_lost_on_the_wire_is_found_by_its_marker(
    api: ImageApiProcess, fault: str
) -> None:
    api.rules(faults=[{"name": fault, "times": 1}])
    async with provider_of(api, submit_timeout_s=2.0) as (provider, model):
        marker = await provider.prepare("s1")
        assert marker is not None
        with pytest.raises(CallAmbiguous):
            await provider.submit(request("s1"), model=model, marker=marker)
    async with provider_of(api) as (provider, model):
        ticket = await provider.find(model=model, marker=marker)
        assert ticket is not None
        kept = Ticket(**json.loads(json.dumps(asdict(ticket))))
        made = await collected(provider, Pending(ticket=kept, after_s=0), within_s=LONGEST_S)
    assert b"session=s1 " in made.data
    assert api.book()["purchases"] == {"s1": 1}


async def test_a_truncated_result_is_fetched_again(api: ImageApiProcess) -> None:
    api.rules(faults=[{"name": "lose_result", "times": 1}])
    async with provider_of(api) as (provider, model):
        made = await bought(provider, model, "s1")
    assert verify(made.data).jpeg
    book = api.book()
    assert (book["purchases"], book["by_fault"]) == ({"s1": 1}, {"lose_result": 1})


async def test_hundreds_are_in_flight_over_a_few_connections(api: ImageApiProcess) -> None:
    """None is finished before all are there."""
    api.rules(faults=[{"name": "hold"}])
    async with provider_of(api) as (provider, model):
        jobs = [asyncio.create_task(bought(provider, model, f"s{n}")) for n in range(200)]
        await reached(lambda: asyncio.to_thread(lambda: api.book()["in_flight"] == 200))
        api.release()
        made = await asyncio.gather(*jobs)
    assert all(b"session=s%d " % n in each.data for n, each in enumerate(made))
    assert set(api.book()["purchases"].values()) == {1}


async def test_the_server_holds_drawings_until_released(api: ImageApiProcess) -> None:
    api.rules(faults=[{"name": "hold"}])
    async with provider_of(api) as (provider, model):
        marker = await provider.prepare("s1")
        state = await provider.submit(request("s1"), model=model, marker=marker)
        assert isinstance(state, Pending)
        assert isinstance(await provider.collect(state.ticket), Pending)
        api.release()
        made = await collected(provider, state, within_s=LONGEST_S)
        assert b"session=s1 " in made.data
