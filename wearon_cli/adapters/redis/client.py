"""The connection to Redis, its scripts, and the mapping of its errors."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from typing import Any, Final

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialWithJitterBackoff, NoBackoff
from redis.commands.core import AsyncScript
from redis.exceptions import (
    AuthenticationError,
    NoPermissionError,
    RedisError,
    ResponseError,
)

from wearon_cli.adapters.redis.address import checked_address
from wearon_cli.core.errors import ConfigError, QueueUnavailable

#: A `redis.asyncio.Redis` that returns bytes. Its annotations always say `bytes | str`, so without
#: this type every line of the adapters would need a cast.
type Client = Any

#: Longest wait for an answer; blocking reads add their own waiting time.
ANSWER_TIMEOUT_S: Final = 5.0
CONNECT_TIMEOUT_S: Final = 3.0
#: Most connections that one process opens. Jobs share them: calls are short, and above this number
#: they wait for a free one, as after a stall that makes hundreds of renewals due at once.
MAX_CONNECTIONS: Final = 50
#: The server refuses the login or the command. At start this is a wrong setting; later it is an
#: outage, which ends when the server's permissions are restored, and no job is at fault.
REFUSALS: Final = (AuthenticationError, NoPermissionError)


def connect(url: str, *, retries: int = 3, answer_timeout_s: float = ANSWER_TIMEOUT_S) -> Client:
    """
    A client for the server at `url`. Opens no connection yet.

    Args:
        url: redis://, rediss:// or unix://, with the options of `checked_address`.
        retries: Repeats after a lost connection. Every script of ours may be sent twice.
        answer_timeout_s: Longest wait for an answer.

    Raises:
        ConfigError: `url` is not a Redis URL.
    """
    backoff = ExponentialWithJitterBackoff(base=0.1, cap=1.0) if retries else NoBackoff()
    pool = BlockingConnectionPool.from_url(
        checked_address(url),
        timeout=answer_timeout_s,
        retry=Retry(backoff, retries),
        socket_timeout=answer_timeout_s,
        socket_connect_timeout=CONNECT_TIMEOUT_S,
        max_connections=MAX_CONNECTIONS,
        health_check_interval=30,
    )
    return Redis.from_pool(pool)


@contextmanager
def redis_errors() -> Iterator[None]:
    """Translate a Redis error into our error tree."""
    try:
        yield
    except REFUSALS as exc:
        raise QueueUnavailable(
            "Redis rejects the user or password in REDIS_URL", hint="check the user and password"
        ) from exc
    except ResponseError as exc:
        if "unknown command" in str(exc).lower():
            raise ConfigError(
                "this Redis server is too old", hint="version 6.2 or later is needed (BLMOVE)"
            ) from exc
        raise QueueUnavailable("Redis refused a command") from exc
    except (RedisError, OSError) as exc:
        if _certificate_refused(exc):
            raise QueueUnavailable(
                "the certificate of Redis is not trusted",
                hint="set its CA in REDIS_URL: rediss://...?ssl_ca_certs=/path/to/ca.pem",
            ) from exc
        raise QueueUnavailable(
            "Redis does not answer", hint="check REDIS_URL and that the server is running"
        ) from exc


def _certificate_refused(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return True
        error = error.__cause__ or error.__context__
    return False


class Scripts:
    """The Lua scripts in `lua/`, each one command to the server."""

    def __init__(self, redis: Client) -> None:
        self._redis = redis
        self._loaded: dict[str, AsyncScript] = {}

    async def run(self, name: str, *, keys: tuple[str, ...], args: tuple[Any, ...]) -> Any:
        """Run `lua/<name>.lua` atomically."""
        script = self._loaded.get(name)
        if script is None:
            text = files(__package__).joinpath("lua", f"{name}.lua").read_text("utf-8")
            script = self._loaded[name] = self._redis.register_script(text)
        with redis_errors():
            return await script(keys=keys, args=args)


async def require_server(redis: Client) -> None:
    """
    Check once, at start, that the server answers and is new enough.

    Raises:
        QueueUnavailable: It does not answer.
        ConfigError: It is older than 6.2, or refuses the login.
    """
    try:
        with redis_errors():
            facts = await redis.info("server")
    except QueueUnavailable as exc:
        if isinstance(exc.__cause__, REFUSALS):
            raise ConfigError(str(exc), hint=exc.hint) from exc
        raise
    version = str(facts.get("redis_version", "0"))
    if tuple(int(part) for part in version.split(".")[:2]) < (6, 2):
        raise ConfigError(
            f"this Redis server is version {version}",
            hint="version 6.2 or later is needed (BLMOVE)",
        )
