"""Ports for servers whose port is chosen before they start."""

import random
import socket
from contextlib import ExitStack

#: Below the ephemeral ports of Linux and macOS (from 32768 and 49152). Any client on the machine
#: can take one of those before its server starts, or while it restarts.
PORTS = range(20_000, 32_000)


def free_port(*, run: int = 1) -> int:
    """A loopback port that is free now: the first of this many consecutive free ports."""
    while True:
        first = random.SystemRandom().choice(PORTS[:-run])
        with ExitStack() as stack:
            try:
                for port in range(first, first + run):
                    stack.enter_context(socket.socket()).bind(("127.0.0.1", port))
            except OSError:
                continue
            return first
