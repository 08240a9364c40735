"""What the passing of time does in Redis, at once: tests wait for no lease, due time or silence."""

from wearon_cli.adapters.redis import keys
from wearon_cli.adapters.redis.client import Client


async def leases_run_out(redis: Client) -> None:
    """Every job that a worker holds was last heard of longer ago than its lease lives."""
    for job in await redis.zrange(keys.WAKE, 0, -1):
        if await redis.hexists(keys.job(job.decode()), "lease_until"):
            await redis.hset(keys.job(job.decode()), "lease_until", 0)
            await redis.zadd(keys.WAKE, {job: 0})


async def due_times_come(redis: Client) -> None:
    """Every job that waits for a time is due."""
    for job in await redis.zrange(keys.WAKE, 0, -1):
        if not await redis.hexists(keys.job(job.decode()), "lease_until"):
            await redis.zadd(keys.WAKE, {job: 0})


async def consumers_fall_silent(redis: Client) -> None:
    """No consumer has had a heartbeat for longer than one is waited for."""
    for consumer in await redis.zrange(keys.CONSUMERS, 0, -1):
        await redis.zadd(keys.CONSUMERS, {consumer: 0})
