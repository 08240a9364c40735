"""
Follows a session to the end of its job. Reads only.

The row alone is not enough: a replayed session is final all the time. A job has ended when it is
gone from the journal.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from wearon_cli.core.errors import SessionNotFound, SessionRunning
from wearon_cli.core.jobs.journal import JobEntry
from wearon_cli.core.operator.inspector import Inspector, SessionReport
from wearon_cli.core.session import Session, SessionKey, Status

#: How often a followed job is polled. A picture takes about 40 s.
LOOK_EVERY_S: Final = 0.5


#: Called with the row and the open job at every poll.
type OnLook = Callable[[Session, JobEntry | None], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a job ended."""

    report: SessionReport
    before: SessionReport | None = None  # of a replay: the status at planning

    @property
    def succeeded(self) -> bool:
        """The session completed; of a redraw, that it has a new picture."""
        row = self.report.session
        if row.status is not Status.COMPLETED:
            return False
        was = self.before.session if self.before else None
        if was is None or was.status is not Status.COMPLETED:
            return True
        return row.completed_at != was.completed_at

    @property
    def error_class(self) -> str | None:
        """Why it did not succeed."""
        return None if self.succeeded else self.report.error_class

    @property
    def cost_usd(self) -> float:
        """What was paid meanwhile, including lost pictures."""
        before_usd = self.before.cost_usd if self.before else 0.0
        return max(0.0, self.report.cost_usd - before_usd)


async def follow(
    inspector: Inspector,
    key: SessionKey,
    *,
    timeout_s: float,
    on_look: OnLook,
    before: SessionReport | None = None,
) -> Ended:
    """
    Poll until the job is gone and the row is final; `on_look` is called at every poll.

    Raises:
        SessionRunning: Not ended within `timeout_s`.
        SessionNotFound: The row was deleted.
    """
    clock = asyncio.get_running_loop().time
    deadline_s = clock() + timeout_s
    while True:
        row = await ended_row(inspector, key, on_look=on_look)
        if row is not None:
            return Ended(report=await inspector.report(row), before=before)
        if clock() >= deadline_s:
            raise SessionRunning(
                f"session {key.session_id} has not ended after {timeout_s:g} s",
                hint=f"it continues; `wearon session {key.session_id}` shows its state",
            )
        await asyncio.sleep(LOOK_EVERY_S)


async def ended_row(inspector: Inspector, key: SessionKey, *, on_look: OnLook) -> Session | None:
    """The row of a session whose job has ended; None while it has not. The job is read first: it
    closes after its last write to the row.
    """
    job = await inspector.jobs.entry(key.session_id)
    row = await inspector.sessions.get(key)
    if row is None:
        raise SessionNotFound(f"the row of {key.session_id} is gone")
    on_look(row, job)
    return row if job is None and row.status.is_final else None
