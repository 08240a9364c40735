"""Log events of pixel work."""

from dataclasses import dataclass

from wearon_cli.core.events import ErrorEvent, WarningEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class PixelProcessDied(WarningEvent):
    """
    A pixel process died or was killed; a new one is started. A negative `exit_code` is a signal.
    """

    job: str
    reason: str
    exit_code: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PixelProcessNotStarted(ErrorEvent):
    """No pixel process could be started; pictures wait until the retry after `pause_s`."""

    kind: str
    pause_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PixelWorkFailed(ErrorEvent):
    """Pixel work ended with an unexpected error, raised at this file and line."""

    job: str
    kind: str
    at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureNotSigned(ErrorEvent):
    """A picture could not be signed and was stored without content credentials."""

    detail: str
