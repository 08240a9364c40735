"""A bounded number of slots, shared so that no owner holds all of them."""

import asyncio
from collections import Counter, defaultdict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class FairSlots:
    """
    Slots for one event loop.

    An owner gets one more only while more are free than it holds: one owner alone can have half of
    them, the next one half of the rest, and so on. So every new owner finds one free, however long
    the others keep theirs. Of those who wait, the owner with the fewest goes first; between equals,
    who came first.
    """

    def __init__(self, slots: int) -> None:
        """
        Args:
            slots: How many there are; at least 1.
        """
        self._free = slots
        self._held: Counter[str] = Counter()
        self._waiting: defaultdict[str, deque[asyncio.Future[None]]] = defaultdict(deque)

    @asynccontextmanager
    async def slot(self, owner: str) -> AsyncIterator[None]:
        """Hold one slot for this owner; waits for it."""
        await self._take(owner)
        try:
            yield
        finally:
            self._give_back(owner)

    async def _take(self, owner: str) -> None:
        granted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[owner].append(granted)
        self._hand_out()
        try:
            await granted
        except asyncio.CancelledError:
            if granted.cancelled():
                self._leave(owner, granted)
            else:  # it was assigned just before
                self._give_back(owner)
            raise

    def _give_back(self, owner: str) -> None:
        self._free += 1
        self._held[owner] -= 1
        if not self._held[owner]:
            del self._held[owner]
        self._hand_out()

    def _hand_out(self) -> None:
        while self._waiting:
            owner = min(self._waiting, key=self._held.__getitem__)
            if self._held[owner] >= self._free:
                return
            granted = self._waiting[owner][0]
            self._leave(owner, granted)
            if not granted.done():  # otherwise it is being cancelled
                self._free -= 1
                self._held[owner] += 1
                granted.set_result(None)

    def _leave(self, owner: str, granted: asyncio.Future[None]) -> None:
        """An owner who still waits moves behind the others."""
        waiting = self._waiting.pop(owner, deque())
        if granted in waiting:
            waiting.remove(granted)
        if waiting:
            self._waiting[owner] = waiting
