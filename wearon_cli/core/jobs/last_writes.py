"""Final writes, retried until they succeed: otherwise others would have to guess."""

import asyncio
import math
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

from wearon_cli.core.errors import QueueUnavailable, WearonError
from wearon_cli.core.jobs.journal import Claim, Journal, PurchaseOutcome

#: A write that met an outage of Redis is tried again after this pause.
RETRY_PAUSE_S: Final = 1.0


async def write_last(write: Callable[[], Awaitable[None]], *, within_s: float = math.inf) -> None:
    """
    Repeat a write to the journal while Redis is away.

    Raises:
        QueueUnavailable: It stayed away for so long.
    """
    clock = asyncio.get_running_loop().time
    give_up_s = clock() + within_s
    while True:
        try:
            return await write()
        except QueueUnavailable:
            if clock() > give_up_s:
                raise
            await asyncio.sleep(RETRY_PAUSE_S)


async def end_purchase(
    journal: Journal,
    claim: Claim,
    outcome: PurchaseOutcome,
    *,
    cost_usd: float | None = None,
    cause: WearonError | None = None,
) -> None:
    """
    `Journal.end_purchase`, repeated while Redis is away: left open, a purchase counts as lost.
    """
    await write_last(partial(journal.end_purchase, claim, outcome, cost_usd=cost_usd, cause=cause))
