"""Who the caller is, also behind a proxy, and whatever a header says."""

from ipaddress import ip_network
from typing import Any

import pytest

from wearon_cli.core.errors import ConfigError
from wearon_cli.core.settings import load_settings
from wearon_cli.runtime.http.callers import Callers

PROXY = "172.31.250.2"
PROXIES = ("172.31.250.0/28", "10.9.0.0/16", "fd00:ed9e::/64")


def scope(peer: str | None, *lines: str) -> dict[str, Any]:
    headers = [(b"x-forwarded-for", line.encode("latin-1")) for line in lines]
    return {"client": (peer, 1) if peer else None, "headers": headers}


def caller(peer: str | None, *lines: str, trusted: tuple[str, ...] = PROXIES) -> str:
    return Callers([ip_network(each) for each in trusted]).of(scope(peer, *lines))


@pytest.mark.parametrize(
    ("peer", "lines", "found"),
    [
        pytest.param("203.0.113.9", ["198.51.100.1"], "203.0.113.9", id="a stranger's header"),
        pytest.param(PROXY, ["198.51.100.1"], "198.51.100.1", id="a proxy's"),
        pytest.param(PROXY, [], PROXY, id="a proxy that says nothing"),
        pytest.param(PROXY, [""], PROXY, id="an empty one"),
        pytest.param(PROXY, ["6.6.6.6, 198.51.100.1"], "198.51.100.1", id="an invented first hop"),
        pytest.param(PROXY, ["6.6.6.6", "198.51.100.1"], "198.51.100.1", id="in two lines"),
        pytest.param(
            PROXY, ["6.6.6.6, 198.51.100.1, 10.9.8.7"], "198.51.100.1", id="two proxies in a row"
        ),
        pytest.param(PROXY, ["10.9.1.1, 10.9.8.7"], "10.9.1.1", id="proxies alone"),
        pytest.param(PROXY, ["198.51.100.1, unknown"], PROXY, id="a hop that is no address"),
        pytest.param(PROXY, ["junk, 198.51.100.1"], "198.51.100.1", id="junk before the caller"),
        pytest.param(PROXY, ["198.51.100.1, junk, 10.9.8.7"], "10.9.8.7", id="junk between"),
        pytest.param(PROXY, [" 198.51.100.1:4711 "], "198.51.100.1", id="with its port"),
        pytest.param(PROXY, ["198.51.100.256"], PROXY, id="out of range"),
        pytest.param(PROXY, ["198.51.100.\xb2"], PROXY, id="a digit that is none"),
        pytest.param(PROXY, ["0198.51.100.1"], PROXY, id="octal"),
        pytest.param(PROXY, [", ," * 5000], PROXY, id="commas"),
        pytest.param(PROXY, ["2001:db8:1:2::77"], "2001:db8:1:2::/64", id="IPv6"),
        pytest.param(PROXY, ["[2001:db8:1:2::77]:443"], "2001:db8:1:2::/64", id="IPv6, port"),
        pytest.param(PROXY, ["2001:db8:1:2::77%eth0"], "2001:db8:1:2::/64", id="an interface"),
        pytest.param(PROXY, ["::ffff:198.51.100.1"], "198.51.100.1", id="IPv4 as IPv6"),
        pytest.param("::ffff:172.31.250.2", ["198.51.100.1"], "198.51.100.1", id="such a proxy"),
        pytest.param("fd00:ed9e::2", ["198.51.100.1"], "198.51.100.1", id="a proxy with IPv6"),
        pytest.param("fd00:ed9e:1::2", ["198.51.100.1"], "fd00:ed9e:1::/64", id="not that one"),
        pytest.param(None, ["198.51.100.1"], "unknown", id="a socket without addresses"),
    ],
)
def test_only_trusted_proxies_say_who_the_caller_is(
    peer: str | None, lines: list[str], found: str
) -> None:
    assert caller(peer, *lines) == found


def test_without_trusted_proxies_nobody_is_believed() -> None:
    for peer in (PROXY, "127.0.0.1", "::1"):
        assert "198.51.100.1" not in caller(peer, "198.51.100.1", trusted=())


def test_addresses_of_one_ipv6_network_are_one_caller() -> None:
    assert caller("2001:db8::1") == caller("2001:db8::ffff:1") != caller("2001:db8:0:1::1")


def test_proxies_are_set_as_networks_and_addresses() -> None:
    proxies = load_settings(http_trusted_proxies="172.31.250.0/28, 10.9.8.7, fd00::/64")
    assert [str(each) for each in proxies.http_trusted_proxies] == [
        *("172.31.250.0/28", "10.9.8.7/32", "fd00::/64"),
    ]


@pytest.mark.parametrize("wrong", ["caddy", "10.0.0.1/8", "10.0.0.0/33", "*"])
def test_what_is_no_network_is_refused(wrong: str) -> None:
    with pytest.raises(ConfigError, match="WEARON_HTTP_TRUSTED_PROXIES"):
        load_settings(http_trusted_proxies=wrong)
