"""Finds the addresses to which a program and its children talk, from their system calls, with
strace.
"""

import ipaddress
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

#: The calls that name a peer. `-f` follows threads and children; the filter in the kernel keeps
#: everything else at its usual speed; `-D` makes the program our own child, for signals to it.
STRACE: Final = (
    *("strace", "-D", "-f", "--seccomp-bpf", "-s", "128"),
    *("-e", "trace=connect,sendto,sendmsg,sendmmsg", "-e", "signal=none"),
)
DNS_PORT: Final = 53
#: The service that resolves names on many machines (systemd-resolved). Not nscd: it is also asked
#: about users, which Python does at its start without a HOME.
_RESOLVERS: Final = re.compile(r'sun_path="([^"]*/systemd/resolve/[^"]*)"')
_CALLS: Final = re.compile(r"\b(?:connect|sendto|sendmsg|sendmmsg)\(")
_IPV4: Final = re.compile(r'sin_port=htons\((\d+)\), sin_addr=inet_addr\("([^"]+)"\)')
_IPV6: Final = re.compile(r'sin6_port=htons\((\d+)\).*?inet_pton\(AF_INET6, "([^"]+)"')


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """A peer that was contacted, or would have been."""

    address: str  # IP address; of a resolver on this machine: its socket's path
    port: int = 0

    @property
    def is_outside(self) -> bool:
        """True when it is not this machine, or when it resolves names."""
        if self.address.startswith("/") or self.port == DNS_PORT:
            return True
        address = ipaddress.ip_address(self.address)
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
            address = address.ipv4_mapped
        return not address.is_loopback


def why_not() -> str | None:
    """Why strace is not usable here; None when it is."""
    if shutil.which("strace") is None:
        return "strace is not on PATH"
    tried = subprocess.run([*STRACE, "-o", "/dev/null", "true"], capture_output=True, timeout=60)
    return None if tried.returncode == 0 else "strace may not trace processes here"


def traced(command: Sequence[str], trace: Path) -> tuple[str, ...]:
    """The command with its system calls written into `trace`. Read the file with `contacts` after
    it has ended.
    """
    return (*STRACE, "-o", str(trace), *command)


def contacts(trace: Path) -> set[Contact]:
    """All peers of a traced program."""
    return {each for line in trace.read_text("utf-8").splitlines() for each in _named_in(line)}


def has_ended(trace: Path, pid: int) -> bool:
    """Whether the trace is complete: strace writes the end of a process last."""
    return re.search(rf"^{pid} +\+\+\+ ", trace.read_text("utf-8"), re.MULTILINE) is not None


def _named_in(line: str) -> Iterator[Contact]:
    if not _CALLS.search(line):
        return
    for port, address in (*_IPV4.findall(line), *_IPV6.findall(line)):
        yield Contact(address=address, port=int(port))
    for path in _RESOLVERS.findall(line):
        yield Contact(address=path)
