"""Each provider over its loopback API, in process: for the contract tests and benchmarks."""

import io
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from PIL import Image
from pydantic import SecretStr

from devkit.servers import image_api, runware_api
from devkit.servers.image_api import ImageApi
from devkit.servers.responses_api import ResponsesApi
from devkit.servers.runware_api import RunwareApi
from wearon_cli.adapters.providers.openai_edits import OpenAIImages, image_api_client
from wearon_cli.adapters.providers.openai_responses import OpenAIResponses
from wearon_cli.adapters.providers.polling import Pace
from wearon_cli.adapters.providers.runware import Runware, runware_client
from wearon_cli.core.errors import FetchFailed, PictureUnavailable, PictureUnusable
from wearon_cli.core.pictures.headers import sniff
from wearon_cli.core.pictures.ports import PreparedPicture
from wearon_cli.core.providers import Provider, TryOnRequest

SIZE, QUALITY = "1024x1536", "medium"
OUTER_MODEL = "gpt-6-luna"
#: The default request to a provider.
MODELS = {
    "images": "gpt-image-2.6-flare",
    "responses": "gpt-image-2.6-flare",
    "runware": "prunaai:p-image@try-on",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderUnderTest:
    """A provider, and its loopback API."""

    kind: str
    provider: Provider
    api: Any  # ImageApi, ResponsesApi or RunwareApi
    network: "LoopbackTransport"
    model: str

    def purchases(self) -> dict[str, int]:
        """Pictures billed, by session."""
        book = self.api if isinstance(self.api, ImageApi) else self.api.drawings
        return dict(book.purchases())

    def billed_usd(self) -> float:
        """The total that was billed."""
        return float(self.api.drawings.cost_usd())


def picture(colour: str = "white") -> PreparedPicture:
    """A small real JPEG."""
    held = io.BytesIO()
    Image.new("RGB", (96, 128), colour).save(held, "JPEG")
    return PreparedPicture(jpeg=held.getvalue(), small=held.getvalue(), width_px=96, height_px=128)


def request(
    session_id: str = "s1", *, pictures: int = 2, prompt: str = "Dress the person."
) -> TryOnRequest:
    """A try-on."""
    garments = [picture("red")] * (pictures - 1)
    return TryOnRequest(session_id=session_id, pictures=(picture(), *garments), prompt=prompt)


class LoopbackFetcher:
    """Implements `Fetcher` over an application in process, with the guarded one's errors."""

    def __init__(self, app: Any) -> None:
        self._http = httpx.AsyncClient(transport=httpx.ASGITransport(app))

    async def fetch(self, url: str) -> bytes:
        try:
            answer = await self._http.get(url)
        except httpx.TransportError as exc:
            raise FetchFailed from exc
        if answer.status_code != 200:
            raise PictureUnavailable
        if sniff(answer.content) is None:
            raise PictureUnusable
        return answer.content

    async def aclose(self) -> None:
        await self._http.aclose()


class LoopbackTransport(httpx.ASGITransport):
    """An application in process, and a network that can fail."""

    failure: Exception | None = None
    answered: Callable[[httpx.Request], Awaitable[None]] | None = None  # before the answer arrives

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self.failure is not None:
            raise self.failure
        answer = await super().handle_async_request(request)
        if self.answered is not None:
            await self.answered(request)
        return answer


@asynccontextmanager
async def open_provider(
    kind: str, *, api: Any = None, **told: Any
) -> AsyncIterator[ProviderUnderTest]:
    """
    A provider over its loopback API.

    Args:
        kind: images, responses or runware.
        api: An API that runs already: the provider is that of another process.
        told: What a new API is to do: latency, faults and its own.
    """
    apis: dict[str, Callable[..., Any]] = {
        "images": ImageApi,
        "responses": ResponsesApi,
        "runware": RunwareApi,
    }
    api = api or apis[kind](**told)
    network = LoopbackTransport(api.app)
    openers: dict[str, Callable[..., AbstractAsyncContextManager[Provider]]]
    openers = {"images": _images, "responses": _responses, "runware": _runware}
    opener: Any = openers[kind]
    async with opener(api, network) as provider:
        yield ProviderUnderTest(
            kind=kind, provider=provider, api=api, network=network, model=MODELS[kind]
        )


@asynccontextmanager
async def _images(_: ImageApi, network: LoopbackTransport) -> AsyncIterator[Provider]:
    async with _openai_http(network) as http:
        yield OpenAIImages(http, size=SIZE, quality=QUALITY, timeout_s=1.0)


@asynccontextmanager
async def _responses(_: ResponsesApi, network: LoopbackTransport) -> AsyncIterator[Provider]:
    async with _openai_http(network) as http:
        yield OpenAIResponses(
            http,
            outer_model=OUTER_MODEL,
            size=SIZE,
            quality=QUALITY,
            submit_timeout_s=1.0,
            look_again_s=0.01,
            pace=Pace(0.01),
        )


@asynccontextmanager
async def _runware(api: RunwareApi, network: LoopbackTransport) -> AsyncIterator[Provider]:
    http = runware_client(
        base_url="http://runware.test/v1",
        api_key=SecretStr(runware_api.KEY),
        connections=8,
        transport=network,
    )
    fetcher = LoopbackFetcher(api.app)
    async with http, aclosing(fetcher):
        yield Runware(
            http,
            fetcher,
            size=SIZE,
            quality=QUALITY,
            submit_timeout_s=1.0,
            look_again_s=0.01,
            pace=Pace(0.01),
        )


def _openai_http(network: LoopbackTransport) -> httpx.AsyncClient:
    return image_api_client(
        base_url="http://openai.test/v1",
        api_key=SecretStr(image_api.KEY),
        connections=8,
        transport=network,
    )
