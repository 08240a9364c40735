"""Worker processes, jobs pushed to them, and waiting for their end."""

import subprocess
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from redis import Redis

from devkit.processes import started
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
    consumer = started("consume", environment=environment, log=log)
    worker = started("celery", environment=environment, log=log)
    try:
        yield consumer, worker
    finally:
        for process in (consumer, worker):
            process.terminate()
        for process in (consumer, worker):
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
    process = started("celery", environment=environment, log=log)
    stack.callback(process.wait)
    stack.callback(process.terminate)
    ready = WorkerReady.name()
    until(lambda: ready in log.read_text("utf-8"), found=lambda: log.read_text("utf-8"))
    return process
