"""Applies the passing of time to Redis at once, so that tests need not wait."""

from wearon_cli.adapters.redis import keys
from wearon_cli.adapters.redis.client import Client


async def consumers_fall_silent(redis: Client) -> None:
    """Make every consumer's heartbeat too old."""
    for consumer in await redis.zrange(keys.CONSUMERS, 0, -1):
        await redis.zadd(keys.CONSUMERS, {consumer: 0})
