"""HTTP to a vendor: a client with its key, orders and questions with a bounded answer."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final
from uuid import uuid4

import httpx
from pydantic import SecretStr

from wearon_cli.adapters.providers.openai_errors import HTTPX_ERRORS, from_transport, request_id
from wearon_cli.core.errors import CallAmbiguous, ConfigError, GeneratorUnreachable
from wearon_cli.core.events import emit
from wearon_cli.core.jobs.events import ImageCallAnswered

#: Longest answer read. The largest picture is 8.3 megapixels: as PNG in base64 under 34 MB.
MAX_ANSWER_BYTES: Final = 48 * 1024 * 1024
#: An error's body has a few hundred bytes; more is not read.
MAX_ERROR_BYTES: Final = 64 * 1024
#: Opening a connection takes well under a second; and while it waits, nothing was sent.
CONNECT_TIMEOUT_S: Final = 10.0
#: Kept open between calls; the vendor's edge closes idle ones after a minute or more.
KEEPALIVE_S: Final = 20.0


def vendor_client(
    *,
    base_url: str,
    api_key: SecretStr,
    key_name: str,
    connections: int,
    transport: httpx.AsyncBaseTransport | None = None,
) -> httpx.AsyncClient:
    """
    An HTTP client with room for `connections` requests at once.

    Raises:
        ConfigError: It cannot be a key: it has spaces, or characters that a header may not have.
    """
    key = api_key.get_secret_value().strip()
    if not key.isascii() or not key.isprintable() or " " in key or not key:
        raise ConfigError(
            f"{key_name} is not a valid key", hint="copy it again, without spaces or line breaks"
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
class Answer:
    """A vendor's answer, read completely."""

    status: int
    headers: httpx.Headers
    raw: bytearray


async def ask(
    http: httpx.AsyncClient, method: str, path: str, *, timeout_s: float, **sent: Any
) -> Answer:
    """
    One request, start to end.

    Args:
        http: From `vendor_client`.
        method: GET, POST or DELETE.
        path: Below the client's address.
        timeout_s: All of it.
        sent: Passed to httpx: content, data, files, headers, params.

    Raises:
        GeneratorUnreachable: The request was not sent.
        CallAmbiguous: It was sent, but no complete answer came.
    """
    # The connect timeout is shorter, so that when the whole time is up the request was certainly
    # sent.
    connect_s = min(CONNECT_TIMEOUT_S, timeout_s / 4)
    limits = httpx.Timeout(timeout_s, connect=connect_s, pool=connect_s)
    try:
        async with (
            asyncio.timeout(timeout_s),
            http.stream(method, path, timeout=limits, **sent) as answer,
        ):
            raw = await _read(answer)
    except HTTPX_ERRORS as exc:
        raise from_transport(exc) from exc
    except TimeoutError as exc:
        raise CallAmbiguous(f"no answer from the image API within {timeout_s:g} s") from exc
    return Answer(status=answer.status_code, headers=answer.headers, raw=raw)


async def order(
    http: httpx.AsyncClient,
    path: str,
    *,
    provider: str,
    model: str,
    session_id: str,
    timeout_s: float,
    headers: Mapping[str, str] = MappingProxyType({}),
    **sent: Any,
) -> Answer:
    """
    As `ask`, for the request that is billed: its answer is logged.

    Args:
        http: From `vendor_client`.
        path: Below the client's address.
        provider: Who draws.
        model: Of the picture.
        session_id: Part of the id under which the vendor's support finds the request.
        timeout_s: All of it.
        headers: Besides that id.
        sent: What httpx takes: content, data, files.

    Raises:
        GeneratorUnreachable: It never left.
        CallAmbiguous: It left, and no whole answer came.
    """
    named = {**headers, "X-Client-Request-Id": f"{session_id}.{uuid4().hex[:8]}"}
    started_s = time.monotonic()
    answer = await ask(http, "POST", path, timeout_s=timeout_s, headers=named, **sent)
    emit(
        ImageCallAnswered(
            provider=provider,
            model=model,
            status=answer.status,
            vendor_request_id=request_id(answer.headers),
            took_ms=round((time.monotonic() - started_s) * 1000),
        )
    )
    return answer


async def ask_free(
    http: httpx.AsyncClient, method: str, path: str, *, timeout_s: float, **sent: Any
) -> Answer:
    """
    As `ask`, for requests that cost nothing: without an answer nothing is ambiguous.

    Raises:
        GeneratorUnreachable: There was no complete answer.
    """
    try:
        return await ask(http, method, path, timeout_s=timeout_s, **sent)
    except CallAmbiguous as exc:
        raise GeneratorUnreachable(f"a status request got no answer: {exc}") from exc


async def _read(answer: httpx.Response) -> bytearray:
    """The answer's body, up to a size that makes sense for its status."""
    if answer.status_code != httpx.codes.OK:
        return await _read_error_body(answer)
    body = bytearray()
    async for chunk in answer.aiter_bytes():
        body += chunk
        if len(body) > MAX_ANSWER_BYTES:
            raise CallAmbiguous(f"the image API's answer is over {MAX_ANSWER_BYTES} bytes")
    return body


async def _read_error_body(answer: httpx.Response) -> bytearray:
    """As much of the body as arrives: the status alone is enough without it."""
    body = bytearray()
    try:
        async for chunk in answer.aiter_bytes():
            body += chunk
            if len(body) > MAX_ERROR_BYTES:
                break
    except httpx.TransportError:
        pass
    return body
