"""
Jobs of all four credit kinds over Supabase: real PostgreSQL and PostgREST, real worker processes.

    python -m benchmarks.bench_supabase [--jobs 60]

A third of the jobs fail, in different ways. Prints the ledger's balances before and after, the
refunds for each kind of failure, whether the totals agree, and how many calls a success takes. Exit
code 1 when a credit is wrong, or when our book of purchases and the image API's differ.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
from redis import Redis

from devkit.chaos.books import book_rows
from devkit.load import photo_server
from devkit.machine import machine
from devkit.servers.image_api import KEY
from devkit.servers.image_api_process import ImageApiProcess
from devkit.servers.platform import KINDS, WAYS, Job, Platform
from devkit.servers.redis_server import RedisServer
from devkit.servers.supabase import SERVICE_KEY, SupabaseServer
from devkit.usage import Usage
from devkit.workers import workers
from wearon_cli.adapters.redis.keys import TASK_LIST

WITHIN_S = 120.0
BURST = 200
BURST_LATENCY_S = 10.0


@contextmanager
def watched_workers(environment: dict[str, str], log: Path) -> Iterator[Usage]:
    """`wearon consume` and `wearon celery`, as on a host."""
    with (
        workers(environment, log) as processes,
        Usage(*(psutil.Process(each.pid) for each in processes)).watching() as usage,
    ):
        yield usage


def throughput(platform: Platform, queue: Redis, api: ImageApiProcess, usage: Usage) -> list[str]:
    """A burst that fills the workers: the throughput with Supabase."""
    api.rules(faults=[], latency=str(BURST_LATENCY_S))
    api.reset()
    jobs = platform.orders(BURST)
    cpu_s, begun_s = usage.cpu_s(), time.monotonic()
    for job in jobs:
        queue.lpush(TASK_LIST, job.payload)
    await_all(platform, jobs)
    took_s = time.monotonic() - begun_s - 2  # the wait for refunds
    book = api.book()
    return [
        f"\nburst of {BURST}, image API {BURST_LATENCY_S:g} s, limit 600 a minute",
        f"jobs a minute               {len(jobs) / took_s * 60:6.0f}",
        f"most in flight              {book['most_in_flight']:6}",
        f"CPU-seconds a job           {(usage.cpu_s() - cpu_s) / len(jobs):6.3f}",
        f"peak memory of the workers  {usage.peak_mb:6.0f} MB   (wanted: at most 650)",
        *(f"  {role:<25} {size_mb:6.0f} MB" for role, size_mb in usage.peak_by_role_mb.items()),
    ]


def await_all(platform: Platform, jobs: list[Job]) -> dict[str, str]:
    give_up_s = time.monotonic() + WITHIN_S
    while not set((statuses := platform.statuses(jobs)).values()) <= {"completed", "failed"}:
        if time.monotonic() > give_up_s:
            raise SystemExit(f"not all done: {Counter(statuses.values())}")
        time.sleep(0.5)
    time.sleep(2)  # a refund follows its row
    return statuses


def report(
    jobs: list[Job], statuses: dict[str, str], before: dict[str, int], after: dict[str, int]
) -> bool:
    """Print the table; returns True when every credit is correct."""
    print(f"{'kind':<9} {'jobs':>5} {'completed':>10} {'failed':>7} {'owed back':>10}")
    owed = Counter[str]()
    for kind in KINDS:
        mine = [statuses[job.session_id] for job in jobs if job.kind == kind]
        owed[kind] = 0 if kind == "overage" else mine.count("failed")
        print(
            f"{kind:<9} {len(mine):>5} {mine.count('completed'):>10} "
            f"{mine.count('failed'):>7} {owed[kind]:>10}"
        )
    spent = {
        "user": sum(j.kind == "b2c" for j in jobs) - owed["b2c"],
        "store": sum(j.kind == "absorb" for j in jobs) - owed["absorb"],
        "shopper's store": 0,
        "shopper": sum(j.kind == "resell" for j in jobs) - owed["resell"],
    }
    print(f"\n{'balance of':<16} {'before':>7} {'after':>7} {'should be':>10}")
    for name in before:
        print(f"{name:<16} {before[name]:>7} {after[name]:>7} {before[name] - spent[name]:>10}")
    wrong_end = [job for job in jobs if (statuses[job.session_id] == "failed") != bool(job.fails)]
    for job in wrong_end:
        print(f"{job.kind} {job.fails or 'good'} ended {statuses[job.session_id]}")
    return not wrong_end and all(after[n] == before[n] - spent[n] for n in before)


def books_agree(redis_url: str, api: ImageApiProcess) -> bool:
    """Print the pictures bought by our book and by the image API's; True when they are equal."""
    ours = Counter[str]()
    for row in asyncio.run(book_rows(redis_url)):
        ours[row.outcome] += row.count
    billed = int(api.book()["billed"])
    print(f"\npictures bought             {ours.total():6} by our book {dict(ours)}")
    print(f"                            {billed:6} by the image API's")
    return ours.total() == billed


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """Everything that runs, except the workers."""

    server: SupabaseServer
    api: ImageApiProcess
    redis_url: str
    platform: Platform
    environment: dict[str, str]  # of the workers
    log: Path


@contextmanager
def services() -> Iterator[Bench]:
    """The services that the workers need, and the platform."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = stack.enter_context(SupabaseServer())
        redis = RedisServer(folder)
        redis.start()
        stack.callback(redis.stop)
        api = stack.enter_context(ImageApiProcess(latency="0.2-0.6"))
        photos = stack.enter_context(photo_server())
        environment = {
            "REDIS_URL": redis.url,
            "SUPABASE_URL": server.url,
            "SUPABASE_SERVICE_ROLE_KEY": SERVICE_KEY,
            "OPENAI_API_KEY": KEY,
            "OPENAI_BASE_URL": api.base_url,
            "WEARON_FETCH_ORIGINS": photos,
            "WEARON_REQUESTS_PER_MINUTE": "600",
        }
        yield Bench(
            server=server,
            api=api,
            redis_url=redis.url,
            platform=Platform(server, photos),
            environment=environment,
            log=folder / "workers.log",
        )


def all_kinds(bench: Bench, queue: Redis, *, count: int) -> bool:
    """Jobs of all kinds of credit, a third of which fail; returns True when it adds up."""
    platform = bench.platform
    before = platform.balances()
    jobs = [
        platform.order(KINDS[n % 4], WAYS[n // 3 % 3] if n % 3 == 0 else "") for n in range(count)
    ]
    refused = [job.session_id for job in jobs if job.fails == "refused"]
    bench.api.rules(faults=[{"name": "moderation_input", "session": each} for each in refused])
    for job in jobs:
        queue.lpush(TASK_LIST, job.payload)
    return report(jobs, await_all(platform, jobs), before, platform.balances())


def calls_of_successes(bench: Bench, queue: Redis) -> list[str]:
    """Which calls to Supabase a completed job takes."""
    bench.server.door.clear()
    jobs = bench.platform.orders(20)
    for job in jobs:
        queue.lpush(TASK_LIST, job.payload)
    await_all(bench.platform, jobs)
    calls = [line for line in bench.server.door.seen if "select=" not in line]
    took_ms = sum(bench.server.door.took_s) / len(jobs) * 1000
    per_job = Counter(line.partition(" ")[0] + " " + _thing(line) for line in calls)
    return [
        f"\ncalls of a success          {len(calls) / len(jobs):6.2f}   (wanted: at most 6)",
        *(f"  {name:<34} {count / len(jobs):5.2f}" for name, count in per_job.most_common()),
        f"time of them, at the server {took_ms:6.1f} ms",
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--jobs", type=int, default=60)
    told = parser.parse_args()
    print(machine())
    with (
        services() as bench,
        watched_workers(bench.environment, bench.log) as usage,
        Redis.from_url(bench.redis_url) as queue,
    ):
        adds_up = all_kinds(bench, queue, count=told.jobs)
        calls = calls_of_successes(bench, queue)
        adds_up = books_agree(bench.redis_url, bench.api) and adds_up
        speed = throughput(bench.platform, queue, bench.api, usage)
        twice = sum(n > 1 for n in bench.api.book()["purchases"].values())
    print("\n".join([*calls, f"pictures bought twice       {twice}", *speed]))
    print("credits and purchases add up" if adds_up else "CREDITS OR PURCHASES DO NOT ADD UP")
    return int(not adds_up)


def _thing(line: str) -> str:
    path = line.partition(" ")[2].removeprefix("/rest/v1/").removeprefix("/storage/v1/")
    return "/".join(path.split("/")[:2])


if __name__ == "__main__":
    sys.exit(main())
