"""Counts that Redis keeps in a hash for each day: the book of purchases, and failed jobs."""

from collections.abc import Callable, Mapping
from datetime import date, timedelta
from typing import Final

from wearon_cli.adapters.redis.client import Client, redis_errors

#: Days are counted from it.
FIRST_DAY: Final = date(1970, 1, 1)


async def day_pages(
    redis: Client, key_of: Callable[[int], str], since: date, until: date
) -> list[tuple[date, Mapping[bytes, bytes]]]:
    """
    Read the hashes of some days in one round trip.

    Args:
        redis: The server's client.
        key_of: The key of a day, counted from `FIRST_DAY`.
        since: The first day.
        until: The last day.

    Raises:
        QueueUnavailable: Redis does not answer.
    """
    days = [since + timedelta(days=n) for n in range((until - since).days + 1)]
    with redis_errors():
        async with redis.pipeline(transaction=False) as pipe:
            for day in days:
                pipe.hgetall(key_of((day - FIRST_DAY).days))
            pages = await pipe.execute()
    return list(zip(days, pages, strict=True))
