"""
Who is calling: the address by which requests and memory are counted, also behind a proxy.

uvicorn reads X-Forwarded-For too, but it trusts loopback unless told otherwise, takes a hop that is
no address as the caller, and does not know an IPv4 address that is written as IPv6.
"""

from collections.abc import Iterator, Sequence
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Final

from pydantic import IPvAnyNetwork
from starlette.types import Scope

#: A caller with IPv6 has at least this network to itself, and could use a new address each time.
_IPV6_PREFIX: Final = 64
_UNKNOWN: Final = "unknown"


class Callers:
    """Tells callers apart."""

    def __init__(self, trusted_proxies: Sequence[IPvAnyNetwork] = ()) -> None:
        """
        Args:
            trusted_proxies: Networks of proxies that say in X-Forwarded-For who called them.
        """
        self._trusted = trusted_proxies

    def of(self, scope: Scope) -> str:
        """
        The peer's address, or whose request it passes on if it is a trusted proxy.

        Every proxy appends the address that called it, so the list is read from its end, up to the
        first address that is no trusted proxy: what precedes it may be invented. A hop that is no
        address ends the search too.
        """
        peer = scope.get("client")
        caller = _read(peer[0]) if peer else None
        if caller is None:
            return _UNKNOWN
        for hop in _hops(scope):
            further = _read(hop) if self._trusts(caller) else None
            if further is None:
                break
            caller = further
        return _counted_as(caller)

    def _trusts(self, address: IPv4Address | IPv6Address) -> bool:
        return any(address in network for network in self._trusted)


def _hops(scope: Scope) -> Iterator[str]:
    """The hops of X-Forwarded-For, the last one first."""
    lines = [value for name, value in scope["headers"] if name == b"x-forwarded-for"]
    for line in reversed(lines):
        yield from reversed(line.decode("latin-1").split(","))


def _read(hop: str) -> IPv4Address | IPv6Address | None:
    """An address, if it is one. Some proxies add the port, and brackets around IPv6."""
    host = hop.strip()
    if host.startswith("["):
        host = host[1:].partition("]")[0]
    elif host.count(":") == 1:
        host = host.partition(":")[0]
    try:
        address = ip_address(host.partition("%")[0])  # without the name of an interface
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        return address.ipv4_mapped
    return address


def _counted_as(address: IPv4Address | IPv6Address) -> str:
    if isinstance(address, IPv6Address):
        return str(IPv6Network((address, _IPV6_PREFIX), strict=False))
    return str(address)
