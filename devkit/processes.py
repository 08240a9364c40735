"""Processes of the product and of Celery, started as an operator starts them."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from devkit.waiting import LONGEST_S

STOP_S = 5.0


def started(*words: str, environment: Mapping[str, str], log: Path) -> subprocess.Popen[bytes]:
    """A `wearon` process; what it says is appended to the log."""
    with log.open("ab") as out:
        return subprocess.Popen(
            [sys.executable, "-m", "wearon_cli", *words],
            env={**os.environ, **environment},
            stdout=out,
            stderr=out,
        )


def celery(*words: str, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Celery's own command over the product's queue."""
    return subprocess.run(
        [sys.executable, "-m", "celery", "-A", "wearon_cli.adapters.celery_app", *words],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=LONGEST_S,
        check=False,
    )


def stop[T: (str, bytes)](process: subprocess.Popen[T]) -> None:
    """End a server, by force when it does not end by itself."""
    process.terminate()
    try:
        process.wait(timeout=STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(timeout=STOP_S)
