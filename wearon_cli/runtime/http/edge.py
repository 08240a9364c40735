"""
Handles what all requests share: id, size and time limits, response headers, log line.

A plain ASGI middleware. The body is read here, whole and bounded, before the app sees anything of
the request: no caller can keep a handler waiting for bytes.
"""

import asyncio
import json
import re
import time
from collections.abc import Mapping
from typing import Any, Final
from uuid import uuid4

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from wearon_cli.core.events import emit
from wearon_cli.runtime.events import HttpRequestAnswered

#: A request with a store's own size chart has less than 4 kB.
MAX_BODY_BYTES: Final = 64 * 1024
BODY_TIMEOUT_S: Final = 10.0
_REQUEST_ID: Final = re.compile(rb"[A-Za-z0-9._:-]{1,128}")
_HEADERS: Final = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"cross-origin"),  # pictures are shown in stores' pages
]
_NO_STORE: Final = (b"cache-control", b"no-store")
_STRICT_CSP: Final = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")
#: Probes and scrapes come every few seconds and are not worth a line.
_QUIET_PATHS: Final = ("/health", "/metrics")


class EdgeMiddleware:
    """Wraps an ASGI app."""

    def __init__(self, app: ASGIApp, *, with_docs: bool) -> None:
        """
        Args:
            app: What answers.
            with_docs: /docs is on, which loads scripts from elsewhere.
        """
        self._app = app
        self._with_docs = with_docs

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _request_id(scope)
        answer = _Answer(send, request_id, self._added_headers(scope["path"]))
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            begun_s = time.perf_counter()
            try:
                await self._answer(scope, receive, answer)
            finally:
                _log_request(scope, answer.status, time.perf_counter() - begun_s)

    async def _answer(self, scope: Scope, receive: Receive, send: "_Answer") -> None:
        try:
            async with asyncio.timeout(BODY_TIMEOUT_S):
                body = await _read_body(receive)
        except TimeoutError:
            await send.refuse(408, "the request did not arrive in time")
            return
        if body is None:
            await send.refuse(413, f"a request may have {MAX_BODY_BYTES} bytes at most")
            return
        await self._app(scope, _replay(body, receive), send)

    def _added_headers(self, path: str) -> list[tuple[bytes, bytes]]:
        if self._with_docs and path == "/docs":
            return _HEADERS
        return [*_HEADERS, _STRICT_CSP]


class _Answer:
    """ASGI's `send` for the response: adds headers, remembers the status."""

    def __init__(self, send: Send, request_id: str, headers: list[tuple[bytes, bytes]]) -> None:
        self._send = send
        self._added = [(b"x-request-id", request_id.encode()), *headers]
        self.status = 500  # unless the app says otherwise

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = list(message["headers"])
            if not any(name == _NO_STORE[0] for name, _ in headers):
                headers.append(_NO_STORE)
            message = {**message, "headers": [*headers, *self._added]}
        await self._send(message)

    async def refuse(self, status: int, detail: str) -> None:
        body = json.dumps({"detail": detail}).encode()
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            (b"connection", b"close"),  # the rest of the request is not read
        ]
        await self({"type": "http.response.start", "status": status, "headers": headers})
        await self({"type": "http.response.body", "body": body})


def _request_id(scope: Scope) -> str:
    """The caller's own id, if it is one that can be logged; else a new one."""
    headers: Mapping[bytes, bytes] = dict(scope["headers"])
    given = headers.get(b"x-request-id", b"")
    return given.decode() if _REQUEST_ID.fullmatch(given) else str(uuid4())


async def _read_body(receive: Receive) -> bytes | None:
    """The whole body; None when it is longer than allowed."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return bytes(body)
        body += message.get("body", b"")
        if len(body) > MAX_BODY_BYTES:
            return None
        if not message.get("more_body"):
            return bytes(body)


def _replay(body: bytes, receive: Receive) -> Receive:
    """The body once, and then whatever the server says."""
    is_sent = False

    async def replay() -> Message:
        nonlocal is_sent
        if is_sent:
            return await receive()
        is_sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay


def _log_request(scope: Scope, status: int, duration_s: float) -> None:
    path = _known_path(scope)
    if path.startswith(_QUIET_PATHS) and status < 400:
        return
    emit(
        HttpRequestAnswered(
            method=scope["method"],
            path=path,
            status=status,
            duration_ms=round(duration_s * 1000),
        )
    )


def _known_path(scope: Scope) -> str:
    """The route that answered: a path as sent may be anything, and as long as it likes."""
    route: Any = scope.get("route")
    return getattr(route, "path", "") or "unknown"
