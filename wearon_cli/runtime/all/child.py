"""Child processes that end with their parent, whatever ends it, and say when they are ready."""

import ctypes
import os
import signal
import sys
from collections.abc import Callable
from typing import Final

from wearon_cli.core.settings import Settings

#: Linux: ask for a signal when the parent is gone (prctl(2)).
_PR_SET_PDEATHSIG: Final = 1


def dies_with_parent(number: signal.Signals) -> Callable[[], None] | None:
    """
    To run in a child between fork and exec; None where the system has no such thing.

    The signal comes when the *thread* that started the child ends, so start children from the main
    thread. On other systems a killed parent leaves its children running.
    """
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl  # looked up before the fork

    def ask() -> None:
        prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0)

    return ask


def announcer(settings: Settings) -> Callable[[], None]:
    """What a role calls when it is ready; repeats do nothing."""
    pipe = settings.ready_fd

    def announce() -> None:
        nonlocal pipe
        if pipe is None:
            return
        try:
            os.write(pipe, b"1")
            os.close(pipe)
        except OSError:
            pass  # the parent no longer waits
        pipe = None

    return announce
