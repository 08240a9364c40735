"""The journal of open jobs, as a contract: the truth about every job between intake and its end."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from wearon_cli.core.generator import Usage
from wearon_cli.core.session import Channel, SessionKey


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenCall:
    """A paid call that was about to be sent and whose end nobody wrote down."""

    model: str
    started_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SettlementIntent:
    """Written before a job is failed, cleared after its credit is accounted for."""

    error_code: str
    shopper_message: str
    detail: str  # for the operator
    swapped: bool = False  # our move to failed is known to have happened
    dead_letter: bool = False  # keep the payload for a person


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """
    One worker's lease on one job, with the journal entry as read when it was taken.

    The token fences: every later write through the journal fails with `LeaseLost` once another
    worker has claimed the job.
    """

    session_id: str
    channel: Channel
    token: str
    payload: bytes  # empty: an orphan row, found without its job
    attempts: int  # this one included; handed-back ones are not counted
    waiting_since: datetime | None = None  # first rate limit or outage met
    faults: int = 0  # counted repeats after faults of a service
    ambiguous: int = 0  # paid calls whose outcome nobody knows
    opened_at: datetime
    open_call: OpenCall | None = None
    stored: bool = False  # this job already put its picture into storage
    usage: Usage | None = None  # of the picture already bought
    intent: SettlementIntent | None = None


class HandBack(StrEnum):
    """Why a worker lets go of a job before its end."""

    FAULT = "fault"  # a service failed: counted, bounded
    WAITING = "waiting"  # rate limit or outage: the job's patience runs
    NO_SLOT = "no_slot"  # no permit yet, or this worker is stopping: nothing is counted


@dataclass(frozen=True, slots=True, kw_only=True)
class NoSlotYet:
    """Jobs wait, but the pace of the rate limit allows the next one only later."""

    wait_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryPass:
    """What one look for left work found."""

    moved: int  # jobs put back in line: lease ran out, or due time came
    uncalled: int  # jobs in line without a wake-up call waiting for them


class Journal(Protocol):
    """
    The open jobs: the truth about every job between intake and its end.

    An entry is opened once, claimed by one worker at a time, and closed when the row is final and
    the credit accounted for. Methods that take a claim raise `LeaseLost` when it is not the
    current one, and all raise `QueueUnavailable` when Redis does not answer.
    """

    async def open(self, key: SessionKey, payload: bytes, *, owner_id: str, pictures: int) -> bool:
        """
        Write an entry and put it in line, fairly among owners.

        False: this session already has an open one, which is kept.
        """

    async def claim(self) -> Claim | NoSlotYet | None:
        """
        Take the lease on the job whose turn it is, counting an attempt. None: no job waits.

        Fair among owners, one job an owner a round, at the pace of the rate limit.
        """

    async def renew(self, claim: Claim) -> None:
        """Keep the lease for another life."""

    async def call_started(self, claim: Claim, model: str) -> None:
        """Write down that a paid call is about to leave."""

    async def call_ended(self, claim: Claim) -> None:
        """Write down that the paid call ended without a picture, and is known not to be billed."""

    async def call_lost(self, claim: Claim) -> int:
        """Turn the open call into a counted ambiguous one. Returns how many there are now."""

    async def picture_stored(self, claim: Claim, usage: Usage) -> None:
        """Write down that the picture is in storage; this ends the paid call."""

    async def hand_back(self, claim: Claim, *, after_s: float, why: HandBack) -> None:
        """Release the lease; the attempt is not counted, the job is due after `after_s` seconds."""

    async def intend(self, claim: Claim, intent: SettlementIntent) -> None:
        """Write down, or update, that this job is being settled."""

    async def close(self, claim: Claim) -> None:
        """Forget the entry: the row is final and the credit accounted for."""

    async def note(self, session_id: str, event: str, **facts: object) -> None:
        """Add a line to the session's story, kept for a while after the end."""

    async def timeline(self, session_id: str) -> Sequence[Mapping[str, object]]:
        """The session's story, oldest first."""

    async def is_open(self, session_id: str) -> bool:
        """True while the job has an entry."""

    async def recover(self, *, limit: int) -> RecoveryPass:
        """Put jobs whose lease ran out, or whose due time came, back in line."""
