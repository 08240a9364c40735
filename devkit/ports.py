"""Ports for servers that get theirs before they start."""

import random
import socket
from contextlib import ExitStack

#: Below those from which Linux and macOS take the near ends of connections (32768 and 49152). A
#: port from there can be taken by any client on the machine before its server starts, or while it
#: restarts.
PORTS = range(20_000, 32_000)


def free_port(*, run: int = 1) -> int:
    """A loopback port that is free now: the first of so many in a run."""
    while True:
        first = random.SystemRandom().choice(PORTS[:-run])
        with ExitStack() as stack:
            try:
                for port in range(first, first + run):
                    stack.enter_context(socket.socket()).bind(("127.0.0.1", port))
            except OSError:
                continue
            return first
