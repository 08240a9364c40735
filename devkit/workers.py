"""Worker processes, jobs pushed to them, and waiting for their end."""

import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from redis import Redis

from devkit.servers.platform import Job, Platform
from devkit.servers.redis_server import RedisServer
from wearon_cli.core.contract import TASK_LIST
from wearon_cli.runtime.events import WorkerReady

WITHIN_S = 60.0


@contextmanager
def workers(environment: dict[str, str], log: Path) -> Iterator[None]:
    with log.open("wb") as out:
        processes = [
            subprocess.Popen(
                [sys.executable, "-m", "wearon_cli", role],
                env={**os.environ, **environment},
                stdout=out,
                stderr=out,
            )
            for role in ("consume", "celery")
        ]
        try:
            yield
        finally:
            for process in processes:
                process.terminate()
            for process in processes:
                assert process.wait(timeout=30) == 0, log.read_text("utf-8")


def push(redis: RedisServer, jobs: Sequence[Job]) -> None:
    with Redis.from_url(redis.url) as queue:
        for job in jobs:
            queue.lpush(TASK_LIST, job.payload)


def ended(platform: Platform, jobs: Sequence[Job]) -> dict[str, str]:
    give_up_s = time.monotonic() + WITHIN_S
    while not set((statuses := platform.statuses(jobs)).values()) <= {"completed", "failed"}:
        assert time.monotonic() < give_up_s, Counter(statuses.values())
        time.sleep(0.2)
    return statuses


def another_worker(
    environment: dict[str, str], log: Path, stack: ExitStack
) -> subprocess.Popen[bytes]:
    """One more worker, ready; ended with the stack."""
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "wearon_cli", "celery"],
            env={**os.environ, **environment},
            stdout=out,
            stderr=out,
        )
    stack.callback(process.wait)
    stack.callback(process.terminate)
    give_up_s = time.monotonic() + 30
    while WorkerReady.name() not in log.read_text("utf-8"):
        assert time.monotonic() < give_up_s, log.read_text("utf-8")
        time.sleep(0.1)
    return process
