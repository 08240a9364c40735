"""
Every failure this project plans for, in one tree.

Codes and exit codes are public (docs/errors.md) and pinned by tests/unit/test_errors.py.
`reaction` says what a worker does with the job.

    WearonError                    1
    ├── ConfigError                3   a setting is missing or wrong
    ├── InputError                 4   the input cannot be used
    │   ├── TaskInvalid            4   dead-letter, never retried
    │   ├── ConsentMissing         4   it needs confirmation
    │   ├── ChartUnusable          4   a size chart is wrong, or cannot size this garment
    │   └── PictureProblem         4   the picture is the problem: settle, tell the shopper
    │       ├── PictureUnusable        not a picture, truncated, wrong kind, too many pixels
    │       │   ├── PictureTooHeavy    reading it takes more memory than one picture may
    │       │   └── PixelWorkDied      the process that read it died, or was killed for slowness
    │       ├── PictureTooLarge        more bytes than allowed
    │       ├── PictureUnavailable     the link does not serve it (gone, expired)
    │       ├── PictureForbidden       the link points to a forbidden address
    │       ├── PhotoRefused           a picture, but no body or try-on can be made of it
    │       └── NotDressable           a preview of these two would mislead: it shows both instead
    ├── SessionError               5
    │   ├── SessionNotFound        5   no such row in either table
    │   ├── SessionFinal           5   already completed or failed
    │   ├── SessionRunning         5   a worker is running it right now
    │   ├── LetterNotFound         5   no such dead letter
    │   ├── NoCreditLeft           5   the owner has no credit to take
    │   ├── NeedsAPerson           5   sessions do not fit their credits, pictures or jobs
    │   └── LeaseLost              5   another worker holds this job now: do nothing more
    ├── UpstreamError              6   a service we call failed
    │   ├── MeasuringUnavailable       no pose model yet, or too many photos waiting
    │   ├── QueueUnavailable           Redis does not answer
    │   ├── StoreUnavailable           Supabase (or the local store) does not answer
    │   ├── StoreRefused               it refuses: schema, key or data
    │   │   ├── RefundRefused          the ledger refuses a refund: parked for a person
    │   │   ├── StorageRefused         it refuses to store a picture
    │   │   └── ObjectNotFound         no such object in storage
    │   ├── FetchFailed                an input picture could not be fetched
    │   └── GeneratorError
    │       ├── RateLimited            wait as asked, keep the credit
    │       │   └── CallsHalted        the circuit breaker is open
    │       ├── GeneratorFault         it answered with a fault: repeat, bounded
    │       ├── GeneratorUnreachable   the request never left: free to repeat
    │       ├── CallAmbiguous          sent, outcome unknown: may have been billed
    │       ├── PurchaseUnresolved     bought, and not fetched yet: ask again, do not buy
    │       ├── GenerationRefused      the safety system said no: settle
    │       ├── RequestRejected        it cannot use what we sent: settle
    │       ├── ResultRefused          what it drew failed our check: settle
    │       ├── ModelUnavailable       model retired or no access: next model
    │       └── AccountBlocked         key, money, verification: stop calling, alarm
    ├── JobGaveUp                  7   attempts or longest wait used up: settle, dead-letter
    │   ├── JobTooOld              7   the platform takes such a session back itself: not bought
    │   └── JobOrphaned            7   an open row without a job: settle
    ├── TryOnFailed                7   how operator commands report a failed session
    ├── Unhealthy                  1   a check of `wearon doctor` failed
    ├── RoleFailed                 8   a role of `wearon all` cannot be kept running
    ├── NoPermit                   7   no permit in time: back to the queue
    └── Interrupted              130   stopped by the operator: back to the queue
"""

from collections.abc import Iterator
from enum import Enum
from typing import ClassVar, Self

from wearon_cli.core.vendor_answer import VendorAnswer


class Reaction(Enum):
    """What the worker does with a job that met this error."""

    SETTLE = "settle"  # final: fail the row, give the credit back
    REPEAT = "repeat"  # again after a pause, counted and bounded
    WAIT = "wait"  # again when due; not counted, bounded by the job's longest wait
    HALT = "halt"  # no job would succeed: open the circuit breaker, keep the job
    YIELD = "yield"  # back to the queue, not counted as an attempt
    DROP = "drop"  # another worker has the job: change nothing


class WearonError(Exception):
    """The requested operation failed."""

    #: Public name of this class of error, in JSON, logs and metrics. It never changes.
    code: ClassVar[str] = "wearon_error"
    exit_code: ClassVar[int] = 1
    reaction: ClassVar[Reaction] = Reaction.SETTLE
    #: What the shopper reads in `error_message`. Plain words, without cause or address.
    shopper_message: str = "Something went wrong on our side. Please try again."

    def __init__(self, detail: str = "", *, hint: str = "") -> None:
        super().__init__(detail or (type(self).__doc__ or type(self).__name__).strip())
        self.hint = hint


class ConfigError(WearonError):
    """A setting is missing or wrong."""

    code = "config_error"
    exit_code = 3


class InputError(WearonError):
    """The input cannot be used."""

    code = "input_error"
    exit_code = 4


class TaskInvalid(InputError):
    """The job's payload does not follow the queue contract."""

    code = "task_invalid"


class ConsentMissing(InputError):
    """This action needs confirmation and was not confirmed."""

    code = "consent_missing"


class ChartUnusable(InputError):
    """The size chart cannot be used."""

    code = "chart_unusable"


class PictureProblem(InputError):
    """There is a problem with a picture."""

    code = "picture_problem"
    shopper_message = "One of the photos could not be used. Please try again with other photos."


class PictureUnusable(PictureProblem):
    """This is not a supported picture."""

    code = "picture_unusable"
    shopper_message = "One of the photos could not be read. Please use a JPEG, PNG or WebP photo."


class PictureTooHeavy(PictureUnusable):
    """Reading this picture takes more memory than allowed."""

    code = "picture_too_heavy"
    shopper_message = "One of the photos is too large. Please use a smaller one."


class PixelWorkDied(PictureUnusable):
    """The process that read this picture died."""

    code = "pixel_work_died"


class PictureTooLarge(PictureProblem):
    """The picture is larger than allowed."""

    code = "picture_too_large"
    shopper_message = "One of the photos is too large. Please use a smaller one."


class PictureUnavailable(PictureProblem):
    """The picture is no longer available at its link."""

    code = "picture_unavailable"
    shopper_message = "One of the photos is no longer available. Please upload it again."


class PictureForbidden(PictureProblem):
    """The picture's link points to an address that is not allowed."""

    code = "picture_forbidden"
    shopper_message = "One of the photos could not be loaded. Please upload it again."


class PhotoRefused(PictureProblem):
    """This photo cannot be used."""

    code = "photo_refused"

    def __init__(
        self,
        detail: str = "",
        *,
        hint: str = "",
        reason: str = "no_person",
        shopper_message: str | None = None,
    ) -> None:
        super().__init__(detail, hint=hint)
        self.reason = reason
        if shopper_message:
            self.shopper_message = shopper_message


class NotDressable(PictureProblem):
    """A preview cannot dress this person in this garment."""

    code = "not_dressable"


class SessionError(WearonError):
    """The session is not in a state that allows this."""

    code = "session_error"
    exit_code = 5


class SessionNotFound(SessionError):
    """There is no such session."""

    code = "session_not_found"


class SessionFinal(SessionError):
    """The session is already completed or failed."""

    code = "session_final"
    reaction = Reaction.DROP


class SessionRunning(SessionError):
    """A worker is running this session right now."""

    code = "session_running"


class LetterNotFound(SessionError):
    """There is no such dead letter."""

    code = "letter_not_found"


class NoCreditLeft(SessionError):
    """There is no credit left."""

    code = "no_credit_left"


class NeedsAPerson(SessionError):
    """Some cases need a person."""

    code = "needs_a_person"


class LeaseLost(SessionError):
    """Another worker has the lease on this job now."""

    code = "lease_lost"
    reaction = Reaction.DROP


class UpstreamError(WearonError):
    """A service we call failed."""

    code = "upstream_error"
    exit_code = 6
    reaction = Reaction.REPEAT
    shopper_message = "Our service was too busy. Please try again later."


class MeasuringUnavailable(UpstreamError):
    """Bodies cannot be measured right now."""

    code = "measuring_unavailable"

    def __init__(self, detail: str = "", *, hint: str = "", retry_after_s: float = 1.0) -> None:
        super().__init__(detail, hint=hint)
        self.retry_after_s = retry_after_s


class QueueUnavailable(UpstreamError):
    """Redis does not answer."""

    code = "queue_unavailable"
    reaction = Reaction.WAIT


class StoreUnavailable(UpstreamError):
    """The session store does not answer."""

    code = "store_unavailable"
    reaction = Reaction.WAIT

    def __init__(self, detail: str = "", *, hint: str = "", unsent: bool = False) -> None:
        super().__init__(detail, hint=hint)
        self.unsent = unsent  # the request was not sent: a write certainly did not happen


class StoreRefused(UpstreamError):
    """The session store refused the request."""

    code = "store_refused"

    def __init__(self, detail: str = "", *, hint: str = "", vendor_code: str = "") -> None:
        super().__init__(detail, hint=hint)
        self.vendor_code = vendor_code


class RefundRefused(StoreRefused):
    """The ledger refused a refund."""

    code = "refund_refused"


class StorageRefused(StoreRefused):
    """Picture storage refused a picture."""

    code = "storage_refused"
    reaction = Reaction.SETTLE


class ObjectNotFound(StoreRefused):
    """There is no such object in storage."""

    code = "object_not_found"


class FetchFailed(UpstreamError):
    """A picture could not be fetched."""

    code = "fetch_failed"
    reaction = Reaction.WAIT  # its host is down: the photo itself may be fine


class GeneratorError(UpstreamError):
    """The image generator failed."""

    code = "generator_error"
    #: What it answered, if it did.
    vendor: VendorAnswer | None = None

    def told_by(self, vendor: VendorAnswer) -> Self:
        """This error, with what the image generator answered."""
        self.vendor = vendor
        return self


class RateLimited(GeneratorError):
    """The image generator asks us to slow down."""

    code = "rate_limited"
    reaction = Reaction.WAIT

    def __init__(self, detail: str = "", *, hint: str = "", retry_after_s: float = 0.0) -> None:
        super().__init__(detail, hint=hint)
        self.retry_after_s = retry_after_s


class CallsHalted(RateLimited):
    """Calls to the image generator are halted for now."""

    code = "calls_halted"


class GeneratorFault(GeneratorError):
    """The image generator failed with an internal error."""

    code = "generator_fault"

    def __init__(self, detail: str = "", *, hint: str = "", retry_after_s: float = 0.0) -> None:
        super().__init__(detail, hint=hint)
        self.retry_after_s = retry_after_s  # 0: no pause was asked for


class GeneratorUnreachable(GeneratorError):
    """Could not connect to the image generator."""

    code = "generator_unreachable"
    reaction = Reaction.WAIT


class CallAmbiguous(GeneratorError):
    """A paid call was sent and its outcome is unknown."""

    code = "call_ambiguous"


class PurchaseUnresolved(GeneratorError):
    """A picture was bought and cannot be fetched yet."""

    code = "purchase_unresolved"
    reaction = Reaction.WAIT

    def __init__(self, detail: str = "", *, hint: str = "", retry_after_s: float = 0.0) -> None:
        super().__init__(detail, hint=hint)
        self.retry_after_s = retry_after_s  # until the provider should be asked again; 0: unknown


class GenerationRefused(GeneratorError):
    """The image generator's safety system refused these pictures."""

    code = "generation_refused"
    reaction = Reaction.SETTLE
    shopper_message = "These photos could not be processed. Please try again with other photos."


class RequestRejected(GeneratorError):
    """The image generator cannot use this request."""

    code = "request_rejected"
    reaction = Reaction.SETTLE
    shopper_message = PictureProblem.shopper_message


class ResultRefused(GeneratorError):
    """The generated picture failed its check."""

    code = "result_refused"
    reaction = Reaction.SETTLE
    shopper_message = "The picture did not turn out well. Please try again."


class ModelUnavailable(GeneratorError):
    """This image model is retired, or the key has no access to it."""

    code = "model_unavailable"
    reaction = Reaction.HALT


class AccountBlocked(GeneratorError):
    """The image generator rejected our account: key, billing or verification."""

    code = "account_blocked"
    reaction = Reaction.HALT


class JobGaveUp(WearonError):
    """The job used up its attempts or waited too long."""

    code = "job_gave_up"
    exit_code = 7
    shopper_message = UpstreamError.shopper_message


class JobTooOld(JobGaveUp):
    """The session waited so long that the platform refunds it."""

    code = "job_too_old"


class JobOrphaned(JobGaveUp):
    """An open session has no job: it was lost before it reached this worker."""

    code = "job_orphaned"


class TryOnFailed(WearonError):
    """The try-on failed."""

    code = "try_on_failed"
    exit_code = 7


class Unhealthy(WearonError):
    """Something the worker needs does not work."""

    code = "unhealthy"


class RoleFailed(WearonError):
    """A role cannot be kept running."""

    code = "role_failed"
    exit_code = 8


class NoPermit(WearonError):
    """The rate limit did not allow the call in time."""

    code = "no_permit"
    exit_code = 7
    reaction = Reaction.YIELD


class Interrupted(WearonError):
    """Stopped before the end."""

    code = "interrupted"
    exit_code = 130
    reaction = Reaction.YIELD


def error_named(code: str) -> WearonError:
    """An error of the class with this code, with its default message; otherwise a `WearonError`."""
    errors = (kind() for kind in error_classes())
    return next((error for error in errors if error.code == code), WearonError())


def error_classes(root: type[WearonError] = WearonError) -> Iterator[type[WearonError]]:
    """Every class of the tree."""
    yield root
    for below in root.__subclasses__():
        yield from error_classes(below)
