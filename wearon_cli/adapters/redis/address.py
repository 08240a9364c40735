"""
REDIS_URL, checked once and translated for each library.

redis-py and kombu read the same address differently: kombu checks no certificate unless told to,
knows no unix://, and fails on options it does not know. So the allowed options are listed here, and
every other one is refused.
"""

import ssl
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit

from wearon_cli.core.errors import ConfigError

SCHEMES: Final = ("redis", "rediss", "unix")
#: Files of a TLS connection: trusted authorities, and our own certificate.
TLS_FILES: Final = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
#: Options that are allowed with this one value: certificates are always verified.
TLS_FIXED: Final = {"ssl_cert_reqs": "required", "ssl_check_hostname": "true"}
_OPTIONS: Final = {
    "redis": (),
    "rediss": (*TLS_FILES, *TLS_FIXED),
    "unix": ("db",),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Broker:
    """The address as Celery's settings `broker_url` and `broker_use_ssl`."""

    url: str
    use_ssl: dict[str, Any] | None  # None: not encrypted


def checked_address(url: str) -> str:
    """
    The address, as given.

    Raises:
        ConfigError: It is not a Redis address, or has an option that is not allowed.
    """
    scheme, options = _parts(url)
    for name, value in options.items():
        if name not in _OPTIONS[scheme]:
            raise ConfigError(
                f"REDIS_URL has the option {name}, which {scheme}:// does not support",
                hint=f"remove it; {_allowed(scheme)}",
            )
        if name in TLS_FIXED and value.lower() != TLS_FIXED[name]:
            raise ConfigError(
                f"REDIS_URL must not set {name} to {value}: certificates are always verified",
                hint="set the server's own CA instead: rediss://...?ssl_ca_certs=/path/to/ca.pem",
            )
    return url


def broker(url: str) -> Broker:
    """
    The same server for kombu.

    Raises:
        ConfigError: What `checked_address` raises.
    """
    scheme, options = _parts(checked_address(url))
    parts = urlsplit(url)
    if scheme == "unix":
        user = f"{parts.netloc.rpartition('@')[0]}@" if "@" in parts.netloc else ""
        query = urlencode({"virtual_host": options.get("db", "0")})
        return Broker(url=f"redis+socket://{user}{parts.path}?{query}", use_ssl=None)
    plain = parts._replace(query="").geturl()
    if scheme == "redis":
        return Broker(url=plain, use_ssl=None)
    files = {name: value for name, value in options.items() if name in TLS_FILES}
    return Broker(
        url=plain,
        use_ssl={"ssl_cert_reqs": ssl.CERT_REQUIRED, "ssl_check_hostname": True, **files},
    )


def _parts(url: str) -> tuple[str, dict[str, str]]:
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises when it is not a number
    except ValueError as exc:
        raise _not_redis() from exc
    where = parts.path if parts.scheme == "unix" else parts.hostname
    if parts.scheme not in SCHEMES or not where:
        raise _not_redis()
    return parts.scheme, dict(parse_qsl(parts.query, keep_blank_values=True))


def _not_redis() -> ConfigError:
    return ConfigError(
        "REDIS_URL is not a Redis address",
        hint="use redis://host:6379/0, rediss://host:6379/0 or unix:///path/to/redis.sock",
    )


def _allowed(scheme: str) -> str:
    names = _OPTIONS[scheme]
    return f"known options are {', '.join(names)}" if names else "there are none"
