"""`wearon all --local` as a user starts it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from wearon_cli.core.settings import Settings
from wearon_cli.runtime.all.local_stack import attached
from wearon_cli.runtime.events import AllReady

START_S, JOB_S, STOP_S = 90.0, 90.0, 90.0  # they end a hung test


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    process: subprocess.Popen[bytes]
    settings: Settings
    log: Path

    @property
    def redis_url(self) -> str:
        assert self.settings.redis_url is not None
        return self.settings.redis_url.get_secret_value()

    def lines(self) -> list[dict[str, object]]:
        text = self.log.read_text("utf-8")
        return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


@contextmanager
def stack(folder: Path, **environment: str) -> Iterator[Stack]:
    data, log = folder / "data", folder / "all.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "wearon_cli", "all", "--local", "--data-dir", str(data)],
            env={**os.environ, **environment},
            cwd=folder,
            stdout=out,
            stderr=out,
        )
    try:
        yield Stack(process=process, settings=await_ready(process, data, log), log=log)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=STOP_S)


def await_ready(process: subprocess.Popen[bytes], data: Path, log: Path) -> Settings:
    give_up_s = time.monotonic() + START_S
    while time.monotonic() < give_up_s and process.poll() is None:
        settings = attached(data)
        if settings is not None and AllReady.name() in log.read_text("utf-8"):
            return settings
        time.sleep(0.1)
    raise AssertionError(f"it did not start:\n{log.read_text('utf-8')}")
