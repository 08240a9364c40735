"""Final writes and reads, retried until they succeed, so that nobody has to guess what happened."""

import asyncio
import math
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

from wearon_cli.core.errors import QueueUnavailable, WearonError
from wearon_cli.core.jobs.journal import Claim, Journal, PurchaseOutcome

#: Pause before a write is retried after an outage of Redis.
RETRY_PAUSE_S: Final = 1.0


async def write_last[T](write: Callable[[], Awaitable[T]], *, within_s: float = math.inf) -> T:
    """
    Retry a write to the journal, or a read, while Redis is down.

    Raises:
        QueueUnavailable: It was down for the whole time.
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
    `Journal.end_purchase`, retried while Redis is down: a purchase left open counts as lost.
    """
    await write_last(partial(journal.end_purchase, claim, outcome, cost_usd=cost_usd, cause=cause))
