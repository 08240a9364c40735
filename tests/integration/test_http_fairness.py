"""`wearon serve` as a process: what one caller, or a proxy's caller, can take from others."""

import json
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import httpx
import pytest

from devkit.http_app import ASSETS, serve_process
from devkit.waiting import LONGEST_S, until

pytestmark = pytest.mark.slow

PHOTO = (ASSETS / "person.jpg").read_bytes()
MAX_PICTURE_BYTES: Final = 200_000
#: More than the memory for photos holds of the largest requests.
MANY: Final = 40
ONE, OTHER = "198.51.100.1", "2001:db8::7"
LOOPBACK = {"WEARON_HTTP_TRUSTED_PROXIES": "127.0.0.1/32"}


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    settings = {**LOOPBACK, "WEARON_MAX_PICTURE_BYTES": str(MAX_PICTURE_BYTES)}
    with serve_process(tmp_path_factory.mktemp("serve"), **settings) as port:
        yield port


@contextmanager
def uploads(port: int, body: bytes, *, size_bytes: int) -> Iterator[list[socket.socket]]:
    """Many uploads of one caller that stay without their last bytes."""
    head = (
        "POST /estimate-body?height_cm=170 HTTP/1.1\r\nHost: a\r\nContent-Type: image/jpeg\r\n"
        f"X-Forwarded-For: {ONE}\r\nContent-Length: {size_bytes}\r\n\r\n"
    )
    with ExitStack() as stack:
        callers = [
            stack.enter_context(socket.create_connection(("127.0.0.1", port), LONGEST_S))
            for _ in range(MANY)
        ]
        for caller in callers:
            caller.sendall(head.encode() + body)
            caller.setblocking(False)
        yield callers


def answer_of(caller: socket.socket) -> bytes:
    try:
        return caller.recv(65_536, socket.MSG_PEEK)
    except (BlockingIOError, ConnectionError):
        return b""


def post(port: int, caller: str, *, height_cm: int = 170) -> httpx.Response:
    return httpx.post(
        f"http://127.0.0.1:{port}/estimate-body?height_cm={height_cm}",
        content=PHOTO,
        headers={"Content-Type": "image/jpeg", "X-Forwarded-For": caller},
        timeout=LONGEST_S,
        trust_env=False,
    )


def test_uploads_that_stall_keep_nobody_waiting(port: int) -> None:
    """Sixteen of them kept all others at 503, as long as their caller liked."""
    with uploads(port, PHOTO[:10], size_bytes=len(PHOTO)):
        assert [post(port, caller).status_code for caller in (OTHER, ONE)] == [200, 200]


def test_a_caller_who_fills_its_share_of_memory_leaves_that_of_others(port: int) -> None:
    size_bytes = 2 * MAX_PICTURE_BYTES
    with uploads(port, bytes(size_bytes - 1), size_bytes=size_bytes) as held:
        until(lambda: any(map(answer_of, held)))
        assert post(port, OTHER).status_code == 200
        refused = next(filter(None, map(answer_of, held)))
    assert refused.startswith(b"HTTP/1.1 503")
    assert b"retry-after" in refused.lower()


def test_uploads_that_stall_are_closed(port: int) -> None:
    with uploads(port, PHOTO[:10], size_bytes=len(PHOTO)) as held:
        until(lambda: all(map(answer_of, held)), every_s=0.5)
        assert {answer_of(caller)[:12] for caller in held} == {b"HTTP/1.1 408"}


@pytest.fixture
def limited(tmp_path: Path) -> Iterator[Callable[..., int]]:
    """Starts `serve` with two requests a minute for each caller; three where a minute begins."""
    with ExitStack() as stack:

        def start(**settings: str) -> int:
            limit = {"WEARON_HTTP_REQUESTS_PER_MINUTE": "2"}
            return stack.enter_context(serve_process(tmp_path, **limit, **settings))

        yield start


def statuses(port: int, callers: list[str]) -> list[int]:
    return [post(port, caller, height_cm=1).status_code for caller in callers]


def test_each_caller_behind_a_trusted_proxy_has_a_limit_of_its_own(
    limited: Callable[..., int],
) -> None:
    """All of them shared one, behind the proxy of the compose file."""
    port = limited(**LOOPBACK)
    assert statuses(port, 4 * [ONE])[-1] == 429
    assert statuses(port, [OTHER, f"{OTHER}, {ONE}"]) == [422, 429]


def test_who_is_no_trusted_proxy_cannot_be_several_callers(limited: Callable[..., int]) -> None:
    """uvicorn believed whoever came from loopback."""
    port = limited(FORWARDED_ALLOW_IPS="*")
    assert statuses(port, [f"198.51.100.{number}" for number in range(4)])[-1] == 429


def test_what_is_not_http_is_answered_like_other_refusals(port: int) -> None:
    for sent in (b"\x16\x03\x01\x02\x00\r\n\r\n", b"GET / HTTP/1.1\r\nX: " + 70_000 * b"x"):
        with socket.create_connection(("127.0.0.1", port), LONGEST_S) as caller:
            caller.sendall(sent)
            answer = b""
            while part := caller.recv(65_536):
                answer += part
        head, _, body = answer.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 400")
        assert json.loads(body)["code"] == "bad_request"
        assert json.loads(body)["hint"]
