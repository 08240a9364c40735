"""
The image generator over OpenAI's `POST /images/edits`.

A call is sent once, and never repeated in here. With no idempotency key on this path, whatever
fails after the request left may have been billed and raises `CallAmbiguous`.
"""

import asyncio
import binascii
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final
from uuid import uuid4

import httpx
from pydantic import SecretStr
from pydantic_core import from_json

from wearon_cli.adapters.providers.openai_errors import (
    HTTPX_ERRORS,
    ErrorBody,
    from_answer,
    from_transport,
    read_error,
    request_id,
)
from wearon_cli.core.errors import (
    CallAmbiguous,
    ConfigError,
    ModelUnavailable,
    RequestRejected,
)
from wearon_cli.core.events import emit
from wearon_cli.core.generator import GeneratedPicture, TryOnRequest, Usage
from wearon_cli.core.image_models import (
    API_MAX_PICTURES,
    MAX_PROMPT_CHARS,
    ImageModel,
    TokenUse,
    cost_usd,
    image_model,
)
from wearon_cli.core.jobs.events import ImageCallAnswered, ImageModelUnavailable

#: Longest answer read. The largest picture is 8.3 megapixels: as PNG in base64 under 34 MB.
MAX_ANSWER_BYTES: Final = 48 * 1024 * 1024
#: An error's answer is a few hundred bytes; more of it is not read.
MAX_ERROR_BYTES: Final = 64 * 1024
#: Opening a connection takes well under a second; and while it waits, nothing was sent.
CONNECT_TIMEOUT_S: Final = 10.0
#: An unavailable model is tried again after this time.
GONE_FOR_S: Final = 600.0
#: Asked for, so that nothing has to be encoded anew; 90 keeps skin free of blocks.
OUTPUT_COMPRESSION: Final = 90
#: Kept open between calls; the vendor's edge closes idle ones after a minute or more.
KEEPALIVE_S: Final = 20.0


def image_api_client(
    *,
    base_url: str,
    api_key: SecretStr,
    connections: int,
    transport: httpx.AsyncBaseTransport | None = None,
) -> httpx.AsyncClient:
    """
    An HTTP client for the image API with room for `connections` calls in flight.

    Raises:
        ConfigError: The key cannot be one: it has spaces, or letters that no header may have.
    """
    key = api_key.get_secret_value().strip()
    if not key.isascii() or not key.isprintable() or " " in key or not key:
        raise ConfigError(
            "OPENAI_API_KEY is not a valid key", hint="copy it again, without line breaks"
        )
    limits = httpx.Limits(
        max_connections=connections,
        max_keepalive_connections=connections,
        keepalive_expiry=KEEPALIVE_S,
    )
    return httpx.AsyncClient(
        base_url=f"{base_url.rstrip('/')}/",
        headers={"Authorization": f"Bearer {key}", "Accept-Encoding": "identity"},
        limits=limits,
        transport=transport,
        follow_redirects=False,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelInfo:
    """What the API says of a model. A hint: on a launch day this list lags behind."""

    model_id: str
    shuts_down: date | None


class OpenAIImages:
    """Implements `Generator`. One instance serves all calls of a process."""

    def __init__(
        self,
        http: httpx.AsyncClient,
        *,
        models: Sequence[str],
        size: str,
        quality: str,
        timeout_s: float,
        gone_for_s: float = GONE_FOR_S,
    ) -> None:
        """
        Args:
            http: From `image_api_client`; the caller closes it.
            models: Model ids in order; the first usable one is used.
            size: WIDTHxHEIGHT of the picture asked for, or auto.
            quality: One of the models' qualities.
            timeout_s: One call, start to end.
            gone_for_s: How long a model that was unavailable is skipped.

        Raises:
            ConfigError: A model does not take this size or quality.
        """
        self._http = http
        self._models = [image_model(model_id) for model_id in models]
        self._size = size
        self._quality = quality
        self._timeout_s = timeout_s
        self._gone_for_s = gone_for_s
        self._gone_until_s: dict[str, float] = {}
        faults = [f for m in self._models for f in m.faults(size=size, quality=quality)]
        if faults:
            raise ConfigError("; ".join(faults), hint="WEARON_IMAGE_SIZE, WEARON_IMAGE_QUALITY")

    async def generate(self, request: TryOnRequest) -> GeneratedPicture:
        """Draw with the first usable model; the next one is asked only when it is unavailable."""
        gone: ModelUnavailable | None = None
        for model in self._candidates(request):
            try:
                return await self._call(model, request)
            except ModelUnavailable as exc:
                gone = exc
            self._gone_until_s[model.model_id] = time.monotonic() + self._gone_for_s
            emit(ImageModelUnavailable(model=model.model_id, detail=str(gone)))
        raise gone or ModelUnavailable

    async def model_info(self, model_id: str) -> ModelInfo:
        """
        Look a model up; costs nothing.

        Raises:
            ModelUnavailable: The API does not know it, or this key has no access to it.
            GeneratorError: Any other failure.
        """
        try:
            async with asyncio.timeout(min(self._timeout_s, 2 * CONNECT_TIMEOUT_S)):
                answer = await self._http.get(f"models/{model_id}", timeout=CONNECT_TIMEOUT_S)
        except HTTPX_ERRORS as exc:
            raise from_transport(exc) from exc
        except TimeoutError as exc:
            raise CallAmbiguous("the image API did not describe a model in time") from exc
        if answer.status_code != 200:
            raise from_answer(answer.status_code, answer.headers, read_error(answer.content))
        return ModelInfo(model_id=model_id, shuts_down=_shutdown_date(answer.content))

    def _candidates(self, request: TryOnRequest) -> list[ImageModel]:
        """The models to ask, in order: those that are there and keep this many likenesses first."""
        pictures = len(request.pictures)
        if not 1 <= pictures <= API_MAX_PICTURES:
            raise RequestRejected(f"{pictures} pictures; the image API takes 1 to 16")
        if not 1 <= len(request.prompt) <= MAX_PROMPT_CHARS:
            raise RequestRejected(
                f"the prompt has {len(request.prompt)} characters, not 1 to 32000"
            )
        if request.model is not None:
            model = image_model(request.model)
            if faults := model.faults(size=self._size, quality=self._quality):
                raise RequestRejected("; ".join(faults))
            return [model]
        now_s = time.monotonic()
        there = [m for m in self._models if self._gone_until_s.get(m.model_id, 0.0) <= now_s]
        return sorted(there or self._models, key=lambda model: model.max_pictures < pictures)

    async def _call(self, model: ImageModel, request: TryOnRequest) -> GeneratedPicture:
        started_s = time.monotonic()
        # Connecting ends first, so that when the whole time is up the request has surely left.
        connect_s = min(CONNECT_TIMEOUT_S, self._timeout_s / 4)
        limits = httpx.Timeout(self._timeout_s, connect=connect_s, pool=connect_s)
        try:
            async with (
                asyncio.timeout(self._timeout_s),
                self._http.stream(
                    "POST",
                    "images/edits",
                    data=self._fields(model, request),
                    files=_files(request),
                    headers={"X-Client-Request-Id": f"{request.session_id}.{uuid4().hex[:8]}"},
                    timeout=limits,
                ) as answer,
            ):
                raw = await _read(answer)
        except HTTPX_ERRORS as exc:
            raise from_transport(exc) from exc
        except TimeoutError as exc:
            raise CallAmbiguous(f"no answer of the image API in {self._timeout_s:g} s") from exc
        emit(
            ImageCallAnswered(
                model=model.model_id,
                status=answer.status_code,
                vendor_request_id=request_id(answer.headers),
                took_ms=round((time.monotonic() - started_s) * 1000),
            )
        )
        if answer.status_code != 200:
            raise from_answer(answer.status_code, answer.headers, read_error(raw))
        return _picture(model, answer.headers, raw)

    def _fields(self, model: ImageModel, request: TryOnRequest) -> dict[str, str]:
        fields = {
            "model": model.model_id,
            "prompt": request.prompt,
            "n": "1",
            "size": self._size,
            "quality": self._quality,
            "output_format": "jpeg",
            "output_compression": str(OUTPUT_COMPRESSION),
        }
        if model.input_fidelity is not None:
            fields["input_fidelity"] = model.input_fidelity
        return fields


def _files(request: TryOnRequest) -> list[tuple[str, tuple[str, bytes, str]]]:
    """The pictures in order: "image 1" of a prompt is the first part."""
    return [
        ("image[]", (f"image-{number}.jpg", picture.jpeg, "image/jpeg"))
        for number, picture in enumerate(request.pictures, start=1)
    ]


async def _read(answer: httpx.Response) -> bytearray:
    """The answer's body, up to a size that makes sense for its status."""
    if answer.status_code != 200:
        return await _read_error_body(answer)
    body = bytearray()
    async for chunk in answer.aiter_bytes():
        body += chunk
        if len(body) > MAX_ANSWER_BYTES:
            raise CallAmbiguous(f"the image API's answer is over {MAX_ANSWER_BYTES} bytes")
    return body


async def _read_error_body(answer: httpx.Response) -> bytearray:
    """As much of the body as arrives: the status alone is enough when the rest does not."""
    body = bytearray()
    try:
        async for chunk in answer.aiter_bytes():
            body += chunk
            if len(body) > MAX_ERROR_BYTES:
                break
    except httpx.TransportError:
        pass
    return body


def _picture(model: ImageModel, headers: httpx.Headers, raw: bytearray) -> GeneratedPicture:
    """
    The picture of a 200 answer.

    Raises:
        GenerationRefused: It says that the safety system refused.
        CallAmbiguous: It holds no picture, and may have been billed.
    """
    try:
        document = from_json(raw)
        encoded = document["data"][0]["b64_json"]
        data = binascii.a2b_base64(encoded, strict_mode=True)
    except (ValueError, LookupError, TypeError) as exc:
        error = read_error(raw)
        raise from_answer(200, headers, error if error.code else ErrorBody()) from exc
    return GeneratedPicture(data=data, usage=_usage(model.model_id, document.get("usage")))


def _usage(model_id: str, figures: Any) -> Usage:
    """
    What the call used up.

    Tokens without details count as picture tokens, the dearer and by far the larger part.
    """
    if not isinstance(figures, dict):
        return Usage(model=model_id)
    total_in, total_out = _count(figures, "input_tokens"), _count(figures, "output_tokens")
    details_in = figures.get("input_tokens_details")
    details_out = figures.get("output_tokens_details")
    text_in, text_out = _count(details_in, "text_tokens"), _count(details_out, "text_tokens")
    use = TokenUse(
        text_in=text_in or 0,
        image_in=max(0, (total_in or 0) - (text_in or 0)),
        text_out=text_out or 0,
        image_out=max(0, (total_out or 0) - (text_out or 0)),
    )
    known = total_in is not None and total_out is not None
    return Usage(
        model=model_id,
        input_tokens=total_in,
        output_tokens=total_out,
        cost_usd=cost_usd(model_id, use) if known else None,
    )


def _count(figures: Any, key: str) -> int | None:
    value = figures.get(key) if isinstance(figures, dict) else None
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _shutdown_date(raw: bytes) -> date | None:
    try:
        text = from_json(raw).get("shutdown_date")
        return date.fromisoformat(text) if text else None
    except (ValueError, TypeError, AttributeError):
        return None
