"""
Downloads pictures from untrusted addresses.

An address is checked twice: as written, and again when its name is resolved to connect. The
connection goes to exactly the IP address that was checked, while TLS still proves the name. Built
on httpcore: it follows no redirect, keeps no cookie, decodes no content encoding, uses no proxy.
"""

import asyncio
import re
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import httpcore
import httpx

from wearon_cli.adapters.fetch.public_addresses import is_public
from wearon_cli.core.errors import (
    ConfigError,
    FetchFailed,
    PictureForbidden,
    PictureTooLarge,
    PictureUnavailable,
    PictureUnusable,
)
from wearon_cli.core.pictures.headers import Kind, sniff
from wearon_cli.core.pictures.ports import Reserve

#: Signed addresses have about 600 characters.
MAX_URL_CHARS: Final = 8192
CONNECT_TIMEOUT_S: Final = 5.0
#: Longest pause between two reads.
READ_TIMEOUT_S: Final = 10.0
#: Kept open between pictures; most come from one origin, the platform's storage.
KEEPALIVE_S: Final = 15.0
KEEPALIVE_CONNECTIONS: Final = 64
#: Addresses tried for one name, at most.
MAX_DIALS: Final = 4

_CONTENT_TYPES: Final = {
    "image/jpeg": Kind.JPEG,
    "image/jpg": Kind.JPEG,  # wrong but widespread
    "image/png": Kind.PNG,
    "image/webp": Kind.WEBP,
}
_REQUEST_HEADERS: Final = [
    (b"Accept", b"image/jpeg, image/png, image/webp"),
    (b"Accept-Encoding", b"identity"),
    (b"User-Agent", b"wearon"),
]
_LABEL: Final = r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?"
_HOST_NAME: Final = re.compile(rf"(?=.{{1,253}}$){_LABEL}(\.{_LABEL})*")
#: A last label like this makes other parsers read the whole name as an IPv4 address.
_NUMERIC_LABEL: Final = re.compile(r"[0-9]+|0x[0-9a-f]*")
_DEFAULT_PORTS: Final = {"https": 443, "http": 80}

#: Resolves (host, port) to IP addresses; raises OSError.
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Scheme, host and port."""

    scheme: str
    host: str  # lower case; an IPv6 address without brackets
    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A parsed address; nothing parses it a second time."""

    origin: Origin
    path: bytes  # with the query, ASCII


def read_origin(url: str) -> Origin:
    """
    Read a configured origin, such as SUPABASE_URL; its path is ignored.

    Raises:
        ConfigError: It is not an origin.
    """
    try:
        return _split(url).origin
    except PictureForbidden as exc:
        raise ConfigError("an allowed origin must look like https://host or http://host") from exc


def read_target(url: str, trusted: frozenset[Origin]) -> Target:
    """
    Check the address as written.

    Raises:
        PictureForbidden: Not https on its usual port, or not a plain host name or address.
    """
    target = _split(url)
    origin = target.origin
    if origin in trusted:
        return target
    if origin.scheme != "https":
        raise PictureForbidden("the picture's link is not https")
    if origin.port != _DEFAULT_PORTS["https"]:
        raise PictureForbidden("the picture's link uses a port that is not allowed")
    if ":" not in origin.host and not _is_plain_name(origin.host):
        raise PictureForbidden("the picture's link does not name a public host")
    return target


class GuardedFetcher:
    """Implements `Fetcher`. One instance serves all downloads of a process; close it."""

    def __init__(
        self,
        *,
        trusted_origins: Iterable[str],
        max_bytes: int,
        total_timeout_s: float,
        connections: int = 512,
        ssl_context: ssl.SSLContext | None = None,
        resolve: Resolve | None = None,
        dial: httpcore.AsyncNetworkBackend | None = None,
    ) -> None:
        """
        Args:
            trusted_origins: Origins that pictures may come from even on an internal network, such
                as SUPABASE_URL.
            max_bytes: Largest picture read.
            total_timeout_s: One picture, start to end.
            connections: Most connections at once.
            ssl_context: Replaces the public certificate authorities.
            resolve: Replaces the system's resolver.
            dial: Opens the connection to a checked address. Replaces a plain socket.
        """
        self._trusted = frozenset(map(read_origin, trusted_origins))
        self._max_bytes = max_bytes
        self._total_s = total_timeout_s
        self._timeouts = {
            "connect": min(CONNECT_TIMEOUT_S, total_timeout_s),
            "read": min(READ_TIMEOUT_S, total_timeout_s),
            "write": min(READ_TIMEOUT_S, total_timeout_s),
            "pool": total_timeout_s,
        }
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=ssl_context or httpx.create_ssl_context(),
            max_connections=connections,
            max_keepalive_connections=KEEPALIVE_CONNECTIONS,
            keepalive_expiry=KEEPALIVE_S,
            network_backend=_CheckedNetwork(
                trusted=frozenset((o.host, o.port) for o in self._trusted),
                resolve=resolve or _system_resolve,
                dial=dial or httpcore.AnyIOBackend(),
            ),
        )

    async def fetch(self, url: str, *, reserve: Reserve = lambda _: None) -> bytes:
        target = read_target(url, self._trusted)
        try:
            async with asyncio.timeout(self._total_s):
                return await self._get(target, reserve)
        except TimeoutError as exc:
            raise FetchFailed("a picture did not arrive in time") from exc
        except _HTTPCORE_ERRORS as exc:
            raise FetchFailed(f"a picture could not be fetched ({type(exc).__name__})") from exc

    async def aclose(self) -> None:
        """Close all connections."""
        await self._pool.aclose()

    async def _get(self, target: Target, reserve: Reserve) -> bytes:
        origin = target.origin
        url = httpcore.URL(
            scheme=origin.scheme.encode(),
            host=origin.host.encode(),
            port=origin.port,
            target=target.path,
        )
        headers = [(b"Host", _host_header(origin)), *_REQUEST_HEADERS]
        extensions = {"timeout": self._timeouts}
        async with self._pool.stream("GET", url, headers=headers, extensions=extensions) as answer:
            _require_picture(answer.status)
            expected = _expected_kind(answer.headers, max_bytes=self._max_bytes)
            reserved_bytes = _announced_bytes(answer.headers)
            reserve(reserved_bytes)
            data = await self._read(answer, reserve, reserved_bytes)
        if sniff(data) is not expected:
            raise PictureUnusable("the picture does not match its content type")
        return data

    async def _read(
        self, answer: httpcore.Response, reserve: Reserve, reserved_bytes: int
    ) -> bytes:
        chunks: list[bytes] = []
        read_bytes = 0
        async for chunk in answer.aiter_stream():
            chunks.append(chunk)
            read_bytes += len(chunk)
            if read_bytes > reserved_bytes:
                reserve(read_bytes - reserved_bytes)
                reserved_bytes = read_bytes
            if read_bytes > self._max_bytes:
                raise _too_large(self._max_bytes)
        return b"".join(chunks)


#: What httpcore raises; its base classes have no common one.
_HTTPCORE_ERRORS: Final = (
    httpcore.TimeoutException,
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.ProxyError,
    httpcore.UnsupportedProtocol,
)


class _CheckedNetwork(httpcore.AsyncNetworkBackend):
    """Resolves a host once, checks every address, and connects to one that was checked."""

    def __init__(
        self,
        *,
        trusted: frozenset[tuple[str, int]],
        resolve: Resolve,
        dial: httpcore.AsyncNetworkBackend,
    ) -> None:
        self._trusted = trusted
        self._resolve = resolve
        self._dial = dial

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        try:
            async with asyncio.timeout(timeout):
                addresses = await self._resolve(host, port)
        except TimeoutError as exc:
            raise httpcore.ConnectTimeout from exc
        except OSError as exc:
            # Also for "no such name": in a container without a network every name gets that answer,
            # so it is retried before the picture is reported as missing.
            raise httpcore.ConnectError from exc
        if (host, port) not in self._trusted and not all(map(is_public, addresses)):
            raise PictureForbidden("the picture's link leads to a private network")
        addresses = addresses[:MAX_DIALS]
        failure: Exception = httpcore.ConnectError("the name has no address")
        for address in addresses:
            share_s = None if timeout is None else timeout / len(addresses)
            try:
                return await self._dial.connect_tcp(
                    address, port, share_s, local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as exc:
                failure = exc
        raise failure

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


async def _system_resolve(host: str, port: int) -> list[str]:
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))


# ---------------------------------------------------------------------------- addresses


def _split(url: str) -> Target:
    if len(url) > MAX_URL_CHARS or "\\" in url or url != url.strip():
        raise PictureForbidden("the picture's link is not a valid address")
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, UnicodeError) as exc:
        raise PictureForbidden("the picture's link is not a valid address") from exc
    if parsed.scheme not in _DEFAULT_PORTS or not parsed.raw_host:
        raise PictureForbidden("the picture's link is not an http address")
    if parsed.userinfo:
        raise PictureForbidden("the picture's link contains a user name")
    return Target(
        origin=Origin(
            scheme=parsed.scheme,
            host=parsed.raw_host.decode("ascii").lower(),
            port=_DEFAULT_PORTS[parsed.scheme] if parsed.port is None else parsed.port,
        ),
        path=parsed.raw_path,
    )


def _is_plain_name(host: str) -> bool:
    """A host name with a domain, or a dotted IPv4 address; other spellings of an address are
    refused.
    """
    if not _HOST_NAME.fullmatch(host) or "." not in host:
        return False
    if _NUMERIC_LABEL.fullmatch(host.rpartition(".")[2]):
        return re.fullmatch(r"[0-9]{1,3}(\.[0-9]{1,3}){3}", host) is not None
    return True


def _host_header(origin: Origin) -> bytes:
    host = f"[{origin.host}]" if ":" in origin.host else origin.host
    port = "" if origin.port == _DEFAULT_PORTS[origin.scheme] else f":{origin.port}"
    return f"{host}{port}".encode()


# ------------------------------------------------------------------------------ answers


def _require_picture(status: int) -> None:
    if status == 200:
        return
    if 300 <= status < 400:
        raise PictureForbidden("the picture's link redirects")
    if status in {408, 425, 429} or status >= 500:
        raise FetchFailed(f"the picture's host answered with status {status}")
    # 400 too: storage answers it for a signed link that has expired.
    raise PictureUnavailable(f"the picture's link no longer works ({status})")


def _announced_bytes(headers: Sequence[tuple[bytes, bytes]]) -> int:
    """Content-Length; 0 without a usable one."""
    lengths = _values(headers, b"content-length")
    return int(lengths[0]) if lengths and lengths[0].isdecimal() else 0


def _expected_kind(headers: Sequence[tuple[bytes, bytes]], *, max_bytes: int) -> Kind:
    """The announced kind of picture, if it is allowed."""
    if _values(headers, b"content-encoding") not in ([], ["identity"]):
        raise PictureUnusable("the picture's host used a content encoding")
    if _announced_bytes(headers) > max_bytes:
        raise _too_large(max_bytes)
    types = [value.partition(";")[0].strip() for value in _values(headers, b"content-type")]
    kind = _CONTENT_TYPES.get(types[0]) if len(types) == 1 else None
    if kind is None:
        heic = any(name in {"image/heic", "image/heif"} for name in types)
        raise PictureUnusable(
            "this is a HEIC picture" if heic else "the link does not serve a supported picture",
            hint="only JPEG, PNG and WebP pictures are supported",
        )
    return kind


def _values(headers: Sequence[tuple[bytes, bytes]], name: bytes) -> list[str]:
    return [v.decode("latin-1").strip().lower() for k, v in headers if k.lower() == name]


def _too_large(max_bytes: int) -> PictureTooLarge:
    return PictureTooLarge(f"the picture has more than {max_bytes} bytes")
