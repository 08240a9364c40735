"""
The journal of open jobs, as a contract: the source of truth for every job from intake to its end.

    ready -> released (a Celery message is out) -> running (claimed by a worker) -> closed
      ^          | not claimed in time                | handed back, or its worker died
      +----------+------------------------------------+-- waiting (until a due time) --+

A job is in exactly one of these places, and each move between them is atomic.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from wearon_cli.core.errors import WearonError
from wearon_cli.core.failures import FailedCall
from wearon_cli.core.providers import Ticket, Usage
from wearon_cli.core.session import Channel, SessionKey


class Lane(StrEnum):
    """Which queue a ready job stands in."""

    PAID = "paid"  # may buy a picture: fair among owners, at the pace of the rate limit
    FREE = "free"  # settles, fetches or finishes a picture: waits for no pace and no breaker


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
    earlier_attempts: int = 0  # of this session's jobs before; its timeline goes on counting


@dataclass(frozen=True, slots=True, kw_only=True)
class Purchase:
    """A paid call that was about to be sent, and whose end is not written down."""

    number: int  # 1 for the first purchase of this job
    provider: str
    model: str
    started_at: datetime
    expected_usd: float = 0.0  # what it costs if it was billed and the bill is lost
    marker: str | None = None  # our own mark, when the provider can be asked for it
    ticket: str | None = None  # the provider's id of this purchase, once it is known
    is_free: bool = False  # a preview: nothing is bought, and no permit is needed


class PurchaseOutcome(StrEnum):
    """What became of a purchase."""

    KEPT = "kept"  # its picture is stored
    FETCHED = "fetched"  # its answer was lost, and it was fetched later; its picture is stored
    REPLACED = "replaced"  # was kept; an operator, or its check, had the picture drawn again
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
    dead_letter: bool = False  # keep the payload for a person


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """
    One worker's hold on one job, with the journal entry as read when it was claimed.

    The token fences: every later write through the journal fails with `LeaseLost` once the job
    has left this claim.
    """

    session_id: str
    channel: Channel
    token: str
    payload: bytes  # empty: an orphan row, found without its job
    opened_at: datetime
    started_at: datetime  # of the first attempt
    claimed_at: datetime  # of this one; all times are of Redis's clock
    attempt: int = 1  # this one included
    deaths: int = 0  # worker processes that died with this job in hand
    purchases: int = 0  # paid calls begun for this job, lost ones included
    faults: int = 0  # counted repeats after faults of a service
    waiting_since: datetime | None = None  # first rate limit or outage met
    purchase: Purchase | None = None  # open: begun by an earlier attempt
    stored: bool = False  # this job already put its picture into storage
    picture_held: bool = False  # a bought picture is held: `Journal.kept_picture`
    drawn_again: bool = False  # since its picture was suspect; an open purchase is the second one
    previous_kept: bool = False  # a redraw: the picture it replaces is put aside
    charged: bool = False  # a replay: its own credit was taken
    usage: Usage | None = None  # of the picture already bought
    #: Of the newest purchase that has ended: its provider may still keep the customer's photos.
    to_forget: Ticket | None = None
    intent: SettlementIntent | None = None
    #: Code of the error that halted its purchase for longer than a job may wait (`recover`).
    expired: str | None = None


class HandBack(StrEnum):
    """Why a worker hands a job back before its end."""

    FAULT = "fault"  # a service failed: counted, bounded
    WAITING = "waiting"  # rate limit or outage: the job's longest wait runs
    STOPPING = "stopping"  # this worker is stopping, or has no room: nothing is counted


class Ending(StrEnum):
    """How a job ended."""

    COMPLETED = "completed"
    FAILED = "failed"  # settled: the row failed, the credit accounted for
    PARKED = "parked"  # failed, and its refund was refused: a dead letter holds it for a person
    DROPPED = "dropped"  # nothing to do: the session had ended already


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
    """What one pass of the release found."""

    jobs: Sequence[Released]
    #: Seconds after which another pass may find more; None: only an event can change that.
    wait_s: float | None = None
    due: int = 0  # jobs that it made ready since their time had come
    unclaimed: int = 0  # and since no worker had claimed them before their deadline


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """What became of a job that a consumer opened."""

    is_new: bool  # False: this session already has an open job, which is kept
    release: Release | None = None  # made by the same step; None: the job waits for the next one


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovered:
    """Jobs that one pass of recovery made ready again."""

    orphaned: int = 0  # their worker's lease ran out
    expired: int = 0  # held back by breakers for too long: to be failed
    workers_lost: int = 0


class JobPlace(StrEnum):
    """Where an open job is."""

    READY = "ready"
    RELEASED = "released"
    RUNNING = "running"
    WAITING = "waiting"


@dataclass(frozen=True, slots=True, kw_only=True)
class JobEntry:
    """An open job, as an operator sees it."""

    session_id: str
    channel: Channel
    place: JobPlace
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
    """What is kept of a session for 90 days, after its timeline is gone."""

    error_code: str | None = None  # of its last failure
    failed_by_us: bool = False  # a worker of ours moved its row to failed
    provider: str | None = None  # of the picture it has
    model: str | None = None
    replays: int = 0  # jobs opened with the event "replayed"
    purchases: int = 0  # paid calls, lost ones included
    purchases_lost: int = 0
    cost_usd: float = 0.0  # of all of them; lost ones at their expected price
    input_paths: tuple[str, ...] = ()
    parked: bool = False  # its refund was refused: a person must give it back
    failed_call: FailedCall | None = None  # by the last failure's job, if it made one
    attempts: int = 0  # claims of all its jobs
    tickets: tuple[Ticket, ...] = ()  # its providers may keep copies under these
    is_forgotten: bool = False  # its pictures were deleted on purpose


class Journal(Protocol):
    """
    What the worker's rules need.

    An entry is opened once, released, claimed by one worker at a time, and closed when the row is
    final and the credit accounted for. Methods that take a claim raise `LeaseLost` when it is not
    the current one; all raise `QueueUnavailable` when Redis does not answer, and may then be
    called again: a repeat of a call that did arrive changes nothing.

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
            token: Made by the caller, new for each claim; the same one again gets the same claim.
        """

    async def start_purchase(self, claim: Claim, purchase: Purchase, *, pictures: int) -> float:
        """
        Take a permit of the rate limit and write down that a paid call is about to leave.

        Returns:
            0.0 when both were done. Else neither was: seconds until a permit is free.
        """

    async def purchase_submitted(self, claim: Claim, ticket: str) -> None:
        """
        Write down the provider's id of the open purchase. The job's lane becomes FREE until the
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
        Write down how the open purchase ended without a stored picture: UNUSED, LOST, NOT_BILLED.

        It goes into the book with `cost_usd`, or its expected price. Without an open purchase
        nothing happens. Its ticket is kept for `Claim.to_forget`, as by `picture_stored`. `cause`
        and what the provider answered go into the timeline, and, if the job fails, its record.
        """

    async def draw_again(self, claim: Claim, usage: Usage, *, findings: str) -> None:
        """End the purchase at hand as KEPT, for now: a better picture than its is to be bought."""

    async def picture_stored(
        self, claim: Claim, usage: Usage, outcome: PurchaseOutcome, **facts: str
    ) -> None:
        """
        Write down that the picture is in storage; this ends the open purchase: KEPT, FETCHED.

        Args:
            claim: The job.
            usage: What the picture used up.
            outcome: What became of its purchase.
            facts: Further ones of this line of the timeline.
        """

    async def previous_kept(self, claim: Claim) -> None:
        """Write down that the picture which a redraw replaces was put aside."""

    async def charged(self, claim: Claim) -> None:
        """Write down that a replay's own credit was taken."""

    async def keep_picture(self, claim: Claim, jpeg: bytes, usage: Usage) -> bool:
        """Hold a bought picture for whichever worker is next, an hour at most. False: no room."""

    async def kept_picture(self, session_id: str) -> tuple[bytes, Usage] | None:
        """The picture held for this session; None: there was none, or its time is over."""

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
        Delete what is kept of a session, for good: timeline, held picture, paths of its inputs.

        Its record keeps the sums, and what became of its credit; the timeline has one line, with
        these facts. False: it has an open job, and nothing was deleted.
        """


class JobReader(Protocol):
    """What operator tools can read about jobs. Changes nothing."""

    async def entry(self, session_id: str) -> JobEntry | None:
        """The open job of a session."""

    async def timeline(self, session_id: str) -> Sequence[Mapping[str, object]]:
        """What happened to the session, oldest first; kept for seven days."""

    async def record(self, session_id: str) -> SessionRecord | None:
        """What is kept of the session for 90 days."""

    async def records(self, session_ids: Sequence[str]) -> Sequence[SessionRecord | None]:
        """As `record`, of many sessions at once; what open jobs have done so far is left out."""

    async def timelines(
        self, session_ids: Sequence[str]
    ) -> Sequence[Sequence[Mapping[str, object]]]:
        """As `timeline`, of many sessions at once; the lines of open jobs are left out."""


class Dispatcher(Protocol):
    """What every `consume` does to the journal, at the same time as others."""

    async def open(self, job: NewJob, *, limit: int) -> Opened:
        """
        Open a job as `Journal.open` does, and release it in the same step if no other is ready.

        Args:
            job: The job.
            limit: As for `release`.
        """

    async def release(self, *, limit: int) -> Release:
        """
        Take ready jobs out of line whose message is to be sent now.

        FREE jobs at once. PAID ones when the pace of the rate limit allows, no breaker is open
        (while one is, a single job goes each time a probe is due), live workers have free slots,
        and few released ones are unclaimed. Before that it makes ready what is due, or was not
        claimed in time.
        """

    async def recover(self, *, limit: int, max_wait_s: float) -> Recovered:
        """
        Make ready what a dead worker held.

        While breakers have held back the PAID lane for longer than `max_wait_s`, jobs opened
        longer ago than that move to the FREE lane, marked `expired`: a worker fails them.
        """
