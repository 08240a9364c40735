"""
Pixel jobs that do what a hostile picture could make a decoder do, for `PixelProcesses(jobs=...)`.

`prepare` and `verify` are the real ones, except that a picture with `POISON` in it kills.
"""

import os
import signal
import time
from pathlib import Path
from typing import Any

from wearon_cli.adapters.pixels import jobs

#: After the end of a picture file, it makes `prepare` die.
POISON = b"poison"

Answer = tuple[dict[str, Any], bytes]


def _echo(data: bytes) -> Answer:
    return {"pid": os.getpid()}, data


def _die(data: bytes, *, number: int) -> Answer:
    os.kill(os.getpid(), number)
    return _echo(data)


def _hang(data: bytes, *, marker: str = "") -> Answer:
    if marker:
        Path(marker).touch()
    while True:
        time.sleep(60)


def _hog(data: bytes, *, size_bytes: int) -> Answer:
    return {"held": len(bytearray(size_bytes))}, data


def _fail(data: bytes) -> Answer:
    raise KeyError("a fault of this program")


def _talk_nonsense(data: bytes) -> Answer:
    for pipe in range(3, 20):  # whichever pipe leads to the worker
        try:
            os.write(pipe, b"\xff" * 64)
        except OSError:
            continue
    return _echo(data)


def _print(data: bytes) -> Answer:
    os.write(1, b"a library's notice\n")
    return _echo(data)


def _environment(data: bytes) -> Answer:
    return {"names": sorted(os.environ), "group": os.getpgid(0)}, data


def _alone(data: bytes, *, marker: str) -> Answer:
    """Whether no other job with this marker was running meanwhile."""
    try:
        Path(marker).touch(exist_ok=False)
    except FileExistsError:
        return {"alone": False}, b""
    time.sleep(0.2)
    Path(marker).unlink()
    return {"alone": True}, b""


def _prepare(data: bytes, *, max_px: int, longest_px: int) -> Answer:
    if data.endswith(POISON):
        os.kill(os.getpid(), signal.SIGSEGV)
    return jobs.JOBS["prepare"](data, max_px=max_px, longest_px=longest_px)


JOBS = {
    **jobs.JOBS,
    "echo": _echo,
    "die": _die,
    "hang": _hang,
    "hog": _hog,
    "fail": _fail,
    "talk_nonsense": _talk_nonsense,
    "print": _print,
    "environment": _environment,
    "alone": _alone,
    "prepare": _prepare,
}
