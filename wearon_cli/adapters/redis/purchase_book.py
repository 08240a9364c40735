"""Reading the book of purchases. Its counters are written by the journal's scripts."""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Final

from wearon_cli.adapters.redis import keys
from wearon_cli.adapters.redis.client import Client, redis_errors
from wearon_cli.adapters.redis.entries import MICRO
from wearon_cli.core.purchases import BookRow

#: One number holds a count and a sum of micro-USD below it (lua/common.lua).
COUNT: Final = 10**12
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC).date()


class RedisPurchaseBook:
    """Implements `PurchaseBook`."""

    def __init__(self, redis: Client) -> None:
        self._redis = redis

    async def rows(self, since: date, until: date) -> Sequence[BookRow]:
        """See `PurchaseBook.rows`."""
        days = [since + timedelta(days=n) for n in range((until - since).days + 1)]
        with redis_errors():
            async with self._redis.pipeline(transaction=False) as pipe:
                for day in days:
                    pipe.hgetall(keys.book((day - _EPOCH).days))
                found = await pipe.execute()
        return [row for day, fields in zip(days, found, strict=True) for row in _rows(day, fields)]


def _rows(day: date, fields: Mapping[bytes, bytes]) -> Iterator[BookRow]:
    for name, number in fields.items():
        owner, provider, model, outcome = json.loads(name)
        count, micro_usd = divmod(int(number), COUNT)
        if count:
            yield BookRow(
                day=day,
                owner=owner,
                provider=provider,
                model=model,
                outcome=outcome,
                count=count,
                cost_usd=micro_usd / MICRO,
            )
