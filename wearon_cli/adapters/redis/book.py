"""The book of purchases in Redis: a hash for each day, written by the scripts of the journal."""

import json
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Final

from wearon_cli.adapters.redis import keys
from wearon_cli.adapters.redis.client import Client
from wearon_cli.adapters.redis.day_pages import day_pages
from wearon_cli.adapters.redis.money import MICRO
from wearon_cli.core.purchases import BookRow

#: A number in the book is the count times this, plus the cost in micro-USD (lua/common.lua).
_ONE: Final = 10**12


class RedisPurchaseBook:
    """Implements `PurchaseBook`."""

    def __init__(self, redis: Client) -> None:
        self._redis = redis

    async def rows(self, since: date, until: date) -> Sequence[BookRow]:
        pages = await day_pages(self._redis, keys.book, since, until)
        return [row for day, page in pages for row in _rows(day, page)]


def _rows(day: date, page: Mapping[bytes, bytes]) -> list[BookRow]:
    rows = []
    for field, number in sorted(page.items()):
        owner, provider, model, outcome = json.loads(field)
        count, cost_micro_usd = divmod(int(number), _ONE)
        if count or cost_micro_usd:  # otherwise its purchases have moved to another outcome
            rows.append(
                BookRow(
                    day=day,
                    owner=owner,
                    provider=provider,
                    model=model,
                    outcome=outcome,
                    count=count,
                    cost_usd=cost_micro_usd / MICRO,
                )
            )
    return rows
