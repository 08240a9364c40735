"""
Handles what all requests share: id, size and time limits, response headers, log line.

A plain ASGI middleware. The body is read here, whole and bounded, before the app sees anything of
the request: a slow caller cannot keep a handler waiting. Photos are the exception: the app reads
them once it has let the caller in, within the same kind of bounds.
"""

import asyncio
import json
import re
import time
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final
from uuid import uuid4

import structlog
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from wearon_cli.core.events import emit
from wearon_cli.runtime.events import HttpRequestAnswered

#: A request with a store's own size chart has less than 4 kB.
MAX_BODY_BYTES: Final = 64 * 1024
BODY_TIMEOUT_S: Final = 10.0
#: Where photos may be sent to, as a body of one of the types below.
UPLOAD_PATH: Final = "/estimate-body"
_UPLOAD_TYPES: Final = ("image/", "multipart/form-data", "application/octet-stream")
#: Photos in one upload, from the front and from the side.
MOST_PHOTOS: Final = 2
#: A phone's upload of two photos: 20 MiB at 6 Mbit/s take this long.
UPLOAD_TIMEOUT_S: Final = 30.0
#: An upload may stall for this time in all, and is otherwise at least this fast: at this rate a
#: small photo (320 KiB) takes the whole time limit.
UPLOAD_STALL_S: Final = 10.0
UPLOAD_BYTES_PER_S: Final = 16 * 1024
_REQUEST_ID: Final = re.compile(rb"[A-Za-z0-9._:-]{1,128}")
#: Of every answer of `serve`, unless it has its own.
_HEADERS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"cross-origin"),  # pictures are shown in stores' pages
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
)
_NO_STORE: Final = (b"cache-control", b"no-store")
#: The rest of the request is not read.
_CLOSE: Final = (b"connection", b"close")
#: Probes and scrapes come every few seconds and are not logged.
_QUIET_PATHS: Final = ("/health", "/metrics")


class Refused(HTTPException):
    """A request that is refused for what HTTP says of it."""

    def __init__(
        self, status: int, detail: str, *, hint: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(status, detail, headers)
        self.hint = hint


class EdgeMiddleware:
    """Wraps an ASGI app."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        max_picture_bytes: int = 0,
        headers: Sequence[tuple[bytes, bytes]] = _HEADERS,
    ) -> None:
        """
        Args:
            app: What answers.
            max_picture_bytes: Largest photo.
            headers: Added to every answer that does not have its own of that name.
        """
        self._app = app
        self._headers = headers
        self._max_upload_bytes = max_upload_bytes(max_picture_bytes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _request_id(scope)
        answer = _Answer(send, request_id, self._headers)
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            begun_s = time.perf_counter()
            # What GET answers, HEAD does too; the server leaves the body out.
            asked = {**scope, "method": "GET"} if scope["method"] == "HEAD" else scope
            try:
                await self._answer(asked, receive, answer)
            finally:
                _log_request(
                    scope["method"],
                    _known_path(asked),
                    answer.status,
                    time.perf_counter() - begun_s,
                )

    async def _answer(self, scope: Scope, receive: Receive, send: "_Answer") -> None:
        if _content_encoding(scope) not in {b"", b"identity"}:
            await send.refuse(_compressed())
            return
        if is_upload(scope):
            upload = _Upload(receive, max_bytes=self._max_upload_bytes)
            send.upload = upload
            await self._app(scope, upload, send)
            return
        try:
            async with asyncio.timeout(BODY_TIMEOUT_S):
                body = await _read_body(receive)
        except TimeoutError:
            await send.refuse(_too_slow())
            return
        if body is None:
            await send.refuse(too_large(MAX_BODY_BYTES))
            return
        await self._app(scope, _replay(body, receive), send)


class _Upload:
    """ASGI's `receive` for a body that the app reads: bounded in size and time."""

    def __init__(self, receive: Receive, *, max_bytes: int) -> None:
        self._receive = receive
        self._max_bytes = max_bytes
        self._begun_s = asyncio.get_running_loop().time()
        self._size_bytes = 0
        self.is_read = False

    async def __call__(self) -> Message:
        """
        Raises:
            Refused: The body is too large, comes too slowly, or ends early.
        """
        if self.is_read:
            return await self._receive()
        try:
            async with asyncio.timeout_at(self._begun_s + upload_allowed_s(self._size_bytes)):
                message = await self._receive()
        except TimeoutError as exc:
            raise _too_slow() from exc
        if message["type"] == "http.disconnect":
            raise Refused(400, "the request ended early", hint="send it again")
        self._size_bytes += len(message.get("body", b""))
        if self._size_bytes > self._max_bytes:
            raise too_large(self._max_bytes)
        self.is_read = not message.get("more_body")
        return message


class _Answer:
    """ASGI's `send` for the response: adds headers, remembers the status."""

    def __init__(self, send: Send, request_id: str, headers: Sequence[tuple[bytes, bytes]]) -> None:
        self._send = send
        self._added = ((b"x-request-id", request_id.encode()), _NO_STORE, *headers)
        self.status = 500  # unless the app says otherwise
        self.upload: _Upload | None = None

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = list(message["headers"])
            given = {name for name, _ in headers}
            headers += [each for each in self._added if each[0] not in given]
            if self.upload is not None and not self.upload.is_read:
                headers.append(_CLOSE)
            message = {**message, "headers": headers}
        await self._send(message)

    async def refuse(self, refusal: Refused) -> None:
        status = refusal.status_code
        body = problem_body(status, refusal.detail, hint=refusal.hint)
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            _CLOSE,
        ]
        await self({"type": "http.response.start", "status": status, "headers": headers})
        await self({"type": "http.response.body", "body": body})


def upload_allowed_s(arrived_bytes: int) -> float:
    """How long after its begin the next part of an upload may arrive; what arrives adds time."""
    return min(UPLOAD_TIMEOUT_S, UPLOAD_STALL_S + arrived_bytes / UPLOAD_BYTES_PER_S)


def problem_body(status: int, detail: str, *, hint: str) -> bytes:
    """A refusal as JSON, where the app does not write it."""
    return json.dumps({"detail": detail, "code": code_of(status), "hint": hint}).encode()


def code_of(status: int) -> str:
    """The stable name of a refusal that has no name of its own."""
    if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:  # Python 3.13 has another phrase for it
        return "request_too_large"
    return HTTPStatus(status).phrase.lower().replace(" ", "_")


def media_type_of(scope: Scope) -> str:
    """The request's content type in lower case, without parameters; empty when it has none."""
    headers: Mapping[bytes, bytes] = dict(scope["headers"])
    return headers.get(b"content-type", b"").decode("latin-1").partition(";")[0].strip().lower()


def is_upload(scope: Scope) -> bool:
    """True when the body holds photos."""
    return scope["path"] == UPLOAD_PATH and media_type_of(scope).startswith(_UPLOAD_TYPES)


def max_upload_bytes(max_picture_bytes: int) -> int:
    """The largest body with photos: those, and some fields."""
    return MOST_PHOTOS * max_picture_bytes + MAX_BODY_BYTES


def too_large(most_bytes: int) -> Refused:
    """A body of more bytes."""
    return Refused(
        413, f"a request may have at most {most_bytes} bytes", hint="send fewer or smaller photos"
    )


def _too_slow() -> Refused:
    return Refused(
        408,
        "the request did not arrive in time",
        hint="send it over a faster connection, or with smaller photos",
    )


def _compressed() -> Refused:
    return Refused(415, "the body is compressed", hint="send it as it is, without Content-Encoding")


def _content_encoding(scope: Scope) -> bytes:
    headers: Mapping[bytes, bytes] = dict(scope["headers"])
    return headers.get(b"content-encoding", b"").strip().lower()


def _request_id(scope: Scope) -> str:
    """The caller's own id, if it is safe to log; else a new one."""
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
    """The body once, then the server's own messages."""
    is_sent = False

    async def replay() -> Message:
        nonlocal is_sent
        if is_sent:
            return await receive()
        is_sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay


def _log_request(method: str, path: str, status: int, duration_s: float) -> None:
    if path.startswith(_QUIET_PATHS) and status < 400:
        return
    emit(
        HttpRequestAnswered(
            method=method,
            path=path,
            status=status,
            duration_ms=round(duration_s * 1000),
        )
    )


def _known_path(scope: Scope) -> str:
    """The route that answered: a raw path may contain anything, at any length."""
    route: Any = scope.get("route")
    return getattr(route, "path", "") or "unknown"
