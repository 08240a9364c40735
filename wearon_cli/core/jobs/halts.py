"""
What is halted, why, since when, and when credits are refunded: one state, shown the same
everywhere.

`status`, `session`, `doctor`, `/health` and the metrics all show a `HaltState`. It follows the
rules of the release (adapters/redis/lua/breakers.lua and recover.lua).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from wearon_cli.core.cross_checks import PLATFORM_CRON_S
from wearon_cli.core.jobs.breakers import STORAGE, Halt, provider_breaker
from wearon_cli.core.session import Channel, Session

if TYPE_CHECKING:
    from wearon_cli.core.jobs.journal import JobEntry
    from wearon_cli.core.settings import Settings

_CLOCK: Final = "%H:%M:%S UTC"


@dataclass(frozen=True, slots=True, kw_only=True)
class HaltState:
    """The open breakers, and their effect. All times are of Redis's clock, in UTC."""

    halts: tuple[Halt, ...]  # the oldest first
    stopped_since: datetime | None  # nothing is bought since then; None: pictures are bought
    #: From then on, the credits of jobs that waited since the beginning are refunded. The platform
    #: ends b2c sessions by their age: see `refund_at`.
    refunds_from: datetime | None

    def lines(self) -> list[str]:
        """As text: a line for each breaker, and one for the effect. Empty when no breaker is
        open.
        """
        if not self.halts:
            return []
        return [*map(_line, self.halts), self._meaning()]

    def _meaning(self) -> str:
        if self.refunds_from is None:
            return "another provider is used meanwhile"
        return (
            "no pictures are bought, jobs wait; credits are returned from "
            f"{self.refunds_from:{_CLOCK}}, for b2c sessions before they are "
            f"{PLATFORM_CRON_S / 60:.0f} min old"
        )


def halt_state(halts: Sequence[Halt], settings: "Settings") -> HaltState:
    """
    Args:
        halts: Every open breaker.
        settings: The providers, and how long a job may wait.
    """
    open_since = {halt.name: halt.since for halt in halts}
    barriers = [open_since[STORAGE]] if STORAGE in open_since else []
    providers = {provider_breaker(name) for name in settings.provider_names}
    if providers and providers <= open_since.keys():  # as long as one is left, it is used
        barriers.append(max(open_since[name] for name in providers))
    since = min(barriers, default=None)
    return HaltState(
        halts=tuple(sorted(halts, key=lambda halt: halt.since)),
        stopped_since=since,
        refunds_from=since + timedelta(seconds=settings.max_wait_s) if since else None,
    )


def refund_at(
    state: HaltState, row: Session, job: "JobEntry", settings: "Settings"
) -> datetime | None:
    """
    When this job fails and its credit is refunded if the halt does not end; None: nothing is
    halted, or the job buys nothing any more. A b2c session fails at the latest when the platform
    ends it.
    """
    if state.stopped_since is None or job.intent is not None:
        return None
    since = job.waiting_since or max(state.stopped_since, job.opened_at)
    at = since + timedelta(seconds=settings.max_wait_s)
    if row.channel is Channel.B2C and not row.status.is_final:
        at = min(at, row.created_at + timedelta(seconds=PLATFORM_CRON_S))
    return at


def _line(halt: Halt) -> str:
    return (
        f"HALTED: {halt.name} ({halt.reason}) since {halt.since:{_CLOCK}}, "
        f"next probe {halt.next_probe_at:{_CLOCK}}"
    )
