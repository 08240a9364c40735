"""What the passing of time does in Redis, at once: tests wait for no silence."""

from wearon_cli.adapters.redis import keys
from wearon_cli.adapters.redis.client import Client


async def consumers_fall_silent(redis: Client) -> None:
    """No consumer has had a heartbeat for longer than one is waited for."""
    for consumer in await redis.zrange(keys.CONSUMERS, 0, -1):
        await redis.zadd(keys.CONSUMERS, {consumer: 0})
