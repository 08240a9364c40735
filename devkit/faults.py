"""Failures on purpose, in front of real parts."""

from collections.abc import Callable
from typing import Any


class Faulty:
    """
    A real port of which chosen methods fail.

    Args of the constructor name them: an error is raised instead of the call; a function is
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
