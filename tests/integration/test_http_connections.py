"""`wearon serve` as a process, and callers who hold connections without progress."""

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress

import pytest

from devkit.http_app import is_alive, serve_process
from devkit.waiting import LONGEST_S, until

pytestmark = pytest.mark.slow

CALLERS = 200


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with serve_process(tmp_path_factory.mktemp("serve")) as port:
        yield port


def connected(stack: ExitStack, port: int) -> socket.socket:
    caller = stack.enter_context(socket.create_connection(("127.0.0.1", port), LONGEST_S))
    caller.setblocking(False)
    return caller


def is_closed(caller: socket.socket) -> bool:
    """Whether the server has closed it; an earlier answer is read and dropped."""
    try:
        while caller.recv(65_536):
            pass
    except BlockingIOError:
        return False
    except ConnectionError:
        return True
    return True


def trickle(caller: socket.socket, more: bytes) -> None:
    with suppress(BlockingIOError, ConnectionError):
        caller.send(more)


def silent(_: socket.socket, __: int) -> None: ...


def header_by_header(caller: socket.socket, number: int) -> None:
    trickle(caller, f"X-{number}: a\r\n".encode())


def byte_by_byte(caller: socket.socket, _: int) -> None:
    trickle(caller, b" ")


HEADERS = b"GET /health/live HTTP/1.1\r\nHost: a\r\n"
POST = b"POST /estimate-body HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"


@pytest.mark.parametrize(
    ("first", "then"),
    [
        pytest.param(b"", silent, id="not a byte"),
        pytest.param(HEADERS, silent, id="headers that stop"),
        pytest.param(HEADERS, header_by_header, id="headers that go on"),
        pytest.param(HEADERS + b"\r\n" + HEADERS, header_by_header, id="in the second request"),
        pytest.param(HEADERS + b"\r\n", silent, id="an answered request, and no other"),
        pytest.param(
            POST + b"Content-Length: 999\r\n\r\n{", byte_by_byte, id="a body that trickles"
        ),
        pytest.param(POST + b"Content-Length: 999\r\n\r\n{", silent, id="a body that stops"),
    ],
)
def test_callers_who_never_finish_are_cut_off_and_others_are_answered(
    port: int, first: bytes, then: Callable[[socket.socket, int], None]
) -> None:
    with ExitStack() as stack:
        callers = [connected(stack, port) for _ in range(CALLERS)]
        for caller in callers:
            trickle(caller, first)
        still = list(callers)
        number, give_up_s = 0, time.monotonic() + LONGEST_S
        while still:
            assert time.monotonic() < give_up_s, f"{len(still)} of {CALLERS} are still open"
            number += 1
            for caller in still:
                then(caller, number)
            assert is_alive(port)
            time.sleep(0.5)
            still = [caller for caller in still if not is_closed(caller)]


def test_a_caller_who_never_reads_its_answers_is_cut_off(port: int) -> None:
    with ExitStack() as stack:
        caller = stack.enter_context(socket.socket())
        caller.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        caller.connect(("127.0.0.1", port))
        caller.setblocking(False)
        asked = b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n"

        def is_cut_off() -> bool:
            try:
                return not caller.send(asked)
            except BlockingIOError:
                return False
            except ConnectionError:
                return True

        until(is_cut_off, found=lambda: "it is still open")
        assert is_alive(port)


def test_a_caller_who_pauses_within_its_headers_is_answered(port: int) -> None:
    with ExitStack() as stack:
        caller = stack.enter_context(socket.create_connection(("127.0.0.1", port), LONGEST_S))
        for _ in range(3):  # the first request's time does not count for the next one
            for part in (HEADERS[:9], HEADERS[9:], b"\r\n"):
                caller.sendall(part)
                time.sleep(0.2)
            assert caller.recv(4096).startswith(b"HTTP/1.1 200")


def test_a_websocket_is_not_offered(port: int) -> None:
    with ExitStack() as stack:
        caller = stack.enter_context(socket.create_connection(("127.0.0.1", port), LONGEST_S))
        caller.sendall(
            HEADERS + b"Connection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: YWFhYWFhYWFhYWFhYWFhYQ==\r\n\r\n"
        )
        assert caller.recv(4096).startswith(b"HTTP/1.1 200")
