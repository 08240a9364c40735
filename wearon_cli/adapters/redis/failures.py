"""Counts of failed jobs in Redis: a hash for each day, written by `close.lua`."""

import json
from collections.abc import Mapping, Sequence
from datetime import date

from wearon_cli.adapters.redis import keys
from wearon_cli.adapters.redis.client import Client
from wearon_cli.adapters.redis.day_pages import day_pages
from wearon_cli.core.failures import FailureRow


class RedisFailureCounts:
    """Implements `FailureCounts`."""

    def __init__(self, redis: Client) -> None:
        self._redis = redis

    async def failures(self, since: date, until: date) -> Sequence[FailureRow]:
        pages = await day_pages(self._redis, keys.failures, since, until)
        return [row for day, page in pages for row in _rows(day, page)]


def _rows(day: date, page: Mapping[bytes, bytes]) -> list[FailureRow]:
    rows = []
    for field, count in sorted(page.items()):
        owner, error_code, provider, model, vendor_code = json.loads(field)
        rows.append(
            FailureRow(
                day=day,
                owner=owner,
                error_code=error_code,
                provider=provider,
                model=model,
                vendor_code=vendor_code,
                count=int(count),
            )
        )
    return rows
