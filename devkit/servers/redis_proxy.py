"""
A proxy in front of a real Redis: counts commands, kills the client at one, or stops answering.

It parses requests (RESP arrays), not answers, and forwards both unchanged.
"""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Self

type Words = list[bytes]


@dataclass(eq=False)
class _Link:
    """One client's connection and its connection to the server."""

    client: socket.socket
    server: socket.socket
    words: set[bytes] = field(default_factory=set)  # every command name and key sent so far
    silent: bool = False
    withhold: bool = False  # the next answer is not forwarded


class RedisProxy:
    """A context manager; clients connect to `url`."""

    def __init__(self, port: int) -> None:
        self._behind = ("127.0.0.1", port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._links: list[_Link] = []
        self._lock = threading.Lock()
        self._deadly: tuple[Callable[[Words], bool], bool, Callable[[], None]] | None = None
        #: Commands seen, since `kill_at()` where it was called.
        self.seen: list[Words] = []
        self.url = f"redis://127.0.0.1:{self._listener.getsockname()[1]}/0"

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()
        for link in list(self._links):
            _close(link)

    def kill_at(self, number: int, *, after: bool, kill: Callable[[], None]) -> None:
        """
        Count from now on; kill the client at the n-th command.

        Args:
            number: From 1. 0 is the command that is waiting for its answer now, as a blocking one.
            after: Redis has done it, and the client does not hear so.
            kill: Ends the client.
        """
        with self._lock:
            self.seen = []
            self._deadly = (lambda _: len(self.seen) == number, after, kill)
            if number == 0:
                for link in self._links:
                    link.withhold = b"BLMOVE" in link.words

    def kill_on(self, command: bytes, *, about: str, after: bool, kill: Callable[[], None]) -> None:
        """Kill the client at a command of this name that contains `about`; otherwise as
        `kill_at`.
        """

        def is_meant(words: Words) -> bool:
            return words[0].upper() == command and any(about.encode() in word for word in words)

        with self._lock:
            self._deadly = (is_meant, after, kill)

    def fall_silent(self, *words: bytes) -> int:
        """
        Stop answering on connections that have sent one of these words, without closing them, as in
        a failover or on a lost route. New connections work. Returns how many.
        """
        with self._lock:
            chosen = [link for link in self._links if link.words & set(words)]
            for link in chosen:
                link.silent = True
        return len(chosen)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(self._behind, timeout=5)
            except OSError:
                client.close()
                continue
            server.settimeout(None)
            link = _Link(client, server)
            with self._lock:
                self._links.append(link)
            for pump in (self._forward, self._answer):
                threading.Thread(target=pump, args=(link,), daemon=True).start()

    def _forward(self, link: _Link) -> None:
        with suppress(OSError):
            for raw, words in _requests(link.client):
                if not self._may_pass(link, words):
                    return
                if not link.silent:
                    link.server.sendall(raw)
        self._drop(link)

    def _may_pass(self, link: _Link, words: Words) -> bool:
        """Count it; False when the client was killed before this command."""
        with self._lock:
            link.words |= {words[0].upper(), *words[1:3]}
            self.seen.append(words)
            if self._deadly is None or not self._deadly[0](words):
                return True
            _, after, kill = self._deadly
            link.withhold = after
        if not after:
            kill()
        return after

    def _answer(self, link: _Link) -> None:
        with suppress(OSError):
            while data := link.server.recv(65536):
                if link.withhold and self._deadly is not None:
                    self._deadly[2]()
                    break
                if not link.silent:
                    link.client.sendall(data)
        self._drop(link)

    def _drop(self, link: _Link) -> None:
        if link.silent:
            return  # a lost route closes nothing
        _close(link)
        with self._lock, suppress(ValueError):
            self._links.remove(link)


def _close(link: _Link) -> None:
    for end in (link.client, link.server):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
        end.close()


def _requests(client: socket.socket) -> Iterator[tuple[bytes, Words]]:
    """Yields each request: its bytes, and its words."""
    with client.makefile("rb") as stream:
        while head := stream.readline():
            raw, words = [head], []
            for _ in range(int(head[1:])):
                size = stream.readline()
                word = stream.read(int(size[1:]) + 2)
                raw += [size, word]
                words.append(word[:-2])
            yield b"".join(raw), words
