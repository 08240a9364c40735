"""Compares two books of purchases: ours, and that of the provider's loopback API."""

import asyncio
import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from redis import Redis

from devkit.chaos.providers import ChaosProvider
from wearon_cli.adapters.redis import keys
from wearon_cli.adapters.redis.book import RedisPurchaseBook
from wearon_cli.adapters.redis.client import connect
from wearon_cli.core.purchases import BookRow

#: Our book counts in micro-USD; each purchase may be rounded once.
ROUNDING_USD = 5e-6
#: In a timeline: a picture whose cost was not reported, or was lost with its worker.
ESTIMATED = b'"estimate": true'


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """Pictures bought: by our own book, and by the provider's."""

    provider: ChaosProvider
    ours: Counter[str]  # by outcome
    ours_usd: float
    billed: int  # by the provider
    billed_usd: float
    silent: int  # of these, orders whose answer was lost by a fault
    cancelled: int  # orders that were cancelled while being drawn: not billed here
    exact: int  # sessions whose total cost both books know
    differing: Sequence[str]  # of these, the ones that differ: the session and both sums
    estimated: int  # sessions with a purchase whose cost was not reported
    with_lost: int  # sessions with a lost purchase, which counts at its expected price

    def lines(self) -> list[str]:
        kept = self.ours.total() - self.ours["lost"]
        return [
            "",
            "both books                    ours   the provider's",
            f"pictures                    {kept:6} {self.billed:6}   "
            f"(the answer to {self.silent} orders was lost by a fault)",
            f"lost, at the expected price {self.ours['lost']:6}          "
            f"(cancelled while being drawn: {self.cancelled})",
            f"USD                         {self.ours_usd:6.2f} {self.billed_usd:6.2f}",
            f"costs that both know        {self.exact:6}          "
            f"(of these, different: {len(self.differing)})",
            *(f"    {each}" for each in self.differing),
            f"costs we estimate           {self.estimated:6}",
            f"sessions with a lost one    {self.with_lost:6}",
            f"ours by outcome: {dict(self.ours)}",
        ]

    @property
    def disagree(self) -> bool:
        """True when our book has too few or too many purchases."""
        if self.provider.fetches:
            kept = self.ours.total() - self.ours["lost"]
            return kept != self.billed or self.ours["lost"] > self.cancelled
        return self.ours.total() < self.billed


def books(redis_url: str, provider: ChaosProvider, calls: Sequence[Mapping[str, Any]]) -> Books:
    """
    Compare the totals, and session by session.

    Args:
        redis_url: Where our book is.
        provider: The provider of the loopback API.
        calls: The calls in the API's book.
    """
    rows = asyncio.run(book_rows(redis_url))
    billed = [call for call in calls if call["billed"]]
    bills: defaultdict[str, float] = defaultdict(float)
    for call in billed:
        bills[call["session"]] += call["cost_usd"]
    ours = _sessions(redis_url, list({call["session"] for call in calls}))
    known = {each: told for each, told in ours.items() if not (told.lost or told.is_estimate)}
    return Books(
        provider=provider,
        ours=Counter({o: sum(r.count for r in rows if r.outcome == o) for o in _outcomes(rows)}),
        ours_usd=sum(row.cost_usd for row in rows),
        billed=len(billed),
        billed_usd=sum(bills.values()),
        silent=sum(call["fault"] in provider.silent for call in billed),
        cancelled=sum(call.get("cancelled", False) for call in calls),
        exact=len(known),
        differing=[
            f"{session}: {told.usd:.6f} {bills[session]:.6f}"
            for session, told in known.items()
            if abs(told.usd - bills[session]) > ROUNDING_USD
        ],
        estimated=sum(told.is_estimate for told in ours.values()),
        with_lost=sum(told.lost > 0 for told in ours.values()),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Session:
    """The costs in our record of a session."""

    usd: float
    lost: int
    is_estimate: bool


def _sessions(redis_url: str, session_ids: Sequence[str]) -> dict[str, _Session]:
    found = {}
    with Redis.from_url(redis_url) as redis:
        for each in session_ids:
            text, lines = redis.get(keys.record(each)), redis.get(keys.timeline(each))
            record = json.loads(text) if isinstance(text, bytes) else {}
            found[each] = _Session(
                usd=record.get("micro_usd", 0) / 1e6,
                lost=record.get("lost", 0),
                is_estimate=isinstance(lines, bytes) and ESTIMATED in lines,
            )
    return found


def _outcomes(rows: Sequence[BookRow]) -> set[str]:
    return {row.outcome for row in rows}


async def book_rows(redis_url: str) -> Sequence[BookRow]:
    """Our book of purchases, today's and yesterday's."""
    redis = connect(redis_url)
    today = datetime.now(UTC).date()
    try:
        return await RedisPurchaseBook(redis).rows(today - timedelta(days=1), today)
    finally:
        await redis.aclose()
