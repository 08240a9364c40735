"""Child processes that exit when their parent does, even if it is killed, and report when they are
ready.
"""

import os
import signal
import sys
from collections.abc import Callable
from typing import Final

from wearon_cli.core.settings import Settings

#: Linux: request a signal when the parent dies (prctl(2)).
_PR_SET_PDEATHSIG: Final = 1


def dies_with_parent(number: signal.Signals) -> Callable[[], None] | None:
    """
    To run in a child between fork and exec; None on systems without it.

    The signal comes when the *thread* that started the child ends, so start children from the main
    thread. On other systems a killed parent leaves its children running.
    """
    if not sys.platform.startswith("linux"):
        return None
    import ctypes  # needed only where a child is started

    prctl = ctypes.CDLL(None, use_errno=True).prctl  # looked up before the fork

    def ask() -> None:
        prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0)

    return ask


def announcer(settings: Settings) -> Callable[[], None]:
    """Called by a role when it is ready; further calls do nothing."""
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
