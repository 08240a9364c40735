"""
Log events of jobs: taking them in, attempts, purchases, recovery.

Session, request and channel of the job at hand are bound to the log where a job is worked on, so
events repeat them only where metrics need them or where no job is at hand.
"""

from dataclasses import dataclass

from wearon_cli.core.events import ErrorEvent, Event, WarningEvent

# ------------------------------------------------------------------------------------ intake


@dataclass(frozen=True, slots=True, kw_only=True)
class JobTaken(Event):
    """A payload was taken from the platform's list and is in the journal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DuplicateJobDropped(Event):
    """A payload was taken whose session is open in the journal already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRefused(ErrorEvent):
    """A payload was malformed and is kept as a dead letter."""

    letter_id: str
    reason: str


# ---------------------------------------------------------------------------------- attempts


@dataclass(frozen=True, slots=True, kw_only=True)
class JobStarted(Event):
    """A worker began an attempt; `age_s` is counted from when the platform queued the job."""

    attempt: int
    age_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class JobStopped(WarningEvent):
    """An error ended an attempt: the job is repeated, waits, is handed back or is settled."""

    error: str
    detail: str
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class JobCrashed(ErrorEvent):
    """An error that nobody planned for ended an attempt. The traceback is logged with it."""

    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JobCompleted(Event):
    """
    The row is completed, `took_ms` after the claim.

    Without model and cost when the picture was stored before, and its purchase is not known.
    """

    channel: str
    took_ms: int
    model: str | None
    cost_usd: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSettled(Event):
    """A job failed and its credit is accounted for; `error` is why it failed."""

    channel: str
    credit: str
    error: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CreditNeedsAPerson(WarningEvent):
    """No rule says what becomes of the credit of a failed job: a person must look."""

    credit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SettlementUnfinished(ErrorEvent):
    """The database or Redis did not let a failed job be settled; it is tried again."""

    error: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RowNotRequeued(WarningEvent):
    """A job is handed back, and its row still says that it is processed."""

    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JobAbandoned(WarningEvent):
    """The lease was lost, and another worker may have the job: this one does no more with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseLeftToExpire(WarningEvent):
    """Redis stayed away at the end of an attempt: recovery finds the job when its lease ends."""


# --------------------------------------------------------------------------------- purchases


@dataclass(frozen=True, slots=True, kw_only=True)
class PermitGranted(Event):
    """The shared rate limit lets a purchase through."""

    waited_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageCallAnswered(Event):
    """The image API answered, with a picture or with an error; `status` is that of HTTP."""

    model: str
    status: int
    vendor_request_id: str | None
    took_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversationsRefused(ErrorEvent):
    """OpenAI refuses conversations; for an hour a lost purchase cannot be found without them."""

    status: int
    code: str | None
    parameter: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureFlagged(WarningEvent):
    """A provider drew a picture and flagged it as not safe for work; it is kept."""

    model: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PurchaseLost(WarningEvent):
    """A purchase may be paid for and gave no picture; it is the job's `lost`-th."""

    model: str
    lost: int
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPictureFound(Event):
    """The picture of this session is stored already: none is bought."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadFailed(WarningEvent):
    """Storage did not take a bought picture; it is tried again for `left_s` more seconds."""

    left_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPictureNotJournalled(WarningEvent):
    """A picture is stored and Redis could not note it; the row is written all the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageModelUnavailable(ErrorEvent):
    """The image API does not have this model for us; the next one of the list is asked."""

    model: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerOpened(ErrorEvent):
    """The image API refuses our account: calls are halted, one probe apart, and jobs wait."""

    reason: str
    probe_every_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerClosed(WarningEvent):
    """A probe was answered: calls to the image API go on."""


# ---------------------------------------------------------------------------------- recovery


@dataclass(frozen=True, slots=True, kw_only=True)
class PayloadsReturned(WarningEvent):
    """Payloads that dead consumers had taken are on the platform's list again."""

    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class JobsRecovered(Event):
    """Jobs whose lease ran out, or whose time has come, are ready again."""

    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OrphanAdopted(WarningEvent):
    """An open row without a job became a job, for a worker to fail it and settle its credit."""

    session_id: str
    status: str
