"""
The journal of open jobs, as a contract: the source of truth for every job from intake to its end.

    ready -> released (a Celery message is out) -> running (claimed by a worker) -> closed
      ^          | not claimed in time                | handed back, or its worker died
      +----------+------------------------------------+-- waiting (until a due time) --+

A job is in exactly one of these states, and each move between them is atomic.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from wearon_cli.core.errors import WearonError
from wearon_cli.core.failures import FailedCall
from wearon_cli.core.providers import HeldPicture, Ticket, Usage
from wearon_cli.core.session import Channel, SessionKey


class Lane(StrEnum):
    """Which queue a ready job is in."""

    PAID = "paid"  # may buy a picture: fair among owners, limited by the rate limit
    FREE = "free"  # settles, fetches or finishes a picture: not limited by rate limit or breakers


@dataclass(frozen=True, slots=True, kw_only=True)
class NewJob:
    """A job to open."""

    key: SessionKey
    payload: bytes  # empty: an orphan row, found without its job
    owner_id: str
    pictures: int  # input pictures, for the limit of pictures a minute
    lane: Lane = Lane.PAID
    request_id: str = ""  # for the header of its messages
    #: Paths of its input pictures in our bucket, kept with the session's record.
    input_paths: tuple[str, ...] = ()
    #: Written into the timeline by the same atomic step.
    event: str = "taken"
    facts: Mapping[str, object] | None = None
    earlier_attempts: int = 0  # of the session's earlier jobs; its timeline continues the count


@dataclass(frozen=True, slots=True, kw_only=True)
class Purchase:
    """A paid call that was about to be sent and whose end is not recorded yet."""

    number: int  # 1 for the first purchase of this job
    provider: str
    model: str
    started_at: datetime
    expected_usd: float = 0.0  # its cost if it was billed but the cost is never reported
    marker: str | None = None  # our own id, if the provider can look it up
    ticket: str | None = None  # the provider's id of this purchase, once it is known
    is_free: bool = False  # a preview: nothing is bought, and no permit is needed


class PurchaseOutcome(StrEnum):
    """The outcome of a purchase."""

    KEPT = "kept"  # its picture is stored
    FETCHED = "fetched"  # its answer was lost, and it was fetched later; its picture is stored
    REPLACED = "replaced"  # was kept until an operator, or its check, had another picture bought
    UNUSED = "unused"  # its picture could not be used or stored, or the session had ended
    LOST = "lost"  # no answer: it may have been billed
    NOT_BILLED = "not_billed"  # refused or failed without a bill: not in the book


@dataclass(frozen=True, slots=True, kw_only=True)
class SettlementIntent:
    """Written before a job is failed, cleared after its credit is accounted for."""

    error_code: str
    shopper_message: str
    detail: str  # for the operator
    swapped: bool = False  # our move to failed is known to have happened
    dead_letter: bool = False  # keep the payload for a person to look at


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """
    One worker's claim of a job, with the journal entry as read at the claim.

    The token fences it: once the job has left this claim, every write through the journal fails
    with `LeaseLost`.
    """

    session_id: str
    channel: Channel
    token: str
    payload: bytes  # empty: an orphan row, found without its job
    opened_at: datetime
    started_at: datetime  # of the first attempt
    claimed_at: datetime  # of this one; all times are of Redis's clock
    attempt: int = 1  # this one included
    deaths: int = 0  # worker processes that died while they had this job
    purchases: int = 0  # paid calls started for this job, including lost ones
    faults: int = 0  # counted retries after faults of a service
    waiting_since: datetime | None = None  # first rate limit or outage met
    purchase: Purchase | None = None  # open: begun by an earlier attempt
    stored: bool = False  # this job already put its picture into storage
    picture_held: bool = False  # a bought picture is held: `Journal.kept_picture`
    bought_again: bool = False  # its picture was suspect: another one is, or was, bought
    previous_kept: bool = False  # a redraw: the picture that it replaces was put aside
    charged: bool = False  # a replay: its own credit was taken
    usage: Usage | None = None  # of the picture already bought
    #: Ticket of the newest purchase that has ended: its provider may still keep the customer's
    #: photos.
    to_forget: Ticket | None = None
    intent: SettlementIntent | None = None
    #: Code of the error that halted its purchase for longer than a job may wait (`recover`).
    expired: str | None = None


class HandBack(StrEnum):
    """Why a worker hands a job back."""

    FAULT = "fault"  # a service failed: counted, bounded
    WAITING = "waiting"  # rate limit or outage: counts towards the job's longest wait
    STOPPING = "stopping"  # this worker is stopping or full: not counted


class Ending(StrEnum):
    """How a job ended."""

    COMPLETED = "completed"
    FAILED = "failed"  # settled: the row failed, the credit accounted for
    PARKED = "parked"  # failed, and its refund was refused: a dead letter keeps it for a person
    DROPPED = "dropped"  # nothing to do: the session had already ended


@dataclass(frozen=True, slots=True, kw_only=True)
class Closing:
    """What the journal keeps of a job that ended: timeline, record and counters."""

    ending: Ending
    error_code: str | None = None
    credit: str | None = None  # the credit's state, as settled
    cost_usd: float | None = None
    facts: Mapping[str, object] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Released:
    """A job that a worker may claim from now on; its message is to be sent."""

    session_id: str
    channel: Channel
    number: int  # 1 for the job's first release: part of the message's task id
    request_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """The result of one release pass."""

    jobs: Sequence[Released]
    #: Seconds after which another pass may find more; None: only an event can change that.
    wait_s: float | None = None
    due: int = 0  # jobs that it made ready because they were due
    unclaimed: int = 0  # jobs that no worker had claimed before their deadline


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """The result of opening a job."""

    is_new: bool  # False: this session already has an open job, which is kept
    release: Release | None = (
        None  # released in the same step; None: the job waits for the next pass
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovered:
    """Jobs that one pass of recovery made ready again."""

    orphaned: int = 0  # their worker's lease ran out
    expired: int = 0  # held back by breakers for too long: they will fail
    workers_lost: int = 0


class JobState(StrEnum):
    """What an open job waits for, or that it runs."""

    READY = "ready"
    RELEASED = "released"
    RUNNING = "running"
    WAITING = "waiting"


@dataclass(frozen=True, slots=True, kw_only=True)
class JobEntry:
    """An open job, as an operator sees it."""

    session_id: str
    channel: Channel
    state: JobState
    opened_at: datetime
    attempt: int
    purchases: int
    deaths: int
    payload: bytes
    worker_id: str | None = None
    due_at: datetime | None = None
    waiting_since: datetime | None = None
    purchase: Purchase | None = None
    intent: SettlementIntent | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRecord:
    """What is kept about a session for 90 days, after its timeline has expired."""

    error_code: str | None = None  # the error of its last failure
    failed_by_us: bool = False  # a worker of ours moved its row to failed
    provider: str | None = None  # what its current picture cost
    model: str | None = None
    replays: int = 0  # jobs opened with the event "replayed"
    purchases: int = 0  # paid calls, lost ones included
    purchases_lost: int = 0
    cost_usd: float = 0.0  # the cost of all of them; lost ones at their expected price
    input_paths: tuple[str, ...] = ()
    parked: bool = False  # its refund was refused: a person must refund it
    failed_call: FailedCall | None = None  # the last paid call of the last failed job
    attempts: int = 0  # attempts of all its jobs
    tickets: tuple[Ticket, ...] = ()  # ids of copies that its providers may keep
    is_forgotten: bool = False  # its pictures were deleted on purpose


class Journal(Protocol):
    """
    The journal as workers use it.

    An entry is opened once, released, claimed by one worker at a time, and closed when the row is
    final and the credit accounted for. Methods that take a claim raise `LeaseLost` when it is not
    the current one; all raise `QueueUnavailable` when Redis does not answer, and may then be called
    again: repeating a call that did arrive changes nothing.

    Each write adds its own line to the session's timeline, in the same atomic step.
    """

    async def open(self, job: NewJob) -> bool:
        """Write an entry and make it ready, fairly among owners. False: one is open already."""

    async def claim(self, session_id: str, *, worker_id: str, token: str) -> Claim | None:
        """
        Take a job for this worker that is ready, released or due. The attempt is counted.

        None: it is closed, waits for a later time, or is another worker's; or this worker is not
        registered.

        Args:
            session_id: The job.
            worker_id: Its worker, registered.
            token: Created by the caller, new for each claim; a repeat with the same token returns
                the same claim.
        """

    async def start_purchase(self, claim: Claim, purchase: Purchase, *, pictures: int) -> float:
        """
        Take a permit of the rate limit and record that a paid call is about to be sent.

        Returns:
            0.0 when both were done. Otherwise neither was: seconds until a permit is free.
        """

    async def purchase_submitted(self, claim: Claim, ticket: str) -> None:
        """
        Record the provider's id of the open purchase. The job's lane becomes FREE until the
        purchase ends without a picture.
        """

    async def end_purchase(
        self,
        claim: Claim,
        outcome: PurchaseOutcome,
        *,
        cost_usd: float | None = None,
        cause: WearonError | None = None,
    ) -> None:
        """
        Record how the open purchase ended without a stored picture: UNUSED, LOST, NOT_BILLED.

        It is entered in the book with `cost_usd`, or its expected price. Without an open purchase
        nothing happens. Its ticket is kept for `Claim.to_forget`, as by `picture_stored`. `cause`
        and what the provider answered go into the timeline, and, if the job fails, its record.
        """

    async def buy_again(self, claim: Claim, usage: Usage, *, findings: str) -> None:
        """End the open purchase as KEPT for now: a better picture is going to be bought."""

    async def picture_stored(
        self, claim: Claim, usage: Usage, outcome: PurchaseOutcome, **facts: str
    ) -> None:
        """
        Record that the picture is in storage; this ends the open purchase: KEPT, FETCHED.

        Args:
            claim: The job.
            usage: What the picture cost.
            outcome: The outcome of its purchase.
            facts: Further ones of this line of the timeline.
        """

    async def previous_kept(self, claim: Claim) -> None:
        """Record that the picture which a redraw replaces was put aside."""

    async def charged(self, claim: Claim) -> None:
        """Record that a replay's own credit was taken."""

    async def open_purchase(self, claim: Claim) -> Purchase | None:
        """The purchase that is open now; `claim` has that of an earlier attempt."""

    async def keep_picture(self, claim: Claim, picture: HeldPicture) -> bool:
        """Hold a bought picture for an hour at most; its lane becomes FREE. False: no room."""

    async def kept_picture(self, session_id: str) -> HeldPicture | None:
        """The picture held for this session; None: there was none, or it has expired."""

    async def hand_back(self, claim: Claim, *, after_s: float, why: HandBack, error: str) -> None:
        """Hand the job back: it is ready at once at the head of its lane, or after `after_s`."""

    async def intend(self, claim: Claim, intent: SettlementIntent) -> None:
        """Record, or update, that this job is being settled. Its lane becomes FREE."""

    async def close(self, claim: Claim, closing: Closing) -> None:
        """
        Forget the entry: the row is final and the credit accounted for.

        With an ending other than COMPLETED, a picture that this job stored moves to UNUSED in the
        book. PARKED, and the error code of FAILED and PARKED, go into the session's record.
        """

    async def note(self, session_id: str, event: str, **facts: object) -> None:
        """Add a line to the session's timeline, kept for seven days after the last one."""

    async def forget(self, session_id: str, **facts: object) -> bool:
        """
        Permanently delete what is kept about a session: timeline, held picture, input paths.

        Its record keeps the totals and the state of its credit, its timeline the events of this
        kind; one with these facts is added. False: it has an open job, and nothing was deleted.
        """


class JobReader(Protocol):
    """Reads what operator tools show about jobs. Changes nothing."""

    async def entry(self, session_id: str) -> JobEntry | None:
        """The open job of a session."""

    async def timeline(self, session_id: str) -> Sequence[Mapping[str, object]]:
        """What happened to the session, oldest first; kept for seven days."""

    async def record(self, session_id: str) -> SessionRecord | None:
        """What is kept of the session for 90 days."""

    async def records(self, session_ids: Sequence[str]) -> Sequence[SessionRecord | None]:
        """As `record`, for many sessions at once, without what open jobs have done so far."""

    async def timelines(
        self, session_ids: Sequence[str]
    ) -> Sequence[Sequence[Mapping[str, object]]]:
        """As `timeline`, for many sessions at once, without the events of open jobs."""


class Dispatcher(Protocol):
    """The journal as every `consume` uses it, concurrently with others."""

    async def open(self, job: NewJob, *, limit: int) -> Opened:
        """
        Open a job as `Journal.open` does, and release it in the same step if no other is ready.

        Args:
            job: The job.
            limit: As for `release`.
        """

    async def release(self, *, limit: int) -> Release:
        """
        Take ready jobs from the queue whose message is to be sent now.

        FREE jobs at once. PAID jobs when the rate limit allows, no breaker is open (while one is, a
        single job goes each time a probe is due), live workers have free slots, and few released
        ones are unclaimed. Before that it makes ready what is due, or was not claimed in time.
        """

    async def recover(self, *, limit: int, max_wait_s: float) -> Recovered:
        """
        Make ready what dead workers held: all jobs of one, then those of the next up to `limit`.

        While breakers have held back the PAID lane for longer than `max_wait_s`, jobs opened
        longer ago than that move to the FREE lane, marked `expired`: a worker fails them.
        """
