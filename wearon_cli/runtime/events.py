"""Log events of processes: consumer, worker, HTTP server, and the supervisor of them all."""

from dataclasses import dataclass

from wearon_cli.core.events import ErrorEvent, Event, WarningEvent

# ---------------------------------------------------------------------------------- consumer


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsumerReady(Event):
    """`wearon consume` takes payloads."""

    consumer_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OutageMet(WarningEvent):
    """Redis or the database did not answer a pass of the consumer; it is repeated."""

    error: str
    detail: str
    pause_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class IntakeNotReturned(WarningEvent):
    """A consumer that stops could not put its payloads back; another one does it soon."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsumerStopped(Event):
    """`wearon consume` has stopped."""


# ------------------------------------------------------------------------------------ worker


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerReady(Event):
    """`wearon celery` works on up to `concurrency` jobs at once."""

    concurrency: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimFailed(WarningEvent):
    """Redis was away when a job was to be claimed: it is asked again."""

    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JobAwaited(WarningEvent):
    """A job that an operator has done in this process cannot be done now; it is tried again."""

    session_id: str
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageUnreadable(WarningEvent):
    """Something in Celery's queue was not a message; it was dropped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DrainStarted(Event):
    """A worker takes no more jobs and gives those it has `within_s` to end."""

    jobs: int
    within_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class JobsHandedBack(WarningEvent):
    """The time to drain was over: unfinished jobs are given to other workers."""

    jobs: int
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerFoundUnresponsive(ErrorEvent):
    """Celery messages wait and this worker takes none though it has room: it ends itself."""

    in_flight: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerStopped(Event):
    """`wearon celery` has stopped."""

    exit_code: int


# -------------------------------------------------------------------------------------- HTTP


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerReady(Event):
    """`wearon serve` listens."""

    host: str
    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpOpenToAll(WarningEvent):
    """The server listens beyond this machine and asks for no token."""

    detail: str
    hint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WebReady(Event):
    """`wearon web` listens. The token of its address is never logged."""

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
    """A browser brought the token of `wearon web`."""

    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WebRequestRefused(WarningEvent):
    """A request to `wearon web` came from where none should come: `reason` says from where."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WebActionDone(Event):
    """Somebody acted on the page; `target` is a session or a dead letter."""

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
    """A body was measured; `photo` is the start of the photo's SHA-256, all that is kept of it."""

    photo: str
    based_on: str
    duration_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PhotoRefused(Event):
    """No body can be measured in this photo."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PoseModelMissing(WarningEvent):
    """The pose model cannot be loaded: photos are refused until it can."""

    detail: str
    hint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PoseModelLoaded(Event):
    """The pose model is loaded: photos are measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisConnected(Event):
    """The server has found that Redis answers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisLost(Event):
    """The server has found that Redis does not answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerStopped(Event):
    """`wearon serve` has stopped."""


# -------------------------------------------------------------------------------- supervisor


@dataclass(frozen=True, slots=True, kw_only=True)
class AllReady(Event):
    """Every role that `wearon all` runs is ready."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleDied(ErrorEvent):
    """A role ended by itself; it is started again, unless `supervisor_gave_up` follows."""

    child: str
    exit_code: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SupervisorGaveUp(ErrorEvent):
    """A role cannot run, or died too often: `wearon all` stops."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StopRequested(Event):
    """`wearon all` got a signal: the roles have `grace_s` to end."""

    grace_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StopForced(WarningEvent):
    """`wearon all` got a second signal and kills the roles."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleKilled(ErrorEvent):
    """A role did not end in its grace and was killed."""

    child: str
    grace_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AllStopped(Event):
    """Every role has ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerLeaseLost(ErrorEvent):
    """This worker's lease ran out: its jobs are others' now, and their attempts here are ended."""

    jobs: int
