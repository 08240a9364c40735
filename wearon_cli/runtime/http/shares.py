"""Divides a fixed amount between callers, so that no caller can use all of it."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager


class Shares:
    """
    An amount that callers take from: a caller who holds less than is free may take more.

    One caller alone gets half, a second one half of the rest, and so on. Nothing is set aside for
    callers who are not there.
    """

    def __init__(self, amount: int) -> None:
        self._free = amount
        self._held: Counter[str] = Counter()

    @contextmanager
    def of(self, caller: str) -> Iterator["Share"]:
        """What one request of this caller takes. All of it is given back at the end."""
        share = Share(self, caller)
        try:
            yield share
        finally:
            self._give_back(caller, share.taken)

    def take(self, caller: str, amount: int) -> bool:
        """Whether this caller may have that much more; if so, it has it."""
        if amount > self._free or (amount and self._held[caller] >= self._free):
            return False
        self._free -= amount
        self._held[caller] += amount
        return True

    def _give_back(self, caller: str, amount: int) -> None:
        self._free += amount
        self._held[caller] -= amount
        if not self._held[caller]:
            del self._held[caller]


class Share:
    """What one request holds."""

    def __init__(self, shares: Shares, caller: str) -> None:
        self._shares = shares
        self._caller = caller
        self.taken = 0

    def take(self, amount: int) -> bool:
        """Whether there is that much more for this request; if so, it has it."""
        if not self._shares.take(self._caller, amount):
            return False
        self.taken += amount
        return True
