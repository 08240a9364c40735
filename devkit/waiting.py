"""
Waiting for a state.

The bound is there to end a hung test, and says nothing about how soon the state should come: a busy
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
        so: Looks for the state.
        found: Describes what was found instead.
        every_s: Pause between two checks. Longer when a check is expensive.

    Raises:
        AssertionError: It never was. The message is what `found()` returns then.
    """
    give_up_s = time.monotonic() + LONGEST_S
    while not so():
        assert time.monotonic() < give_up_s, found()
        time.sleep(every_s)


async def reached(so: Callable[[], object]) -> None:
    """Wait until `so()`, or what it awaits, is true, while the event loop goes on."""

    async def found() -> object:
        seen = so()
        return await seen if inspect.isawaitable(seen) else seen

    async with asyncio.timeout(LONGEST_S):
        while not await found():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(LOOK_EVERY_S)
