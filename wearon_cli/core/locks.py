"""Locks of one session, over all workers and operators."""

from contextlib import AbstractAsyncContextManager
from typing import Protocol


class RefundLock(Protocol):
    """One writer to the ledger at a time for a session, over all workers and operators."""

    def hold(self, session_id: str) -> AbstractAsyncContextManager[bool]:
        """
        Enter with True when the lock was free.

        Released at a clean end only: after an error it is kept until it has outlived every call
        made under it, so that a refund in flight arrives before the next caller reads the ledger.

        Raises:
            StoreUnavailable: The work took too long, and was stopped before the lock runs out.
            QueueUnavailable: Redis does not answer.
        """


def pictures_lock(session_id: str) -> str:
    """Name of the lock under which a session is undone, redrawn (its start) or forgotten."""
    return f"pictures-{session_id}"
