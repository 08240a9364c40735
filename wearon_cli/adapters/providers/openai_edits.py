"""
OpenAI's `POST /images/edits` as a provider without powers: a picture is in the answer, or it is
lost.

A call is sent once and never retried here. With no idempotency key on this path, whatever fails
after the request left may have been billed and raises `CallAmbiguous`.
"""

import binascii
from typing import Any, Final

import httpx
from pydantic import SecretStr
from pydantic_core import from_json

from wearon_cli.adapters.providers.openai_errors import (
    ErrorBody,
    from_answer,
    read_error,
    request_id,
)
from wearon_cli.adapters.providers.openai_usage import read_use
from wearon_cli.adapters.providers.vendor_http import order, vendor_client
from wearon_cli.core.errors import RequestRejected
from wearon_cli.core.image_models import (
    MAX_PROMPT_CHARS,
    OPENAI,
    image_model,
)
from wearon_cli.core.image_rules import API_MAX_PICTURES, ImageModel
from wearon_cli.core.providers import GeneratedPicture, OneShot, TryOnRequest, Usage

#: The requested JPEG quality, so that the result is not encoded again; at 90 skin shows no blocks.
OUTPUT_COMPRESSION: Final = 90


def image_api_client(
    *,
    base_url: str,
    api_key: SecretStr,
    connections: int,
    transport: httpx.AsyncBaseTransport | None = None,
) -> httpx.AsyncClient:
    """
    A client for OpenAI's API with room for `connections` calls in flight.

    Raises:
        ConfigError: OPENAI_API_KEY cannot be a key.
    """
    return vendor_client(
        base_url=base_url,
        api_key=api_key,
        key_name="OPENAI_API_KEY",
        connections=connections,
        transport=transport,
    )


class OpenAIImages(OneShot):
    """Implements `Provider`. One instance serves all calls of a process."""

    name = OPENAI

    def __init__(
        self, http: httpx.AsyncClient, *, size: str, quality: str, timeout_s: float
    ) -> None:
        """
        Args:
            http: From `image_api_client`; closed by the caller.
            size: WIDTHxHEIGHT of the picture asked for, or auto.
            quality: One of the models' qualities.
            timeout_s: One call, start to end.
        """
        self._http = http
        self._size = size
        self._quality = quality
        self._timeout_s = timeout_s

    async def submit(
        self, request: TryOnRequest, *, model: str, marker: str | None
    ) -> GeneratedPicture:
        """Draw, and return the picture."""
        del marker
        rules = image_model(model)
        require_takes(rules, request, size=self._size, quality=self._quality)
        answer = await order(
            self._http,
            "images/edits",
            provider=self.name,
            model=model,
            session_id=request.session_id,
            timeout_s=self._timeout_s,
            data=self._fields(rules, request),
            files=_files(request),
        )
        if answer.status != httpx.codes.OK:
            raise from_answer(answer.status, answer.headers, read_error(answer.raw))
        return _picture(rules, answer.headers, answer.raw)

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


def require_takes(model: ImageModel, request: TryOnRequest, *, size: str, quality: str) -> None:
    """
    Check what OpenAI would refuse, before anything is sent.

    Raises:
        RequestRejected: Pictures, prompt, size or quality that the model cannot take.
    """
    pictures, chars = len(request.pictures), len(request.prompt)
    faults = model.faults(size=size, quality=quality)
    if not 1 <= pictures <= API_MAX_PICTURES:
        faults.append(f"{pictures} pictures; the image API accepts 1 to {API_MAX_PICTURES}")
    if not 1 <= chars <= MAX_PROMPT_CHARS:
        faults.append(f"the prompt has {chars} characters, not 1 to {MAX_PROMPT_CHARS}")
    if faults:
        raise RequestRejected("; ".join(faults))


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
    return GeneratedPicture(
        data=data,
        usage=_usage(model.model_id, document.get("usage")),
        request_id=request_id(headers),
    )


def _usage(model_id: str, usage: Any) -> Usage:
    use = read_use(model_id, usage)
    return Usage(
        model=model_id,
        input_tokens=use.tokens_in,
        output_tokens=use.tokens_out,
        cost_usd=use.cost_usd,
    )
