"""
Limits on how long a stalled connection may be held.

uvicorn bounds only the pause between two requests: a request whose headers never end, and a caller
who never reads its answer, would each hold a connection indefinitely. Bodies are bounded in `edge`.
"""

import asyncio
from contextlib import suppress
from typing import Any, Final

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from wearon_cli.runtime.http.edge import problem_body

#: The headers of a request must be complete this long after the connection, or their first byte.
HEADERS_TIMEOUT_S: Final = 10.0
#: A connection with no request under way is closed after this time.
KEEP_ALIVE_S: Final = 5
#: A caller has this time to take what was written to it, where that is more than a buffer holds.
READ_TIMEOUT_S: Final = 30.0
_MALFORMED: Final = "send HTTP/1.1 with less than 64 KiB of headers"


class BoundedConnection(H11Protocol):
    """A connection that is closed when its caller stalls."""

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self._headers = _Deadline(self.loop, HEADERS_TIMEOUT_S)
        self._reading = _Deadline(self.loop, READ_TIMEOUT_S)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._headers.abort_later(transport)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)  # which ends the deadline of the pause between two requests
        if self.conn.their_state is h11.IDLE:
            self._headers.abort_later(self.transport)
        else:
            self._headers.cancel()

    def connection_lost(self, exc: Exception | None) -> None:
        self._headers.cancel()
        super().connection_lost(exc)  # which resumes writing
        self._reading.cancel()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._reading.abort_later(self.transport)

    def resume_writing(self) -> None:
        self._reading.cancel()
        super().resume_writing()

    def send_400_response(self, _: str) -> None:
        """In the form of every other refusal."""
        body = problem_body(400, "the request is not valid HTTP", hint=_MALFORMED)
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            (b"connection", b"close"),
        ]
        with suppress(h11.LocalProtocolError):  # an answer is under way
            for event in (
                h11.Response(status_code=400, headers=headers, reason=b"Bad Request"),
                h11.Data(data=body),
                h11.EndOfMessage(),
            ):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def timeout_keep_alive_handler(self) -> None:
        """Closing waits a limited time for the caller to read what was written."""
        super().timeout_keep_alive_handler()
        self._reading.abort_later(self.transport)


class _Deadline:
    """Aborts a connection unless it is cancelled in time."""

    def __init__(self, loop: asyncio.AbstractEventLoop, after_s: float) -> None:
        self._loop = loop
        self._after_s = after_s
        self._timer: asyncio.TimerHandle | None = None

    def abort_later(self, transport: asyncio.Transport) -> None:
        """Begin, unless it runs already."""
        if self._timer is None:
            self._timer = self._loop.call_later(self._after_s, transport.abort)

    def cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
