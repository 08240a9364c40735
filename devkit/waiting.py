"""
Waiting for a state.

The time limit only ends a hung test; it does not say how soon the state should be reached: a busy
machine may take many times as long as a quiet one.
"""

import asyncio
import inspect
import time
from collections.abc import Callable

LONGEST_S = 90.0
LOOK_EVERY_S = 0.02


def until(
    so: Callable[[], object],
    *,
    found: Callable[[], object] = str,
    every_s: float = LOOK_EVERY_S,
) -> None:
    """
    Block until `so()` is true.

    Args:
        so: Checks the state.
        found: Describes what was found instead.
        every_s: Pause between two checks. Longer when a check is expensive.

    Raises:
        AssertionError: It was not true in time. The message is the result of `found()`.
    """
    give_up_s = time.monotonic() + LONGEST_S
    while not so():
        assert time.monotonic() < give_up_s, found()
        time.sleep(every_s)


async def reached(so: Callable[[], object]) -> None:
    """Wait until `so()`, or its awaited result, is true, without blocking the event loop."""

    async def found() -> object:
        seen = so()
        return await seen if inspect.isawaitable(seen) else seen

    async with asyncio.timeout(LONGEST_S):
        while not await found():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(LOOK_EVERY_S)
