"""
A pixel process: reads jobs from its standard input, answers on its standard output.

Started by `processes` as `python -m wearon_cli.adapters.pixels.child PARENT_PID BYTES JOBS`. It has
no secrets and no connections, and ends when its worker does.
"""

import ctypes
import importlib
import os
import resource
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, Final

from wearon_cli.adapters.pixels.frames import receive, send
from wearon_cli.adapters.pixels.jobs import Job
from wearon_cli.core.errors import PictureProblem, PictureTooHeavy

#: Linux: request a signal when the parent dies (prctl(2)).
_PR_SET_PDEATHSIG: Final = 1
#: When memory runs out in this container or host, the kernel takes a pixel process first: higher
#: is sooner, 1000 the highest.
_OOM_SCORE_ADJ: Final = "500"


def main() -> None:
    """Serve until the worker is gone."""
    parent_pid, memory_bytes, table = sys.argv[1:]
    _end_with(int(parent_pid))
    _ignore_stop_signals()
    requests, answers = _private_pipes()
    jobs: Mapping[str, Job] = importlib.import_module(table).JOBS
    _limit_memory(int(memory_bytes))
    with suppress(BrokenPipeError):  # the worker ended meanwhile
        send(answers, {"ready": True})
        while (request := receive(requests)) is not None:
            send(answers, {"begun": True})
            send(answers, *_answer(jobs, *request))
    os._exit(0)  # nothing to clean up; skips flushing a pipe that nobody reads


def _end_with(parent_pid: int) -> None:
    """
    Be killed when the worker is gone, even in the middle of a picture.

    Only Linux has such a signal. Elsewhere the process notices the end of standard input when the
    current picture is done.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        with suppress(OSError):
            Path("/proc/self/oom_score_adj").write_text(_OOM_SCORE_ADJ, encoding="ascii")
    if os.getppid() != parent_pid:  # it ended before that was asked for
        os._exit(0)


def _ignore_stop_signals() -> None:
    """A draining worker still needs its pictures; it ends its pixel processes itself."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def _private_pipes() -> tuple[BinaryIO, BinaryIO]:
    """The pipes to the worker. Whatever a library prints goes to standard error."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return sys.stdin.buffer, answers


def _limit_memory(memory_bytes: int) -> None:
    """
    Make allocations above this limit fail, and leave no core dump of a photo.

    RLIMIT_DATA counts what the process can write to, not the libraries it maps, so it needs no
    allowance for numpy's or a model's code. macOS ignores it: there only the budget of
    `core/pictures/budget.py` and the time limit apply.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        resource.setrlimit(resource.RLIMIT_DATA, (memory_bytes, memory_bytes))


def _answer(
    jobs: Mapping[str, Job], note: dict[str, Any], data: bytes
) -> tuple[dict[str, Any], bytes]:
    try:
        return jobs[note["job"]](data, **note["args"])
    except PictureProblem as exc:
        return {"error": exc.code, "detail": str(exc), "hint": exc.hint}, b""
    except MemoryError:
        return {"error": PictureTooHeavy.code, "detail": "", "hint": "send a smaller one"}, b""
    except Exception as exc:  # noqa: BLE001 - told to the worker, which logs it
        return {"unexpected": type(exc).__name__, "at": _place(exc)}, b""


def _place(exc: Exception) -> str:
    """File and line where it was raised, for the log."""
    last = exc.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    return f"{Path(last.tb_frame.f_code.co_filename).name}:{last.tb_lineno}" if last else ""


if __name__ == "__main__":
    main()
