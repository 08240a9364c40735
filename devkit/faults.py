"""Injects failures in front of real parts."""

from collections.abc import Callable
from typing import Any


class Faulty:
    """
    A real port whose chosen methods fail.

    The constructor's arguments name them: an error is raised instead of the call; a function is
    awaited with the real method and the call's arguments.
    """

    def __init__(self, port: Any, **faults: BaseException | Callable[..., Any]) -> None:
        self._port = port
        self._faults = faults

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._port, name)
        fault = self._faults.get(name)
        if fault is None:
            return method

        async def faulty(*args: Any, **kwargs: Any) -> Any:
            if isinstance(fault, BaseException):
                raise fault
            return await fault(method, *args, **kwargs)

        return faulty


class Crash(BaseException):
    """The process was killed."""


class Fuse:
    """Counts steps to the outside and crashes at the chosen one, before or after it happens."""

    def __init__(self) -> None:
        self.steps = 0
        self.crash_at: int | None = None
        self.crash_in: str | None = None  # the first step of this name
        self.after = False
        self.burnt = ""  # the step at which it crashed

    def wrap(self, port: Any) -> Any:
        return _Fused(port, self)

    def burn(self, step: str) -> bool:
        """True when this step is the last."""
        self.steps += 1
        is_last = self.steps == self.crash_at or step == self.crash_in
        if is_last:
            self.burnt = step
        return is_last


class _Fused:
    def __init__(self, port: Any, fuse: Fuse) -> None:
        self._port = port
        self._fuse = fuse

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._port, name)
        if not callable(method) or name == "renew":  # renewals run during the job, at any time
            return method

        async def fused(*args: Any, **kwargs: Any) -> Any:
            last = self._fuse.burn(name)
            if last and not self._fuse.after:
                raise Crash
            try:
                return await method(*args, **kwargs)
            finally:
                if last:
                    raise Crash

        return fused
