"""
Log events of jobs: intake, attempts, purchases, recovery.

While a job runs, its session, request and channel are bound to the log, so events have such fields
only where metrics need them or no job is running.
"""

from dataclasses import dataclass

from wearon_cli.core.events import ErrorEvent, Event, WarningEvent

# ------------------------------------------------------------------------------------ intake


@dataclass(frozen=True, slots=True, kw_only=True)
class JobTaken(Event):
    """A payload was taken from the platform's list and is in the journal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DuplicateJobDropped(Event):
    """A payload was taken whose session already has an open job."""


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
    The row is completed, `took_ms` after the job's first claim.

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
    """The credit of a failed job is unclear: a person must check it."""

    credit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundParked(ErrorEvent):
    """The ledger refused a refund; a dead letter was written for a person."""

    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SettlementUnfinished(ErrorEvent):
    """An attempt could not be finished, usually a settlement; it is tried again."""

    error: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RowNotRequeued(WarningEvent):
    """A job was handed back, but its row still says processing."""

    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JobAbandoned(WarningEvent):
    """Another worker has the job, or may have it; this one stops working on it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobLeftToRecovery(WarningEvent):
    """
    Redis was unavailable while this worker stopped; the job is recovered when the worker's lease
    ends.
    """


# --------------------------------------------------------------------------------- purchases


@dataclass(frozen=True, slots=True, kw_only=True)
class PurchaseStarted(Event):
    """A paid call is being sent: it has its rate limit permit and is in the journal."""

    provider: str
    model: str
    number: int
    waited_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewStarted(Event):
    """A preview is being made: nothing is bought and no permit is needed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageCallAnswered(Event):
    """An image API answered with a picture or an error; `status` is the HTTP status."""

    provider: str
    model: str
    status: int
    vendor_request_id: str | None
    took_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversationsRefused(ErrorEvent):
    """OpenAI refuses conversations; for an hour lost purchases cannot be found."""

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
    of docs/checks.md, comma separated; `action` is flagged, refused, bought_again or failed.
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
    """
    The answer to a paid call was lost, and its picture was fetched later; nothing is bought again.
    """

    provider: str
    model: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PurchaseLost(WarningEvent):
    """A paid call, the job's `number`-th, ended without an answer and may have been billed."""

    provider: str
    model: str
    number: int
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PicturesLeftOut(WarningEvent):
    """A job has more pictures than any model accepts; the last accessories are left out."""

    given: int
    sent: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPictureFound(Event):
    """The picture of this session is already stored; none is bought."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadFailed(WarningEvent):
    """
    A bought picture could not be stored because storage or Redis was unavailable; retries go on for
    `left_s`.
    """

    left_s: int
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LatePictureKept(WarningEvent):
    """
    A bought picture arrived after its session had ended. It is stored under the result's path for a
    person, unless there is a picture already; row and credit are unchanged.
    """

    is_stored: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldPictureFound(Event):
    """
    A bought picture of this session was held in Redis while storage was unavailable; none is
    bought.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureNotStored(ErrorEvent):
    """A bought picture could not be stored; the job fails after this one purchase."""

    error: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageModelUnavailable(ErrorEvent):
    """This model is not available to us; the next one in the list is used."""

    model: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerOpened(ErrorEvent):
    """Calls are halted because none would succeed; jobs wait until a probe succeeds."""

    breaker: str
    reason: str
    probe_after_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerClosed(WarningEvent):
    """A probe succeeded; calls resume."""

    breaker: str


# ---------------------------------------------------------------------------------- recovery


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageNotSent(WarningEvent):
    """Redis did not accept the message of a released job; it is ready again after its deadline."""

    session_id: str
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PayloadsReturned(WarningEvent):
    """Payloads taken by dead consumers are back on the platform's list."""

    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class JobsRecovered(WarningEvent):
    """Jobs are ready again because their worker died or breakers held them back for too long."""

    orphaned: int
    expired: int
    workers_lost: int


@dataclass(frozen=True, slots=True, kw_only=True)
class JobsUnclaimed(WarningEvent):
    """No worker claimed these released jobs before their deadline; they are ready again."""

    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OrphanAdopted(WarningEvent):
    """An open row without a job got one, so that a worker fails it and settles its credit."""

    session_id: str
    status: str
