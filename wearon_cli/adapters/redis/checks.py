"""Whether a Redis or Valkey server is fit for the queue. Reads only."""

import time
from typing import Any, Final

from wearon_cli.adapters.redis.client import Client, redis_errors
from wearon_cli.core.operator.checks import Finding

OLDEST: Final = (6, 2)
#: Above this clock difference the displayed ages are wrong; nothing else depends on it.
MOST_SKEW_S: Final = 5.0
MOST_MEMORY: Final = 0.8


async def check_redis(redis: Client, *, url: str) -> list[Finding]:
    """
    Version, eviction, append-only file, memory, clock, encryption.

    Raises:
        QueueUnavailable: It does not answer, or refuses the login.
    """
    with redis_errors():
        facts: dict[str, Any] = await redis.info()
        seconds, micros = await redis.time()
    return [
        _version(facts),
        _eviction(facts),
        _append_only(facts),
        _memory(facts),
        _clock(seconds + micros / 1e6 - time.time()),
        _encryption(url),
    ]


def _version(facts: dict[str, Any]) -> Finding:
    version = str(facts.get("redis_version", "0"))
    new_enough = tuple(int(part) for part in version.split(".")[:2]) >= OLDEST
    hint = "" if new_enough else "6.2 or later is needed (BLMOVE)"
    detail = f"Valkey {valkey}" if (valkey := facts.get("valkey_version")) else version
    return Finding(name="redis version", ok=new_enough, detail=detail, hint=hint)


def _eviction(facts: dict[str, Any]) -> Finding:
    policy = str(facts.get("maxmemory_policy", "unknown"))
    keeps = policy in {"noeviction", "unknown"} or not facts.get("maxmemory")
    hint = "" if keeps else "set maxmemory-policy noeviction: an evicted job is a lost job"
    return Finding(name="redis eviction", ok=keeps, detail=policy, hint=hint)


def _append_only(facts: dict[str, Any]) -> Finding:
    """Hosted servers often hide it: then only their operator knows."""
    name, enabled = "redis append-only", facts.get("aof_enabled")
    if enabled is None:
        return Finding(
            name=name,
            ok=True,
            detail="unknown: the server does not report it",
            hint="ask its provider whether the append-only file is on; without it a restart "
            "loses jobs",
        )
    if int(enabled):
        return Finding(name=name, ok=True, detail="on: jobs survive a restart")
    return Finding(
        name=name,
        ok=True,
        warning=True,
        detail="off: jobs since its last snapshot are lost when it restarts",
        hint="set appendonly yes, in redis.conf too",
    )


def _memory(facts: dict[str, Any]) -> Finding:
    used, limit = int(facts.get("used_memory", 0)), int(facts.get("maxmemory", 0))
    usage = f"{used / 1e6:.0f} MB used" + (f" of {limit / 1e6:.0f}" if limit else "")
    if limit and used > MOST_MEMORY * limit:
        return Finding(
            name="redis memory", ok=False, detail=usage, hint="give Redis more memory soon"
        )
    return Finding(name="redis memory", ok=True, detail=usage)


def _clock(skew_s: float) -> Finding:
    near = abs(skew_s) <= MOST_SKEW_S
    hint = "" if near else "synchronize this machine's clock with NTP: displayed ages are wrong"
    return Finding(name="redis clock", ok=near, detail=f"{skew_s:+.1f} s from ours", hint=hint)


def _encryption(url: str) -> Finding:
    scheme, _, rest = url.partition("://")
    host = rest.rpartition("@")[2].partition("/")[0].partition(":")[0]
    near = host in {"127.0.0.1", "localhost", ""} or "." not in host  # a container's name
    if scheme == "rediss":
        return Finding(name="redis encryption", ok=True, detail="on: rediss://")
    if scheme == "unix" or near:
        detail = "off: Redis is on this machine or in the same network"
        return Finding(name="redis encryption", ok=True, detail=detail)
    return Finding(
        name="redis encryption",
        ok=True,
        warning=True,
        detail="redis:// to another host is not encrypted",
        hint="use rediss:// in REDIS_URL, or a private network",
    )
