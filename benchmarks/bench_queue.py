"""
The throughput of the queue alone: empty jobs through intake, release, Celery, claim and close.

    python -m benchmarks.bench_queue [--jobs 2000] [--consumers 1] [WORKERS ...]

A job is empty when its session ended before: the worker claims it, finds its row completed, and
closes it as dropped. Nothing is fetched, bought or stored; all processes are the real ones, and no
rate limit is in the way. A run of its own for each number of worker processes.

All jobs are pushed at once. On a small machine the limit is the cores, shared by Redis and every
role. Redis itself, which uses one core, could do one second over its CPU seconds per job.
"""

import argparse
import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from uuid import uuid4

import psutil
from redis import Redis

from devkit.machine import machine
from devkit.redis_use import redis_use
from devkit.usage import Usage
from wearon_cli.adapters.local.ledger import LocalLedger
from wearon_cli.adapters.local.sessions import LocalSessions
from wearon_cli.adapters.redis.keys import JOBS, TASK_LIST
from wearon_cli.core.contract import new_task
from wearon_cli.core.session import Channel, Completion, NewSession, complete, start, utc_now
from wearon_cli.core.settings import Settings
from wearon_cli.runtime.all.local_stack import environment_of, local_services
from wearon_cli.runtime.events import ConsumerReady, WorkerReady

WORKERS = (1, 2, 4, 8)
STORES = [f"00000000-0000-4000-9000-{n:012d}" for n in range(20)]
WARM_UP = 100
WITHIN_S = 300.0
LOOK_EVERY_S = 0.1
PHOTO = "https://photos.example/person.jpg"


async def ended_sessions(folder: Path, count: int) -> list[bytes]:
    """Payloads of sessions whose rows are completed."""
    with closing(LocalSessions(folder / "wearon.db")) as sessions:
        with closing(LocalLedger(folder / "wearon.db")) as ledger:
            for store_id in STORES:
                await ledger.add_store(store_id, credits=1)
        return [await _ended(sessions, STORES[n % len(STORES)]) for n in range(count)]


async def _ended(sessions: LocalSessions, owner_id: str) -> bytes:
    new = NewSession(
        session_id=str(uuid4()),
        channel=Channel.B2B,
        owner_id=owner_id,
        model_image_url=PHOTO,
        outfit_image_url=PHOTO,
        request_id=f"req_{uuid4()}",
    )
    row = await sessions.insert(new)
    await sessions.apply(row.key, start())
    done = Completion(generated_image_url=PHOTO, processing_time_ms=1, completed_at=utc_now())
    assert await sessions.apply(row.key, complete(done)) is not None
    task = new_task(
        key=row.key,
        owner_id=owner_id,
        image_urls=(PHOTO, PHOTO),
        prompt="Dress the person.",
        request_id=str(new.request_id),
    )
    return task.to_json()


@contextmanager
def roles(settings: Settings, folder: Path, names: list[str]) -> Iterator[Usage]:
    """Processes of these roles, once they are ready."""
    environment = {
        **environment_of(settings),
        "WEARON_LOG_FORMAT": "json",
        "WEARON_REQUESTS_PER_MINUTE": "1000000",
    }
    with ExitStack() as stack:
        processes, logs = [], []
        for number, role in enumerate(names):
            logs.append(folder / f"{number}.log")
            out = stack.enter_context(logs[-1].open("wb"))
            process = subprocess.Popen(
                [sys.executable, "-m", "wearon_cli", role], env=environment, stdout=out, stderr=out
            )
            stack.callback(process.wait)
            stack.callback(process.terminate)
            processes.append(psutil.Process(process.pid))
        for log in logs:
            _await_ready(log)
        yield Usage(*processes)


def _await_ready(log: Path) -> None:
    give_up_s = time.monotonic() + WITHIN_S
    ready = (ConsumerReady.name(), WorkerReady.name())
    while not any(name in log.read_text("utf-8") for name in ready):
        if time.monotonic() > give_up_s:
            raise SystemExit(f"a role did not start:\n{log.read_text('utf-8')}")
        time.sleep(LOOK_EVERY_S)


def do(redis: "Redis", payloads: list[bytes]) -> int:
    """Push these jobs and wait until all have ended. Returns how many commands this itself took."""
    give_up_s = time.monotonic() + WITHIN_S
    redis.lpush(TASK_LIST, *payloads)
    looks = 0
    while redis.llen(TASK_LIST) + redis.zcard(JOBS):
        looks += 1
        if time.monotonic() > give_up_s:
            raise SystemExit(f"{redis.zcard(JOBS)} jobs were not done in {WITHIN_S:g} s")
        time.sleep(LOOK_EVERY_S)
    return 2 * (looks + 1) + 1


def point(workers: int, consumers: int, jobs: int) -> str:
    """One line of the table."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        settings = stack.enter_context(local_services(folder / "data", host="127.0.0.1", port=0))
        assert settings.redis_url is not None
        payloads = asyncio.run(ended_sessions(folder / "data", WARM_UP + jobs))
        names = ["consume"] * consumers + ["celery"] * workers
        usage = stack.enter_context(roles(settings, folder, names))
        redis = stack.enter_context(Redis.from_url(settings.redis_url.get_secret_value()))
        do(redis, payloads[:WARM_UP])
        cpu_s, before, begun_s = usage.cpu_by_role_s(), redis_use(redis), time.monotonic()
        own = do(redis, payloads[WARM_UP:])
        took_s, use = time.monotonic() - begun_s, redis_use(redis) - before
        after_s = usage.cpu_by_role_s()
        cpu_s = {role: after_s[role] - cpu_s[role] for role in ("consume", "celery")}
    return (
        f"{workers:>7} {jobs / took_s:>7.0f} {use.cpu_s / jobs * 1000:>13.2f} "
        f"{jobs / use.cpu_s:>14.0f} {(use.count - own) / jobs:>13.1f} "
        f"{cpu_s['consume'] / jobs * 1000:>11.2f} {cpu_s['celery'] / jobs * 1000:>10.2f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("workers", type=int, nargs="*", default=WORKERS)
    parser.add_argument("--consumers", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2000)
    told = parser.parse_args()
    print(f"{machine()}; {told.jobs} jobs, {told.consumers} consume")
    print(
        f"{'workers':>7} {'jobs/s':>7} {'Redis, ms/job':>13} {'1 s of Redis':>14} "
        f"{'commands/job':>13} {'consume, ms':>11} {'celery, ms':>10}"
    )
    for workers in told.workers:
        print(point(workers, told.consumers, told.jobs), flush=True)


if __name__ == "__main__":
    main()
