"""REDIS_URL as our client and Celery read it; an address that only one of them accepts is
refused.
"""

import ssl

import pytest

from wearon_cli.adapters.celery_app import make_celery
from wearon_cli.adapters.redis.address import Broker, broker, checked_address
from wearon_cli.adapters.redis.client import connect
from wearon_cli.core.errors import ConfigError

CHECKED = {"ssl_cert_reqs": ssl.CERT_REQUIRED, "ssl_check_hostname": True}


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://:pass%40@host:6380/2", Broker(url="redis://:pass%40@host:6380/2", use_ssl=None)),
        ("rediss://user:p@host/0", Broker(url="rediss://user:p@host/0", use_ssl=CHECKED)),
        (
            "rediss://host?ssl_ca_certs=/etc/ca.pem&ssl_cert_reqs=required",
            Broker(url="rediss://host", use_ssl={**CHECKED, "ssl_ca_certs": "/etc/ca.pem"}),
        ),
        (
            "unix://user:p@/run/redis.sock?db=3",
            Broker(url="redis+socket://user:p@/run/redis.sock?virtual_host=3", use_ssl=None),
        ),
    ],
)
def test_celery_gets_the_same_server_and_checks_its_certificate(url: str, expected: Broker) -> None:
    assert checked_address(url) == url
    assert broker(url) == expected


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("", id="nothing"),
        pytest.param("localhost:6379", id="no scheme"),
        pytest.param("http://host", id="another scheme"),
        pytest.param("redis://", id="no host"),
        pytest.param("redis://host:port/0", id="port is no number"),
        pytest.param("unix://", id="no path"),
        pytest.param("redis://host/0?protocol=3", id="kombu would fail on it"),
        pytest.param("redis://host/0?ssl_ca_certs=/etc/ca.pem", id="TLS without rediss"),
        pytest.param("rediss://host/0?ssl_cert_reqs=none", id="certificate not checked"),
        pytest.param("rediss://host/0?ssl_cert_reqs=optional", id="certificate hardly checked"),
        pytest.param("rediss://host/0?ssl_check_hostname=false", id="anybody's certificate"),
        pytest.param("unix:///run/redis.sock?ssl_ca_certs=/etc/ca.pem", id="TLS on a socket"),
    ],
)
def test_other_addresses_are_refused_with_a_hint_before_anything_is_opened(url: str) -> None:
    for opened in (connect, make_celery):
        with pytest.raises(ConfigError) as refused:
            opened(url)
        assert "REDIS_URL" in str(refused.value)
        assert refused.value.hint


def test_the_message_of_a_refusal_contains_no_password() -> None:
    with pytest.raises(ConfigError) as refused:
        checked_address("redis://user:secret@host/0?x=1")
    assert "secret" not in f"{refused.value} {refused.value.hint}"
