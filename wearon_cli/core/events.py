"""
Log events, and the one function that logs them.

Each event is a class, so its name, level and fields are defined once for logging, metrics and
docs/events.md. The classes are in `core/jobs/events.py`, `core/pictures/events.py` and
`runtime/events.py`.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Final, Literal

type Level = Literal["info", "warning", "error"]
type Observer = Callable[[Event], None]

_BEFORE_WORD: Final = re.compile(r"(?<!^)(?=[A-Z])")
#: Called with each event, in order of `observed_by`.
_observers: Final[list[Observer]] = []


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """
    Something that happened, at level info.

    A subclass says in its docstring what happened. Its fields are text, numbers, booleans or None.
    They never have the names that the log adds (`event`, `level`, `role`, `timestamp`).
    """

    level: ClassVar[Level] = "info"

    @classmethod
    def name(cls) -> str:
        """Its name in the log: `JobTaken` is `job_taken`."""
        return _BEFORE_WORD.sub("_", cls.__name__).lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class WarningEvent(Event):
    """Something that was handled and should be rare."""

    level: ClassVar[Level] = "warning"


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorEvent(Event):
    """Something that a person should check."""

    level: ClassVar[Level] = "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class ObserverFailed(ErrorEvent):
    """An event could not be counted, so a metric is too low. The caller continued."""

    observed: str
    kind: str


def emit(event: Event, *, exc_info: BaseException | None = None) -> None:
    """
    Log an event, and call the observers whatever the log level. Raises nothing.

    Args:
        event: What happened.
        exc_info: Its traceback is logged too.
    """
    for observer in tuple(_observers):
        try:
            observer(event)
        except Exception as exc:  # noqa: BLE001 - logged; the job that logs goes on
            _log(ObserverFailed(observed=event.name(), kind=type(exc).__name__), exc)
    _log(event, exc_info)


@contextmanager
def observed_by(observer: Observer) -> Iterator[None]:
    """Call `observer` with each event while the body runs, in the thread that logs it."""
    _observers.append(observer)
    try:
        yield
    finally:
        _observers.remove(observer)


def _log(event: Event, exc_info: BaseException | None) -> None:
    import structlog  # imported here, so that commands which log nothing start without it

    facts: dict[str, Any] = {each.name: getattr(event, each.name) for each in fields(event)}
    if exc_info is not None:
        facts["exc_info"] = exc_info
    getattr(structlog.get_logger(__name__), event.level)(event.name(), **facts)
