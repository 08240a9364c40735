"""Worker processes, jobs pushed to them, and waiting for their end."""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from redis import Redis

from devkit.servers.platform import Job, Platform
from devkit.servers.redis_server import RedisServer
from devkit.waiting import LONGEST_S, until
from wearon_cli.adapters.redis.keys import JOBS, TASK_LIST
from wearon_cli.runtime.events import WorkerReady


@contextmanager
def workers(
    environment: dict[str, str], log: Path
) -> Iterator[tuple[subprocess.Popen[bytes], subprocess.Popen[bytes]]]:
    """A consumer and a worker."""
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
            yield processes[0], processes[1]
        finally:
            for process in processes:
                process.terminate()
            for process in processes:
                assert process.wait(timeout=LONGEST_S) == 0, log.read_text("utf-8")


def push(redis: RedisServer, jobs: Sequence[Job]) -> None:
    with Redis.from_url(redis.url) as queue:
        for job in jobs:
            queue.lpush(TASK_LIST, job.payload)


def ended(platform: Platform, jobs: Sequence[Job]) -> dict[str, str]:
    def open_rows() -> Counter[str]:
        return Counter(platform.statuses(jobs).values()) - Counter(
            completed=len(jobs), failed=len(jobs)
        )

    until(lambda: not open_rows(), found=open_rows, every_s=0.3)  # each check starts a process
    return platform.statuses(jobs)


def none_open(redis: RedisServer) -> bool:
    """Whether the journal is empty: every credit is accounted for."""
    with Redis.from_url(redis.url) as journal:
        return not journal.zcard(JOBS)


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
    ready = WorkerReady.name()
    until(lambda: ready in log.read_text("utf-8"), found=lambda: log.read_text("utf-8"))
    return process
