"""
What the rules need from the outside world, as contracts.

Every port is async and safe to share by all tasks of one event loop. Whoever builds an adapter
closes it. Adapters raise errors of `wearon_cli.core.errors` only.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from wearon_cli.core.session import (
    Channel,
    NewSession,
    Session,
    SessionKey,
    SessionMove,
)

# --------------------------------------------------------------------------- rows


class Sessions(Protocol):
    """
    The session rows of both channels.

    Raises `StoreUnavailable` when the store does not answer (the write may or may not have
    happened, unless said otherwise) and `StoreRefused` when it answers no.
    """

    async def get(self, key: SessionKey) -> Session | None:
        """Read one row; None when the table has no such row."""

    async def find(self, session_id: str) -> Session | None:
        """Look for a session in both tables."""

    async def apply(self, key: SessionKey, move: SessionMove) -> Session | None:
        """
        Compare-and-swap one row. Returns the row as it is now, or None when the status was not
        an expected one or there is no such row. Exclusive: of any number of callers one gets it.

        A write whose answer was lost is read back, so that a swap that did happen is reported as
        won where that can be told from the row alone.
        """

    async def insert(self, new: NewSession) -> Session:
        """Insert a queued row, as the platform does. For `try-on`, tests and trials."""

    async def open_before(self, moment: datetime, *, limit: int) -> Sequence[Session]:
        """Rows of both tables still queued, pending or processing, created before `moment`."""

    async def since(self, moment: datetime, *, limit: int) -> Sequence[Session]:
        """Rows of both tables created at or after `moment`, newest first."""

    async def with_request_id(self, store_id: str, request_id: str) -> Sequence[Session]:
        """b2b rows of one store that share a request id, oldest first."""


# --------------------------------------------------------------------------- credits


class EntryKind(StrEnum):
    """Kind of a ledger row (`type` in both ledgers)."""

    GENERATION = "generation"  # b2c: a credit taken
    DEDUCTION = "deduction"  # b2b: a credit taken, from the store or from its shopper
    OVERAGE = "overage"  # b2b: charged outside, no credit taken
    REFUND = "refund"  # a credit given back
    OTHER = "other"  # purchase, subscription, signup_bonus


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerEntry:
    """One row of a credit ledger."""

    kind: EntryKind
    amount: int  # credits; negative when taken
    description: str
    created_at: datetime
    request_id: str | None = None  # b2b


@dataclass(frozen=True, slots=True, kw_only=True)
class UserStanding:
    """A b2c user's ledger, as far as one session's refund needs it."""

    taken: int  # credits taken for generations, ever
    refunded: int  # credits given back, ever
    session_refunds: int  # refund rows whose description names the session


class Ledger(Protocol):
    """
    The credit ledgers of both channels, over the platform's own functions.

    The b2b refunds are exactly-once by the ledger's constraint. The b2c refund is not: only
    `wearon_cli.core.jobs.settlement` may call it, after looking, one refunder at a time.
    """

    async def store_entries(self, store_id: str, request_id: str) -> Sequence[LedgerEntry]:
        """Ledger rows of one (store, request id), oldest first."""

    async def user_standing(self, user_id: str, session_id: str) -> UserStanding:
        """Sums over a user's ledger, and the refunds that name this session."""

    async def refund_store(self, store_id: str, request_id: str, description: str) -> bool:
        """Return 1 credit to the store. False: this request id was refunded before."""

    async def refund_shopper(
        self, store_id: str, email: str, request_id: str, description: str
    ) -> bool:
        """Return 1 credit to the store's shopper. False: refunded before."""

    async def refund_user(self, user_id: str, description: str) -> None:
        """Return 1 credit to the user. NOT idempotent."""

    async def take(
        self, new: NewSession, *, shopper_pays: bool = False, description: str = "Try-on"
    ) -> None:
        """
        Take 1 credit for a session about to be made, as the platform does before its push:
        from the user, the store, or (`shopper_pays`) the store's shopper.

        Raises:
            StoreRefused: There is no credit left, or no such owner.
        """


# --------------------------------------------------------------------------- files


class Storage(Protocol):
    """The private bucket of input and result pictures."""

    async def put(self, path: str, data: bytes, *, content_type: str) -> None:
        """Store an object, replacing one of the same path."""

    async def sign(self, path: str, *, life_s: int) -> str:
        """
        Make an address that serves the object for `life_s` seconds, to anyone who has it.

        Raises:
            ObjectNotFound: There is no such object: this is also the cheap way to look.
        """

    async def get(self, path: str) -> bytes:
        """
        Read an object.

        Raises:
            ObjectNotFound: There is no such object.
        """


class Fetcher(Protocol):
    """Downloads input pictures from addresses that nobody trusts."""

    async def fetch(self, url: str) -> bytes:
        """
        Fetch one picture whole. Never follows a redirect, never reads past the size limit.

        Raises:
            PictureForbidden: The address points where this worker does not go.
            PictureUnavailable: The address answers, but has no such picture (any more).
            PictureTooLarge: More bytes than allowed.
            PictureUnusable: Not a JPEG, PNG or WebP picture, by type and by content.
            FetchFailed: No answer this time.
        """


# --------------------------------------------------------------------------- pictures


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedPicture:
    """An input picture made safe and small: sRGB JPEG, upright, no metadata."""

    jpeg: bytes
    width_px: int
    height_px: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TryOnRequest:
    """What a generator needs. Pictures in order: person, garment, accessories."""

    session_id: str
    pictures: tuple[PreparedPicture, ...]
    prompt: str
    model: str | None = None  # only this model; None: the configured ones in order


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What a generation used up, as told by the generator."""

    model: str
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: float | None = None
    is_preview: bool = False  # a composite, not a generation


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneratedPicture:
    """The generator's answer, unverified."""

    data: bytes
    usage: Usage


class Generator(Protocol):
    """
    Draws a person wearing garments. Every implementation must:

    - bill at most once a call, and never repeat inside, except with another model after
      `ModelUnavailable`;
    - raise `GeneratorError` or a subclass, nothing else; `CallAmbiguous` whenever the request
      left and no answer came back;
    - leave the request untouched, so that the caller may send it again.
    """

    async def generate(self, request: TryOnRequest) -> GeneratedPicture: ...


class Limiter(Protocol):
    """The rate limit of the image API, over all workers: never exceeded in any window."""

    async def acquire(self, *, pictures: int, patience_s: float) -> bool:
        """
        Wait for a permit for one request with this many input pictures.

        Returns False when none came within `patience_s`.
        """


# --------------------------------------------------------------------------- jobs


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
    TURN = "turn"  # no permit yet, or this worker is stopping: nothing is counted


@dataclass(frozen=True, slots=True, kw_only=True)
class NotYet:
    """Jobs wait, but the pace of the rate limit allows the next one only later."""

    wait_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
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

    async def claim(self) -> Claim | NotYet | None:
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

    async def story(self, session_id: str) -> Sequence[Mapping[str, object]]:
        """The session's story, oldest first."""

    async def is_open(self, session_id: str) -> bool:
        """True while the job has an entry."""

    async def recover(self, *, limit: int) -> Found:
        """Put jobs whose lease ran out, or whose due time came, back in line."""


class RefundLock(Protocol):
    """One b2c refunder at a time for a session, over all workers."""

    def hold(self, session_id: str) -> AbstractAsyncContextManager[bool]:
        """
        Enter with True when the lock was free.

        Let go at a clean end only: after an error it stays until it has outlived any call made
        under it, so that a refund still on its way lands before the next refunder looks.
        """


class Breaker(Protocol):
    """The circuit breaker before the image API, shared by all workers."""

    async def wait_s(self) -> float:
        """
        Seconds to wait before calling; 0 when calls may go.

        While open, one caller at a time is let through to probe.
        """

    async def trip(self, reason: str) -> None:
        """Stop the calls: nobody's would succeed. Raises the alarm when it was closed."""

    async def reset(self) -> None:
        """A call succeeded."""


class PixelPool(Protocol):
    """Runs blocking pixel work on as many threads as the machine has cores."""

    async def run[T](self, work: Callable[[], T]) -> T: ...


class Waker(Protocol):
    """Calls a worker: some job wants doing. A call lost costs time, one too many costs nothing."""

    async def wake(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """A payload nobody will try again by itself."""

    letter_id: str
    raw: bytes
    reason: str
    error_code: str
    attempts: int
    died_at: datetime
    session_id: str | None = None
    facts: Mapping[str, object] = field(default_factory=dict)


class DeadLetters(Protocol):
    """Payloads that cannot be run, kept for 30 days."""

    async def bury(
        self,
        raw: bytes,
        *,
        reason: str,
        error_code: str,
        attempts: int,
        session_id: str | None,
    ) -> str:
        """Keep a payload; returns its id. The same payload buried twice is kept once."""

    async def list(self, *, limit: int) -> Sequence[DeadLetter]:
        """Newest first."""

    async def get(self, letter_id: str) -> DeadLetter | None: ...

    async def drop(self, letter_id: str) -> bool:
        """False when there was no such letter."""


class Intake(Protocol):
    """This consumer's own end of the producer's list."""

    async def take(self, *, wait_s: float) -> bytes | None:
        """Move the oldest payload to the own intake list; None when none came in time."""

    async def done(self, payload: bytes) -> None:
        """Drop it from the intake list: it is safe elsewhere."""

    async def push(self, payload: bytes) -> None:
        """Queue a payload, as the platform does."""

    async def beat(self) -> None:
        """Say that this consumer is alive."""

    async def return_dead(self) -> int:
        """Put the payloads of consumers without a heartbeat back, oldest first. How many."""

    async def waiting_sessions(self) -> frozenset[str]:
        """
        Session ids of all payloads still before the journal: in the producer's list or in any
        consumer's intake list. Looks in the order in which payloads move, so none slips by, and
        has the intake lists of consumers that nobody knows any more returned.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """What waits and what runs, at one moment of Redis's clock."""

    at: datetime
    queued: int  # payloads nobody has taken from the platform's list
    in_line: int  # journalled jobs whose turn has not come
    waiting_since: datetime | None  # of the job whose turn is next; None when none waits
    held: int  # jobs being done, or waiting for a time
    overdue: int  # of these, lease or time has run out: recovery's next pass takes them
    dead_letters: int
    consumers: int  # alive
    permits_used: int  # image requests of the last minute
    calls_waiting: int  # Celery messages nobody has taken
    halted_because: str | None  # why calls to the image API are halted; None when they are not


class Outlook(Protocol):
    """Looks at the queue as a whole. Changes nothing."""

    async def look(self) -> Overview:
        """
        Raises:
            QueueUnavailable: Redis does not answer.
        """
