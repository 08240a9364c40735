"""Hostile addresses and answers, none of which is accepted."""

import asyncio
import gzip
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from ipaddress import ip_address
from typing import Any

import httpcore
import pytest

from devkit.waiting import LONGEST_S
from devkit.world import PICTURE
from wearon_cli.adapters.fetch.guarded_http import GuardedFetcher
from wearon_cli.core.errors import (
    FetchFailed,
    MeasuringUnavailable,
    PictureForbidden,
    PictureTooLarge,
    PictureUnavailable,
    PictureUnusable,
    WearonError,
)

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

STORE = "https://abcdefgh.supabase.example"
#: Resolved addresses in these tests. A name with one private address among public ones is private.
NAMES = {
    "photos.example": ["93.184.216.34"],
    "abcdefgh.supabase.example": ["10.0.0.5"],
    "inside.example": ["10.1.2.3"],
    "loop.example": ["127.0.0.1"],
    "meta.example": ["169.254.169.254"],
    "mixed.example": ["93.184.216.34", "192.168.1.1"],
    "six.example": ["fd00::1"],
    "mapped.example": ["::ffff:127.0.0.1"],
    "nat64.example": ["64:ff9b::7f00:1"],
    "sixtofour.example": ["2002:7f00:1::1"],
    "teredo.example": ["2001:0:4136:e378:8000:63bf:3fff:fdd2"],
    "nothing.example": [],
    "metadata.google.internal": ["169.254.169.254"],
}
HOSTILE = [
    # not https, or not the web at all
    "http://photos.example/a.jpg",
    "ftp://photos.example/a.jpg",
    "file:///etc/passwd",
    "gopher://photos.example/a.jpg",
    "data:image/jpeg;base64,/9j/4AAQ",
    "javascript:alert(1)",
    "//photos.example/a.jpg",
    "photos.example/a.jpg",
    "https://",
    "https:///a.jpg",
    "",
    " https://photos.example/a.jpg",
    "https://photos.example/a.jpg\n",
    "https://photos.example\\@inside.example/a.jpg",
    # other ports, logins
    "https://photos.example:22/a.jpg",
    "https://photos.example:6379/a.jpg",
    "https://photos.example:8443/a.jpg",
    "https://user:secret@photos.example/a.jpg",
    "https://photos.example@inside.example/a.jpg",
    # private, loopback, link-local, carrier, multicast, documentation
    "https://127.0.0.1/a.jpg",
    "https://127.1/a.jpg",
    "https://127.0.0.2/a.jpg",
    "https://0.0.0.0/a.jpg",
    "https://0/a.jpg",
    "https://10.0.0.1/a.jpg",
    "https://172.16.0.1/a.jpg",
    "https://172.31.255.255/a.jpg",
    "https://192.168.0.1/a.jpg",
    "https://100.64.0.1/a.jpg",
    "https://100.100.100.200/latest/meta-data",
    "https://169.254.169.254/latest/meta-data/",
    "https://168.63.129.16/metadata",
    "https://192.0.0.192/opc/v1/",
    "https://198.18.0.1/a.jpg",
    "https://224.0.0.1/a.jpg",
    "https://255.255.255.255/a.jpg",
    "https://203.0.113.7/a.jpg",
    # the same in other notations
    "https://2130706433/a.jpg",
    "https://0x7f000001/a.jpg",
    "https://0x7f.0.0.1/a.jpg",
    "https://0177.0.0.1/a.jpg",
    "https://127.0.0.1./a.jpg",
    "https://127.000.000.001/a.jpg",
    "https://①②⑦.0.0.1/a.jpg",
    "https://127%2e0%2e0%2e1/a.jpg",
    # IPv6, with IPv4 inside and without
    "https://[::1]/a.jpg",
    "https://[::]/a.jpg",
    "https://[::ffff:127.0.0.1]/a.jpg",
    "https://[::ffff:7f00:1]/a.jpg",
    "https://[::127.0.0.1]/a.jpg",
    "https://[64:ff9b::127.0.0.1]/a.jpg",
    "https://[2002:7f00:1::]/a.jpg",
    "https://[fe80::1]/a.jpg",
    "https://[fc00::1]/a.jpg",
    "https://[ff02::1]/a.jpg",
    "https://[2001:db8::1]/a.jpg",
    "https://[fd00:ec2::254]/latest/meta-data",
    # names without a domain, and names that resolve to private addresses
    "https://localhost/a.jpg",
    "https://redis/a.jpg",
    "https://inside.example/a.jpg",
    "https://loop.example/a.jpg",
    "https://meta.example/a.jpg",
    "https://mixed.example/a.jpg",
    "https://six.example/a.jpg",
    "https://mapped.example/a.jpg",
    "https://nat64.example/a.jpg",
    "https://sixtofour.example/a.jpg",
    "https://teredo.example/a.jpg",
    "https://metadata.google.internal/computeMetadata/v1/",
    # our own store's name in another position
    "https://abcdefgh.supabase.example:5432/a.jpg",
    "http://abcdefgh.supabase.example/a.jpg",
    "https://abcdefgh.supabase.example.inside.example/a.jpg",
    "https://photos.example/" + "a" * 9000,
]


async def resolve(host: str, _port: int) -> Sequence[str]:
    if host in NAMES:
        return NAMES[host]
    try:
        ip_address(host)
    except ValueError as exc:
        raise OSError("no such name") from exc
    return [host]


class Doors(httpcore.AsyncNetworkBackend):
    """Records the dialled addresses, and makes no connection."""

    def __init__(self) -> None:
        self.called: list[tuple[str, int]] = []

    async def connect_tcp(self, host: str, port: int, *_: Any, **__: Any) -> Any:
        self.called.append((host, port))
        raise httpcore.ConnectError("no connections in this test")


def fetcher(doors: Doors, *, origins: Sequence[str] = (STORE,), **options: Any) -> GuardedFetcher:
    settings: dict[str, Any] = {"max_bytes": 100_000, "resolve": resolve}
    return GuardedFetcher(
        trusted_origins=origins, dial=doors, total_timeout_s=LONGEST_S, **settings | options
    )


def test_the_table_is_long_enough() -> None:
    assert len(set(HOSTILE)) >= 70


@pytest.mark.parametrize("url", HOSTILE)
async def test_a_hostile_address_is_never_called(url: str) -> None:
    doors = Doors()
    guarded = fetcher(doors)
    with pytest.raises(WearonError) as refusal:
        await guarded.fetch(url)
    await guarded.aclose()
    assert doors.called == []
    assert isinstance(refusal.value, PictureForbidden | FetchFailed)
    for part in ("secret", "127.0.0.1", "meta-data", "inside"):
        assert part not in str(refusal.value)


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("https://photos.example/a.jpg", "93.184.216.34"),
        ("https://93.184.216.34/a.jpg", "93.184.216.34"),
        ("https://[2606:2800:220:1::1]/a.jpg", "2606:2800:220:1::1"),
        (f"{STORE}/storage/v1/a.jpg", "10.0.0.5"),  # ours, even in a private network
    ],
)
async def test_the_address_that_was_checked_is_the_one_that_is_called(
    url: str, address: str
) -> None:
    doors = Doors()
    guarded = fetcher(doors)
    with pytest.raises(FetchFailed):
        await guarded.fetch(url)
    await guarded.aclose()
    assert doors.called == [(address, 443)]


async def test_a_name_is_resolved_only_once() -> None:
    answers = [["93.184.216.34"], ["127.0.0.1"]]

    async def turning(_host: str, _port: int) -> Sequence[str]:
        return answers.pop(0)

    doors = Doors()
    guarded = fetcher(doors, resolve=turning)
    with pytest.raises(FetchFailed):
        await guarded.fetch("https://photos.example/a.jpg")
    assert doors.called == [("93.184.216.34", 443)]
    with pytest.raises(PictureForbidden):  # and a second fetch checks again
        await guarded.fetch("https://photos.example/a.jpg")
    await guarded.aclose()
    assert len(doors.called) == 1


# --------------------------------------------------------------------------- answers

Serve = Callable[[asyncio.StreamWriter], Awaitable[None]]


def answer(head: str, body: bytes = b"") -> Serve:
    async def serve(writer: asyncio.StreamWriter) -> None:
        writer.write(head.replace("\n", "\r\n").encode() + b"\r\n\r\n" + body)

    return serve


def ok(body: bytes, *, kind: str = "image/jpeg", extra: str = "") -> Serve:
    length = f"Content-Length: {len(body)}"
    return answer(f"HTTP/1.1 200 OK\nContent-Type: {kind}\n{length}{extra}", body)


async def endless(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\n\r\n" + PICTURE)
    while True:
        writer.write(bytes(65_536))
        await writer.drain()


async def drip(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nContent-Length: 90000\r\n\r\n")
    while True:
        writer.write(b"\xff")
        await writer.drain()
        await asyncio.sleep(0.05)


async def silent(_: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


#: These end only with the time limit.
SLOW = {drip, silent}


ANSWERS: dict[str, tuple[Serve, type[WearonError]]] = {
    "a redirect inside": (
        answer("HTTP/1.1 302 Found\nLocation: http://127.0.0.1/\nContent-Length: 0"),
        PictureForbidden,
    ),
    "a permanent redirect": (
        answer("HTTP/1.1 308 Permanent Redirect\nLocation: /b.jpg\nContent-Length: 0"),
        PictureForbidden,
    ),
    "gone": (answer("HTTP/1.1 404 Not Found\nContent-Length: 0"), PictureUnavailable),
    "an expired link": (answer("HTTP/1.1 400 Bad Request\nContent-Length: 0"), PictureUnavailable),
    "an outage": (answer("HTTP/1.1 503 Service Unavailable\nContent-Length: 0"), FetchFailed),
    "HTML with status 200": (ok(b"<html>", kind="text/html"), PictureUnusable),
    "HTML that says it is a JPEG": (ok(b"<html>..."), PictureUnusable),
    "a PNG that says it is a JPEG": (ok(b"\x89PNG\r\n\x1a\n" + bytes(64)), PictureUnusable),
    "SVG": (ok(b"<svg/>", kind="image/svg+xml"), PictureUnusable),
    "HEIC": (ok(b"\0\0\0\x18ftypheic", kind="image/heic"), PictureUnusable),
    "no type": (answer("HTTP/1.1 200 OK\nContent-Length: 3", b"abc"), PictureUnusable),
    "two types": (ok(PICTURE, extra="\nContent-Type: image/png"), PictureUnusable),
    "a gzip bomb": (
        ok(gzip.compress(bytes(10_000_000)), extra="\nContent-Encoding: gzip"),
        PictureUnusable,
    ),
    "a length over the limit": (
        answer("HTTP/1.1 200 OK\nContent-Type: image/jpeg\nContent-Length: 99999999"),
        PictureTooLarge,
    ),
    "an endless body": (endless, PictureTooLarge),
    "a body that drips": (drip, FetchFailed),
    "silence": (silent, FetchFailed),
    "a body that is cut off": (
        answer("HTTP/1.1 200 OK\nContent-Type: image/jpeg\nContent-Length: 5000", PICTURE[:100]),
        FetchFailed,
    ),
    "no HTTP": (answer("SSH-2.0-OpenSSH_9.2"), FetchFailed),
    "nothing": (answer(""), FetchFailed),
}


@asynccontextmanager
async def host(serve: Serve) -> AsyncIterator[str]:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            await serve(writer)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0, family=socket.AF_INET)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


def plain(origin: str, *, timeout_s: float = LONGEST_S) -> GuardedFetcher:
    return GuardedFetcher(trusted_origins=(origin,), max_bytes=100_000, total_timeout_s=timeout_s)


async def test_a_picture_is_served_completely() -> None:
    async with host(ok(PICTURE)) as origin:
        guarded = plain(origin)
        assert await guarded.fetch(f"{origin}/a.jpg?token=x") == PICTURE
        await guarded.aclose()


async def test_memory_is_reserved_for_what_arrives_and_its_refusal_ends_the_download() -> None:
    reserved: list[int] = []

    def reserve(size_bytes: int) -> None:
        reserved.append(size_bytes)
        if sum(reserved) > 50_000:
            raise MeasuringUnavailable

    async with host(ok(PICTURE)) as origin, host(endless) as too_much:
        guarded = GuardedFetcher(
            trusted_origins=(origin, too_much), max_bytes=2**40, total_timeout_s=LONGEST_S
        )
        await guarded.fetch(f"{origin}/a.jpg", reserve=reserve)
        assert sum(reserved) == len(PICTURE)
        with pytest.raises(MeasuringUnavailable):
            await guarded.fetch(f"{too_much}/a.jpg", reserve=reserve)
        await guarded.aclose()


@pytest.mark.parametrize("case", list(ANSWERS))
async def test_a_hostile_answer_is_never_served(case: str) -> None:
    serve, wanted = ANSWERS[case]
    async with host(serve) as origin:
        guarded = plain(origin, timeout_s=0.7 if serve in SLOW else LONGEST_S)
        with pytest.raises(wanted) as refusal:
            await guarded.fetch(f"{origin}/a.jpg?token=secret")
        await guarded.aclose()
    assert "secret" not in str(refusal.value)
    assert origin not in str(refusal.value)
