"""What the passing of time does in Redis, at once: tests wait for no lease, due time or silence."""

from wearon_cli.adapters.redis.client import Client
from wearon_cli.adapters.redis.intake import CONSUMERS
from wearon_cli.adapters.redis.journal import JOB, WAKE


async def leases_run_out(redis: Client) -> None:
    """Every job that a worker holds was last heard of longer ago than its lease lives."""
    for job in await redis.zrange(WAKE, 0, -1):
        if await redis.hexists(JOB + job.decode(), "lease_until"):
            await redis.hset(JOB + job.decode(), "lease_until", 0)
            await redis.zadd(WAKE, {job: 0})


async def due_times_come(redis: Client) -> None:
    """Every job that waits for a time is due."""
    for job in await redis.zrange(WAKE, 0, -1):
        if not await redis.hexists(JOB + job.decode(), "lease_until"):
            await redis.zadd(WAKE, {job: 0})


async def consumers_fall_silent(redis: Client) -> None:
    """No consumer has had a heartbeat for longer than one is waited for."""
    for consumer in await redis.zrange(CONSUMERS, 0, -1):
        await redis.zadd(CONSUMERS, {consumer: 0})
