"""
The session row: its states, the moves between them, and where its result lives.

Every move is a compare-and-swap: an adapter applies it only while the row is in one of the
`expected` states, and returns the row, or None. The rules are here; adapters only apply them.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final, Protocol
from uuid import UUID


class Channel(StrEnum):
    """Who sold the try-on. Decides table, credit owner and result path."""

    B2B = "b2b"
    B2C = "b2c"

    @property
    def table(self) -> str:
        return _TABLES[self]

    @property
    def owner_column(self) -> str:
        return _OWNER_COLUMNS[self]

    def result_path(self, owner_id: str, session_id: str) -> str:
        """Path of the finished picture inside the bucket."""
        if self is Channel.B2B:
            return f"stores/{owner_id}/generated/{session_id}.jpg"
        return f"generated/{owner_id}/{session_id}.jpg"


_TABLES: Final = {Channel.B2B: "store_generation_sessions", Channel.B2C: "generation_sessions"}
_OWNER_COLUMNS: Final = {Channel.B2B: "store_id", Channel.B2C: "user_id"}


class Status(StrEnum):
    """State of a session row, as the shopper's screen follows it."""

    QUEUED = "queued"  # waiting in Redis, or waiting for a retry
    PENDING = "pending"  # b2c only, older writers; means queued
    PROCESSING = "processing"  # a worker holds the lease, or held it when it died
    COMPLETED = "completed"  # picture stored, address written; the credit is spent
    FAILED = "failed"  # message shown; the credit is returned, or being returned

    @property
    def is_final(self) -> bool:
        return self in {Status.COMPLETED, Status.FAILED}


WAITING: Final = frozenset({Status.QUEUED, Status.PENDING})
OPEN: Final = WAITING | {Status.PROCESSING}


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionKey:
    """Names one row: the channel says which table."""

    channel: Channel
    session_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One row, as last read. Fields that a table lacks are None."""

    session_id: str
    channel: Channel
    owner_id: str
    status: Status
    created_at: datetime
    model_image_url: str = ""
    outfit_image_url: str | None = None
    accessories: tuple[Mapping[str, str], ...] = ()  # b2c: {"type": ..., "url": ...}
    prompt_system: str = ""
    generated_image_url: str | None = None
    credits_used: int = 1
    error_message: str | None = None
    processing_time_ms: int | None = None
    completed_at: datetime | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    estimated_cost_usd: float | None = None
    request_id: str | None = None  # b2b
    shopper_email: str | None = None  # b2b; set in absorb mode too: it does not show the mode

    @property
    def key(self) -> SessionKey:
        return SessionKey(channel=self.channel, session_id=self.session_id)

    @property
    def result_path(self) -> str:
        return self.channel.result_path(self.owner_id, self.session_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSession:
    """A new row with status queued, as the platform's web API inserts it before its push."""

    session_id: str
    channel: Channel
    owner_id: str
    model_image_url: str
    outfit_image_url: str | None = None
    accessories: tuple[Mapping[str, str], ...] = ()
    prompt_system: str = ""
    request_id: str | None = None
    shopper_email: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """What a finished try-on writes into its row."""

    generated_image_url: str
    processing_time_ms: int
    completed_at: datetime
    input_tokens: int | None = None
    output_tokens: int | None = None
    estimated_cost_usd: float | None = None
    #: Shown with the picture of a completed session; None clears an earlier message.
    notice: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionMove:
    """A compare-and-swap: applied only while the row's status is in `expected`."""

    expected: frozenset[Status]
    to: Status
    writes: Mapping[str, object] = field(default_factory=dict)  # column -> JSON value


def start() -> SessionMove:
    """A worker starts an attempt."""
    return SessionMove(expected=WAITING, to=Status.PROCESSING)


def requeue() -> SessionMove:
    """The job waits again: rate limit, outage, or a worker that is stopping."""
    return SessionMove(expected=frozenset({Status.PROCESSING}), to=Status.QUEUED)


def complete(done: Completion) -> SessionMove:
    """
    The picture is stored and signed.

    Any open status will do: the picture is there, whatever a worker that lost its lease has
    written meanwhile.
    """
    return SessionMove(
        expected=OPEN,
        to=Status.COMPLETED,
        writes={
            "generated_image_url": done.generated_image_url,
            "processing_time_ms": done.processing_time_ms,
            "completed_at": done.completed_at.isoformat(),
            "input_tokens": done.input_tokens,
            "output_tokens": done.output_tokens,
            "estimated_cost_usd": done.estimated_cost_usd,
            "error_message": done.notice,
        },
    )


def fail(shopper_message: str) -> SessionMove:
    """The job has failed; only the winner of this swap may return the credit."""
    return SessionMove(expected=OPEN, to=Status.FAILED, writes={"error_message": shopper_message})


def complete_again(from_status: Status, done: Completion) -> SessionMove:
    """A replay has its picture: the row moves from its current final status."""
    return replace(complete(done), expected=frozenset({from_status}))


def sign_again(url: str) -> SessionMove:
    """A completed row gets a new signed address of its picture."""
    completed = frozenset({Status.COMPLETED})
    writes = {"generated_image_url": url}
    return SessionMove(expected=completed, to=Status.COMPLETED, writes=writes)


@dataclass(frozen=True, slots=True, kw_only=True)
class RowQuery:
    """Which rows to list. All given conditions must hold."""

    since: datetime | None = None  # made then or later
    before: tuple[datetime, str] | None = None  # older than this row: its `created_at` and id
    statuses: frozenset[Status] = frozenset()  # none: all
    owner_ids: frozenset[str] = frozenset()  # users or merchant stores; none: all
    id_prefix: str = ""  # start of the id: hex digits, with or without hyphens
    request_id: str | None = None  # b2b
    shopper_email: str | None = None  # b2b; lower case

    @property
    def channels(self) -> tuple[Channel, ...]:
        """The channels whose tables can have such rows."""
        only_b2b = self.request_id is not None or self.shopper_email is not None
        return (Channel.B2B,) if only_b2b else tuple(Channel)

    @property
    def id_range(self) -> tuple[str, str] | None:
        """The lowest and the highest id with this start; None: any."""
        digits = self.id_prefix.replace("-", "").lower()[:32]
        if not digits:
            return None
        return str(UUID(digits.ljust(32, "0"))), str(UUID(digits.ljust(32, "f")))


class Sessions(Protocol):
    """
    The session rows of both channels, and the names of the merchant stores among their owners.

    Raises `StoreUnavailable` when the session store does not answer (the write may or may not have
    happened, unless said otherwise) and `StoreRefused` when it refuses.
    """

    async def get(self, key: SessionKey) -> Session | None:
        """Read one row; None when the table has no such row."""

    async def find(self, session_id: str) -> Session | None:
        """Look for a session in both tables."""

    async def apply(self, key: SessionKey, move: SessionMove) -> Session | None:
        """
        Compare-and-swap one row. Returns the row as it is now, or None when the status was not
        an expected one or there is no such row. Exclusive: of several concurrent callers only one
        wins.

        A write whose answer was lost is read back, so that a swap which did happen is reported as
        won if the row proves it.
        """

    async def insert(self, new: NewSession) -> Session:
        """Insert a queued row, as the platform does. Used by `try-on`, tests and trials."""

    async def open_before(self, time: datetime, *, limit: int) -> Sequence[Session]:
        """Rows of both tables still queued, pending or processing, created before `time`."""

    async def since(self, time: datetime, *, limit: int) -> Sequence[Session]:
        """Rows of both tables created at or after `time`, newest first."""

    async def newest(self, query: RowQuery, *, limit: int) -> Sequence[Session]:
        """The newest rows that match, newest first: of equal times, the highest id first."""

    async def store_domains(self, store_ids: Collection[str]) -> Mapping[str, str]:
        """The shop domains of merchant stores by id; unknown ids are left out."""

    async def stores_named(self, text: str, *, limit: int) -> Mapping[str, str]:
        """Merchant stores whose shop domain contains this text: ids to domains."""

    async def with_request_id(self, store_id: str, request_id: str) -> Sequence[Session]:
        """b2b rows of one store that share a request id, oldest first."""


def utc_now() -> datetime:
    """Now, with its zone."""
    return datetime.now(UTC)
