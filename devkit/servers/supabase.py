"""
Supabase for the tests: a real PostgreSQL, a real PostgREST and the storage stand-in behind one
address, with a gateway in front that can fail in every way a real one does.
"""

import asyncio
import base64
import hmac
import json
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, Self
from uuid import uuid4

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from devkit.servers.image_api_answers import PAGE, drop
from devkit.servers.loopback import KnownTransport
from devkit.servers.postgres import Postgres
from devkit.servers.postgrest import Postgrest, require_postgrest
from devkit.servers.storage import Storage
from devkit.waiting import LONGEST_S, until

SCHEMA = Path(__file__).with_name("schema.sql")
JWT_SECRET = "a secret of the tests with at least 32 characters"
BUCKET = "virtual-tryon-images"
#: What a fault does. With "lost" the write happens, with the others it does not.
FAULTS = frozenset({"drop", "lost", "html", "html_502", "unavailable", "hang"})
#: Headers that a proxy must not forward.
HOP_HEADERS = frozenset({"host", "content-length", "transfer-encoding", "connection"})


def key_for(role: str, secret: str = JWT_SECRET) -> str:
    """A JSON web token like Supabase's."""

    def part(data: bytes) -> str:
        return base64.urlsafe_b64encode(data).decode().rstrip("=")

    head = part(json.dumps({"alg": "HS256", "typ": "JWT"}).encode())
    claims = {"role": role, "iss": "supabase", "iat": 1_700_000_000, "exp": 4_000_000_000}
    signed = f"{head}.{part(json.dumps(claims).encode())}"
    return f"{signed}.{part(hmac.digest(secret.encode(), signed.encode(), sha256))}"


SERVICE_KEY = key_for("service_role")
ANON_KEY = key_for("anon")


@dataclass
class Fault:
    """Applies to the next `times` matching requests."""

    name: str
    matches: Callable[[Request], bool]
    times: int | None = None  # None: until it is removed

    def fires(self, request: Request) -> bool:
        if self.times == 0 or not self.matches(request):
            return False
        if self.times is not None:
            self.times -= 1
        return True


@dataclass
class Door:
    """Every request passes through it, and may meet a fault."""

    faults: list[Fault] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)  # "PATCH /rest/v1/generation_sessions"
    took_s: list[float] = field(default_factory=list)  # of each forwarded request
    at_once: int = 0  # requests that are being answered
    most_at_once: int = 0
    gather: int = 0  # none is answered until this many have arrived at the same time

    def fail(
        self, name: str, *, method: str = "", path: str = "", times: int | None = None
    ) -> Fault:
        """From now on, requests of this method whose path contains this text meet the fault."""
        assert name in FAULTS
        fault = Fault(name, lambda r: method in ("", r.method) and path in r.url.path, times)
        self.faults.append(fault)
        return fault

    @contextmanager
    def failing(self, name: str, *, method: str = "", path: str = "") -> Iterator[None]:
        fault = self.fail(name, method=method, path=path)
        try:
            yield
        finally:
            self.faults.remove(fault)

    def clear(self) -> None:
        self.faults.clear()
        self.seen.clear()
        self.took_s.clear()
        self.most_at_once = self.at_once
        self.gather = 0

    @contextmanager
    def passing(self) -> Iterator[None]:
        """A request is in flight: with HTTP/1.1, each has its own connection."""
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            yield
        finally:
            self.at_once -= 1

    def hit(self, request: Request) -> str | None:
        self.seen.append(f"{request.method} {request.url.path}")
        return next((f.name for f in list(self.faults) if f.fires(request)), None)


class SupabaseServer:
    """
    A context manager around everything; the worker needs `url` and `SERVICE_KEY`.

    Raises `NotToBeHad` when a server binary is missing on this machine.
    """

    def __init__(self) -> None:
        self._stack = ExitStack()
        self.door = Door()
        self.storage = Storage(BUCKET, SERVICE_KEY)
        self.postgres = Postgres(SCHEMA)
        self._binary = require_postgrest()
        self.url = ""

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.enter_context(self.postgres)
            self._rest = stack.enter_context(
                Postgrest(
                    self._binary,
                    db_uri=self.postgres.uri("authenticator"),
                    jwt_secret=JWT_SECRET,
                )
            )
            self.url = stack.enter_context(_served(self._front()))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def run(self, sql: str) -> str:
        """SQL as the superuser; what it selects, columns parted by `|`."""
        return self.postgres.run(sql)

    def reload_schema(self) -> None:
        """After SQL that changed the schema: PostgREST keeps its own copy, and shows it at `/`."""
        mark = str(uuid4())
        self.run(f"COMMENT ON TABLE users IS '{mark}'; NOTIFY pgrst, 'reload schema'")
        until(lambda: mark in self._copied_schema(), every_s=0.05)

    def _copied_schema(self) -> str:
        headers = {"Authorization": f"Bearer {SERVICE_KEY}"}
        return httpx.get(self._rest.url, headers=headers, trust_env=False, timeout=LONGEST_S).text

    def _front(self) -> ASGIApp:
        rest = _Passing(self._rest.url)
        app = Starlette(
            lifespan=rest.connected,
            routes=[
                *self.storage.routes,
                Route("/rest/v1/{path:path}", rest.answer, methods=_ALL),
                Mount("/", _nothing_here),
            ],
        )
        return _Guarded(app, self.door)


_ALL = ["GET", "HEAD", "POST", "PATCH", "DELETE", "PUT"]


class _Passing:
    """Forwards requests to PostgREST."""

    def __init__(self, origin: str) -> None:
        self._origin = origin
        self._http: httpx.AsyncClient

    @asynccontextmanager
    async def connected(self, _: Starlette) -> AsyncIterator[None]:
        """The app's lifespan: the client belongs to the server's loop."""
        limits = httpx.Limits(max_connections=50, max_keepalive_connections=50)
        async with httpx.AsyncClient(trust_env=False, timeout=30, limits=limits) as self._http:
            yield

    async def answer(self, request: Request) -> Response:
        if not request.headers.get("apikey"):
            body = {"message": "No API key found in request"}
            return JSONResponse(body, status_code=401)
        headers = [(k, v) for k, v in request.headers.items() if k not in HOP_HEADERS]
        answer = await self._http.request(
            request.method,
            f"{self._origin}/{request.path_params['path']}",
            params=httpx.QueryParams(str(request.query_params)),  # each value of a name
            headers=headers,
            content=await request.body(),
        )
        kept = {k: v for k, v in answer.headers.items() if k.lower() not in HOP_HEADERS}
        return Response(answer.content, answer.status_code, headers=kept)


class _Guarded:
    """The gateway as an ASGI app."""

    def __init__(self, app: ASGIApp, door: Door) -> None:
        self._app = app
        self._door = door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        with self._door.passing():
            while self._door.most_at_once < self._door.gather:  # noqa: ASYNC110 - of another thread
                await asyncio.sleep(0.01)
            await self._answer(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        match self._door.hit(request):
            case None:
                begun_s = time.perf_counter()
                await self._app(scope, receive, send)
                self._door.took_s.append(time.perf_counter() - begun_s)
            case "lost":
                await self._app(scope, receive, _swallow)
                await (await drop(request))(scope, receive, send)
            case fault:
                await (await _failed(str(fault), request))(scope, receive, send)


async def _swallow(_: Any) -> None:
    """The answer that is lost."""


async def _failed(fault: str, request: Request) -> Response:
    if fault == "drop":
        return await drop(request)
    if fault == "hang":
        while (await request.receive())["type"] != "http.disconnect":
            pass
    if fault == "unavailable":
        body = {"code": "PGRST000", "message": "Database connection error", "details": None}
        return JSONResponse({**body, "hint": None}, status_code=503)
    return HTMLResponse(PAGE, status_code=502 if fault == "html_502" else 200)


async def _nothing_here(scope: Scope, receive: Receive, send: Send) -> None:
    await JSONResponse({"message": "no Route matched"}, 404)(scope, receive, send)


@contextmanager
def _served(app: ASGIApp) -> Iterator[str]:
    """Serves the app at an address, on its own thread."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(256)
        config = uvicorn.Config(
            app,
            http=KnownTransport,
            lifespan="on",
            log_level="critical",
            access_log=False,
            timeout_graceful_shutdown=1,
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(timeout=10)
