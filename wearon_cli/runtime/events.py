"""Log events of processes: consumer, worker, HTTP server, and the supervisor of them all."""

from dataclasses import dataclass

from wearon_cli.core.events import ErrorEvent, Event, WarningEvent

# ---------------------------------------------------------------------------------- consumer


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsumerReady(Event):
    """`wearon consume` started taking payloads."""

    consumer_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OutageMet(WarningEvent):
    """Redis or the database did not answer during a pass of the consumer; the pass is repeated."""

    error: str
    detail: str
    pause_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class IntakeNotReturned(WarningEvent):
    """A stopping consumer could not put its payloads back; another one will."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsumerStopped(Event):
    """`wearon consume` has stopped."""


# ------------------------------------------------------------------------------------ worker


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerReady(Event):
    """`wearon celery` started, with up to `concurrency` jobs at once."""

    concurrency: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimFailed(WarningEvent):
    """Redis was unavailable at a claim; the claim is retried."""

    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JobAwaited(WarningEvent):
    """A job that an operator runs in this process cannot run now; it is retried."""

    session_id: str
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageUnreadable(WarningEvent):
    """Something in Celery's queue was not a message; it was dropped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DrainStarted(Event):
    """A worker takes no more jobs; running ones have `within_s` to finish."""

    jobs: int
    within_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class JobsHandedBack(WarningEvent):
    """The drain time is over; unfinished jobs go back to the queue."""

    jobs: int
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerFoundUnresponsive(ErrorEvent):
    """Celery messages wait and this worker takes none although it has free slots; it exits."""

    in_flight: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerStopped(Event):
    """`wearon celery` has stopped."""

    exit_code: int


# -------------------------------------------------------------------------------------- HTTP


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerReady(Event):
    """`wearon serve` is listening."""

    host: str
    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpOpenToAll(WarningEvent):
    """The server listens beyond this machine without authentication."""

    detail: str
    hint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WebReady(Event):
    """`wearon web` is listening. The token in its address is never logged."""

    host: str
    port: int
    allow_actions: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class WebOpenToOthers(WarningEvent):
    """`wearon web` listens beyond this machine, without encryption."""

    detail: str
    hint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WebLoginOpened(Event):
    """A browser logged in to `wearon web` with its token."""

    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WebRequestRefused(WarningEvent):
    """`wearon web` rejected a request; `reason` says why."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WebActionDone(Event):
    """An operator acted on the page; `target` is a session or a dead letter."""

    action: str
    target: str
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpRequestAnswered(Event):
    """
    A request was answered; `path` is that of the route.

    Health checks and scrapes that succeed are left out.
    """

    method: str
    path: str
    status: int
    duration_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BodyMeasured(Event):
    """
    A body was measured; `photo` is the start of the photo's SHA-256, nothing else of it is kept.
    """

    photo: str
    based_on: str
    duration_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PhotoRefused(Event):
    """No body can be measured in this photo."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PoseModelMissing(WarningEvent):
    """The pose model cannot be loaded; photos are refused until it can."""

    detail: str
    hint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PoseModelLoaded(Event):
    """The pose model is loaded; photos are measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisConnected(Event):
    """The health check found that Redis answers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisLost(Event):
    """The health check found that Redis does not answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerStopped(Event):
    """`wearon serve` has stopped."""


# -------------------------------------------------------------------------------- supervisor


@dataclass(frozen=True, slots=True, kw_only=True)
class AllReady(Event):
    """Every role that `wearon all` runs is ready."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleDied(ErrorEvent):
    """A role exited unexpectedly; it is restarted unless `supervisor_gave_up` follows."""

    child: str
    exit_code: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SupervisorGaveUp(ErrorEvent):
    """A role cannot run or died too often; `wearon all` stops."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StopRequested(Event):
    """`wearon all` received a signal; the roles have `grace_s` to stop."""

    grace_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StopForced(WarningEvent):
    """`wearon all` received a second signal and kills the roles."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleKilled(ErrorEvent):
    """A role did not stop within its grace period and was killed."""

    child: str
    grace_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AllStopped(Event):
    """All roles have stopped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerLeaseLost(ErrorEvent):
    """
    This worker's lease expired; other workers have its jobs, and its own attempts are cancelled.
    """

    jobs: int
