"""
The shared Supabase client: time limits, retries, and a count of the calls.

supabase-py's own connections speak HTTP/2 and break when shared, so it gets a client of ours:
HTTP/1.1, keep-alive, a bounded number of connections. Its own retries are off; reads and other
idempotent calls are retried here, once, within the time limit of the call. Calls that must not
happen twice are sent once.

Belongs to one event loop. Any number of its tasks may use it at once.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final

import httpx
from supabase import AsyncClient, AsyncClientOptions, SupabaseException

from wearon_cli.adapters.supabase.errors import (
    VENDOR_ERRORS,
    LastAnswer,
    not_supabase,
    scrubbed,
    translated,
)
from wearon_cli.core.errors import ConfigError, StoreUnavailable, UpstreamError
from wearon_cli.core.settings import Settings

#: A call takes milliseconds, so few connections serve hundreds of jobs.
MAX_CONNECTIONS: Final = 40
#: Shorter than gateways usually keep an idle connection, so that we close it first.
KEEP_OPEN_S: Final = 30.0
CONNECT_TIMEOUT_S: Final = 5.0
#: Pause before an idempotent call is retried.
REPEAT_PAUSE_S: Final = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class SupabaseCall:
    """One request that was sent, for benchmarks and metrics."""

    what: str  # "update generation_sessions", "rpc refund_credits", "storage sign"
    took_ms: float
    error: str | None = None  # code of our error class; None when it went well


type OnCall = Callable[[SupabaseCall], None]

_answer: ContextVar[LastAnswer | None] = ContextVar("supabase_answer", default=None)


class Supabase:
    """Sends calls through the shared client. Built by `connect`."""

    def __init__(
        self, client: AsyncClient, http: httpx.AsyncClient, *, timeout_s: float, on_call: OnCall
    ) -> None:
        self.client = client
        self.http = http
        self._timeout_s = timeout_s
        self._on_call = on_call

    async def repeatable[T](self, what: str, send: Callable[[], Awaitable[T]]) -> T:
        """
        Make an idempotent call; a lost one is retried once.

        Raises:
            StoreUnavailable: There was no answer, twice or within the time limit.
            StoreRefused: It was refused.
        """
        async with self._time_limit(what):
            try:
                return await self._sent(what, send)
            except StoreUnavailable:
                await asyncio.sleep(REPEAT_PAUSE_S)
            return await self._sent(what, send)

    async def once[T](self, what: str, send: Callable[[], Awaitable[T]]) -> T:
        """
        Make a call that is sent at most once.

        Raises:
            StoreUnavailable: There was no answer; unless the error is `unsent`, the call may have
                happened.
            StoreRefused: It was refused; it did not happen.
        """
        async with self._time_limit(what):
            return await self._sent(what, send)

    @asynccontextmanager
    async def _time_limit(self, what: str) -> AsyncIterator[None]:
        """The time limit of the whole call: httpx's own limits are per read."""
        try:
            async with asyncio.timeout(self._timeout_s):
                yield
        except TimeoutError as exc:
            raise StoreUnavailable(
                f"{what}: no answer within {self._timeout_s:g} s",
                hint="WEARON_SUPABASE_TIMEOUT_S sets the limit",
            ) from exc

    async def _sent[T](self, what: str, send: Callable[[], Awaitable[T]]) -> T:
        answer = LastAnswer()
        seen = _answer.set(answer)
        started_s = time.perf_counter()
        error: str | None = "cancelled"  # by the time limit, or because the job was
        try:
            result = await send()
            if answer.is_page:
                raise not_supabase(what)
        except VENDOR_ERRORS as exc:
            ours = translated(what, exc, answer)
            error = ours.code
            raise ours from scrubbed(exc)
        except UpstreamError as exc:
            error = exc.code
            raise
        else:
            error = None
            return result
        finally:
            _answer.reset(seen)
            took_ms = (time.perf_counter() - started_s) * 1000
            self._on_call(SupabaseCall(what=what, took_ms=took_ms, error=error))


def rows_of(what: str, data: Any) -> list[dict[str, Any]]:
    """
    The rows of an answer. A proxy's page arrives as a string, which is truthy like a list.

    Raises:
        StoreUnavailable: It is not a list of rows: whether a write happened is unknown.
    """
    if not isinstance(data, list) or not all(isinstance(row, dict) for row in data):
        raise not_supabase(what)
    return data


@asynccontextmanager
async def connect(settings: Settings, *, on_call: OnCall | None = None) -> AsyncIterator[Supabase]:
    """
    Create the shared client; the caller closes it. Sends nothing yet.

    Raises:
        ConfigError: SUPABASE_URL or its key is not set, or the address is not a URL.
    """
    url, key = settings.supabase_url, settings.supabase_service_role_key
    if not url or not key:
        name = "SUPABASE_SERVICE_ROLE_KEY" if url else "SUPABASE_URL"
        raise ConfigError(f"{name} is not set", hint="set it, or use --local")
    timeout_s = settings.supabase_timeout_s
    async with httpx.AsyncClient(
        http2=False,
        timeout=httpx.Timeout(timeout_s, connect=min(CONNECT_TIMEOUT_S, timeout_s)),
        limits=httpx.Limits(
            max_connections=MAX_CONNECTIONS,
            max_keepalive_connections=MAX_CONNECTIONS,
            keepalive_expiry=KEEP_OPEN_S,
        ),
        event_hooks={"response": [_note_answer]},
    ) as http:
        client = _client(url, key.get_secret_value(), http)
        yield Supabase(client, http, timeout_s=timeout_s, on_call=on_call or _ignore_call)


def _client(url: str, key: str, http: httpx.AsyncClient) -> AsyncClient:
    options = AsyncClientOptions(
        httpx_client=http,
        postgrest_client_retry=False,
        auto_refresh_token=False,
        persist_session=False,
    )
    try:
        return AsyncClient(url, key, options)
    except (SupabaseException, ValueError) as exc:
        raise ConfigError(
            "SUPABASE_URL is not a valid address",
            hint="it looks like https://<project>.supabase.co",
        ) from scrubbed(exc)


async def _note_answer(response: httpx.Response) -> None:
    answer = _answer.get()
    if answer is not None:
        answer.status = response.status_code
        answer.content_type = response.headers.get("content-type", "")


def _ignore_call(call: SupabaseCall) -> None:
    """Counts nothing."""
