"""Which circuit breakers are open, and why."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime

from wearon_cli.adapters.redis import keys
from wearon_cli.adapters.redis.client import Client, redis_errors
from wearon_cli.core.jobs.breakers import Halt


async def read_halts(redis: Client) -> Sequence[Halt]:
    """
    The open breakers, the oldest first.

    Raises:
        QueueUnavailable: Redis is away.
    """
    with redis_errors():
        found = await redis.hgetall(keys.BREAKERS)
    halts = [_halt(name.decode(), json.loads(text)) for name, text in found.items()]
    return sorted(halts, key=lambda halt: halt.since)


def _halt(name: str, breaker: dict[str, object]) -> Halt:
    return Halt(
        name=name,
        reason=str(breaker["reason"]),
        since=_moment(breaker["since"]),
        next_probe_at=_moment(breaker["probe_at"]),
    )


def _moment(seconds: object) -> datetime:
    return datetime.fromtimestamp(float(str(seconds)), UTC)
