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
    """An unexpected error ended an attempt. The traceback is logged with it."""

    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JobCompleted(Event):
    """
    The row is completed, `took_ms` after the claim.

    Without provider, model and cost when the picture was stored before, and its purchase is not
    known.
    """

    channel: str
    took_ms: int
    provider: str | None
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
class RefundParked(ErrorEvent):
    """The ledger refused a refund: it is a dead letter, for a person."""

    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SettlementUnfinished(ErrorEvent):
    """An attempt could not be brought to its end, most often a settlement; it is tried again."""

    error: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RowNotRequeued(WarningEvent):
    """A job is handed back, and its row still says that it is processed."""

    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JobAbandoned(WarningEvent):
    """The job is another worker's now, or may be: this one does no more with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobLeftToRecovery(WarningEvent):
    """Redis was away as this worker stopped: the job is found when the worker's lease ends."""


# --------------------------------------------------------------------------------- purchases


@dataclass(frozen=True, slots=True, kw_only=True)
class PurchaseStarted(Event):
    """A paid call leaves: it has its permit of the rate limit and is in the journal."""

    provider: str
    model: str
    number: int
    waited_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewStarted(Event):
    """A composite is made here: nothing is bought, and no permit is taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageCallAnswered(Event):
    """An image API answered, with a picture or with an error; `status` is that of HTTP."""

    provider: str
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
class PictureSuspect(WarningEvent):
    """
    A check found something wrong with the `inputs` or the `result` of a job. `findings` are those
    of docs/checks.md, comma separated; `action` is flagged, refused, drawn_again or failed.
    """

    stage: str
    findings: str
    action: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureNotChecked(WarningEvent):
    """The `inputs` or the `result` of a job could not be checked, or not wholly; it goes on."""

    stage: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PurchaseFetched(Event):
    """The answer to a paid call was lost, and its picture was fetched: nothing is bought again."""

    provider: str
    model: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PurchaseLost(WarningEvent):
    """A paid call ended without an answer and may have been billed; it is the job's `number`-th."""

    provider: str
    model: str
    number: int
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PicturesLeftOut(WarningEvent):
    """A job has more pictures than any model takes: the last accessories are not drawn."""

    given: int
    sent: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPictureFound(Event):
    """The picture of this session is stored already: none is bought."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadFailed(WarningEvent):
    """Storage or Redis was away when a bought picture was to be stored; tried for `left_s` more."""

    left_s: int
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LatePictureKept(WarningEvent):
    """
    A bought picture came after its session had ended. It is stored under the result's path for a
    person, unless a picture is there already; row and credit are as they were.
    """

    is_stored: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldPictureFound(Event):
    """A bought picture of this session was held in Redis while storage was away: none is bought."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureNotStored(ErrorEvent):
    """Storage did not keep a bought picture: the job fails, with this one purchase."""

    error: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageModelUnavailable(ErrorEvent):
    """The image API does not have this model for us; the next one of the list is asked."""

    model: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerOpened(ErrorEvent):
    """Calls are halted, because none would succeed; jobs wait for a probe to succeed."""

    breaker: str
    reason: str
    probe_after_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerClosed(WarningEvent):
    """A probe succeeded: calls go on."""

    breaker: str


# ---------------------------------------------------------------------------------- recovery


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageNotSent(WarningEvent):
    """Redis did not take the message of a released job: it is ready again after its deadline."""

    session_id: str
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PayloadsReturned(WarningEvent):
    """Payloads that dead consumers had taken are on the platform's list again."""

    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class JobsRecovered(WarningEvent):
    """Jobs are ready again: their worker died; or breakers held them back for too long."""

    orphaned: int
    expired: int
    workers_lost: int


@dataclass(frozen=True, slots=True, kw_only=True)
class JobsUnclaimed(WarningEvent):
    """No worker claimed these released jobs before their deadline: they are ready again."""

    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OrphanAdopted(WarningEvent):
    """An open row without a job became a job, for a worker to fail it and settle its credit."""

    session_id: str
    status: str
