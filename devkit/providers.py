"""Each provider over its loopback API, in process: for the contract tests and benchmarks."""

import io
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
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
from wearon_cli.core.pictures.files import sniff
from wearon_cli.core.pictures.ports import PreparedPicture
from wearon_cli.core.providers import Provider, TryOnRequest

SIZE, QUALITY = "1024x1536", "medium"
OUTER_MODEL = "gpt-6-luna"
#: What is asked of a provider by default.
MODELS = {
    "images": "gpt-image-2.6-flare",
    "responses": "gpt-image-2.6-flare",
    "runware": "prunaai:p-image@try-on",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderUnderTest:
    """A provider, and what stands behind it."""

    kind: str
    provider: Provider
    api: Any  # ImageApi, ResponsesApi or RunwareApi
    model: str

    def purchases(self) -> dict[str, int]:
        """Pictures billed, by session."""
        book = self.api if isinstance(self.api, ImageApi) else self.api.drawings
        return dict(book.purchases())

    def billed_usd(self) -> float:
        """All that was billed."""
        return float(self.api.drawings.cost_usd())


def picture(colour: str = "white") -> PreparedPicture:
    """A small real JPEG."""
    held = io.BytesIO()
    Image.new("RGB", (96, 128), colour).save(held, "JPEG")
    return PreparedPicture(jpeg=held.getvalue(), width_px=96, height_px=128)


def request(
    session_id: str = "s1", *, pictures: int = 2, prompt: str = "Dress the person."
) -> TryOnRequest:
    """A try-on."""
    garments = [picture("red")] * (pictures - 1)
    return TryOnRequest(
        session_id=session_id, pictures=(picture(), *garments), prompt=prompt
    )


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


@asynccontextmanager
async def open_provider(kind: str, **told: Any) -> AsyncIterator[ProviderUnderTest]:
    """
    A provider over its loopback API.

    Args:
        kind: images, responses or runware.
        told: What the API is to do: latency, faults and its own.
    """
    openers = {"images": _images, "responses": _responses, "runware": _runware}
    provider, api, close = openers[kind](**told)
    try:
        yield ProviderUnderTest(kind=kind, provider=provider, api=api, model=MODELS[kind])
    finally:
        for each in close:
            await each()


Opened = tuple[Provider, Any, list[Callable[[], Awaitable[None]]]]


def _images(**told: Any) -> Opened:
    api = ImageApi(**told)
    http = _openai_http(api.app)
    return OpenAIImages(http, size=SIZE, quality=QUALITY, timeout_s=1.0), api, [http.aclose]


def _responses(**told: Any) -> Opened:
    api = ResponsesApi(**told)
    http = _openai_http(api.app)
    provider = OpenAIResponses(
        http,
        outer_model=OUTER_MODEL,
        size=SIZE,
        quality=QUALITY,
        submit_timeout_s=1.0,
        pace=Pace(0.01),
    )
    return provider, api, [http.aclose]


def _runware(**told: Any) -> Opened:
    api = RunwareApi(**told)
    http = runware_client(
        base_url="http://runware.test/v1",
        api_key=SecretStr(runware_api.KEY),
        connections=8,
        transport=httpx.ASGITransport(api.app),
    )
    fetcher = LoopbackFetcher(api.app)
    provider = Runware(
        http,
        fetcher,
        size=SIZE,
        quality=QUALITY,
        submit_timeout_s=1.0,
        look_again_s=0.01,
        pace=Pace(0.01),
    )
    return provider, api, [http.aclose, fetcher.aclose]


def _openai_http(app: Any) -> httpx.AsyncClient:
    return image_api_client(
        base_url="http://openai.test/v1",
        api_key=SecretStr(image_api.KEY),
        connections=8,
        transport=httpx.ASGITransport(app),
    )
