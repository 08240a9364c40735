"""
The throughput of one machine: at the rate limit, with fairness, and the latency below it.

    python -m benchmarks.bench_throughput [--jobs 600] [--latency-s 40] [--checks off]

Real processes over local adapters and a loopback image API. Every job has two photos of 12
megapixels and gets a JPEG of 1024x1536.
"""

import argparse
import statistics
import threading
import time
from collections.abc import Mapping, Sequence

from devkit.load import Events, Load, ordered, under_load
from devkit.machine import machine
from devkit.redis_use import RedisUse
from devkit.usage import WORKERS

STORES = [f"00000000-0000-4000-9000-{n:012d}" for n in range(3)]
LONE_STORE = "00000000-0000-4000-9000-00000000beef"
LIMIT_PER_MINUTE = 300
#: Setting of the picture checks, with its limits: CPU-seconds per job and MB in total.
WANTED = {"on": (0.2, 900), "off": (0.13, 600)}


def saturated(jobs: int, latency_s: float, checks: str) -> None:
    """A burst of one store, and one job of another store in the middle of it."""
    with under_load(latency=str(latency_s), **_settings(checks)) as load:
        burst = ordered(load, [STORES[0]] * jobs)
        (lone,) = ordered(load, [LONE_STORE])
        begun_s, cpu_s, redis = time.monotonic(), load.usage.cpu_by_role_s(), load.redis_use()
        load.push(burst)
        later = threading.Timer(latency_s, lambda: load.push([lone]))
        later.start()
        ids = [session_id for session_id, _ in (*burst, lone)]
        events = load.await_done(ids, within_s=jobs / LIMIT_PER_MINUTE * 60 + 4 * latency_s + 60)
        cpu_s = _used(cpu_s, load.usage.cpu_by_role_s())
        book = load.api.book(calls=True)
        _report(load, book, events, ids, cpu_s, load.redis_use() - redis, checks)
        at_s = sorted(call["at_s"] for call in book["list"])
        rate = (len(at_s) - 1) / (at_s[-1] - at_s[0]) * 60
        least = _least_used(at_s)
        used = "none" if least is None else f"{least / LIMIT_PER_MINUTE:.1%}"
        print(f"image requests a minute, sustained     {rate:7.1f}   (wanted: at least 290)")
        print(f"most in any 60 s                       {book['peak_per_minute']:7d}   (limit 300)")
        print(f"least used of the limit in any 60 s    {used:>7}   (wanted: at least 97 %)")
        waited_s = events.started_s[lone[0]] - load.pushed_s[lone[0]]
        print(f"one job of another store waited        {waited_s:7.2f} s (wanted: at most 1)")
        print(f"first call after the burst began       {at_s[0] - begun_s:7.2f} s")


def _least_used(at_s: Sequence[float]) -> int | None:
    """Fewest requests in any minute entirely within the run; None: there is none."""
    starts = [t for t in at_s if t + 60 <= at_s[-1]]
    return min(sum(t <= other < t + 60 for other in at_s) for t in starts) if starts else None


def below(jobs: int, latency_s: float, per_minute: int, checks: str) -> None:
    """Random arrivals below the limit: the time that we add to the image API's own."""
    with under_load(latency=str(latency_s), **_settings(checks)) as load:
        paced = ordered(load, [STORES[n % 3] for n in range(jobs)])
        cpu_s, redis = load.usage.cpu_by_role_s(), load.redis_use()
        load.push(paced, per_minute=per_minute)
        ids = [session_id for session_id, _ in paced]
        events = load.await_done(ids, within_s=4 * latency_s + 60)
        cpu_s, redis = _used(cpu_s, load.usage.cpu_by_role_s()), load.redis_use() - redis
        _report(load, load.api.book(), events, ids, cpu_s, redis, checks)
        started = [events.started_s[i] - load.pushed_s[i] for i in ids]
        added = [events.completed_s[i] - load.pushed_s[i] - latency_s for i in ids]
        print(f"LPUSH to a worker, median and p95      {_spread(started)}")
        print(f"added to the API's time                {_spread(added)}   (wanted: p95 1.5 s)")


def _report(
    load: Load,
    book: dict[str, object],
    events: Events,
    ids: Sequence[str],
    cpu_s: Mapping[str, float],
    redis: RedisUse,
    checks: str,
) -> None:
    most_cpu_s, most_mb = WANTED[checks]
    billed, done = book["billed"], sum(i in events.completed_s for i in ids)
    print(f"jobs, completed, pictures bought       {len(ids)}, {done}, {billed}")
    of_each = ", ".join(f"{role} {used_s / len(ids) * 1e3:.1f}" for role, used_s in cpu_s.items())
    of_redis = redis.count / len(ids)
    print(f"most in flight                         {book['most_in_flight']:7}")
    print(
        f"CPU-seconds a job, Redis apart         {sum(cpu_s.values()) / len(ids):7.3f}   "
        f"(wanted: at most {most_cpu_s:g})"
    )
    print(f"  of it, ms: {of_each}")
    print(f"Redis commands a job                   {of_redis:7.1f}   (wanted: at most 50)")
    print("  " + ", ".join(f"{n} {c / len(ids):.2f}" for n, c in redis.commands.most_common(12)))
    print(f"Redis CPU a job                        {redis.cpu_s / len(ids) * 1e3:7.2f} ms")
    print(
        f"peak memory of all processes           {load.usage.peak_mb:7.0f} MB (at most {most_mb})"
    )
    for role, size_mb in load.usage.peak_by_role_mb.items():
        print(f"  {role:<36} {size_mb:7.0f} MB")


def _used(before_s: Mapping[str, float], after_s: Mapping[str, float]) -> dict[str, float]:
    """CPU seconds of each role between two readings."""
    return {role: after_s[role] - before_s.get(role, 0.0) for role in WORKERS if role in after_s}


def _settings(checks: str) -> dict[str, str]:
    if checks == "on":
        return {}
    return {"WEARON_CHECK_INPUTS": "off", "WEARON_CHECK_RESULTS": "off"}


def _spread(values: Sequence[float]) -> str:
    cuts = statistics.quantiles(values, n=20)
    return f"{statistics.median(values):7.3f} s {cuts[18]:7.3f} s"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--jobs", type=int, default=600)
    parser.add_argument("--latency-s", type=float, default=40.0)
    parser.add_argument("--checks", choices=list(WANTED), default="on", help="Of pictures.")
    args = parser.parse_args()
    print(machine())
    print(f"\n== checks of pictures {args.checks}")
    print(f"== {args.jobs} jobs at once, image API {args.latency_s:g} s, limit 300 a minute")
    saturated(args.jobs, args.latency_s, args.checks)
    print("\n== 240 jobs, by chance at 200 a minute, image API 5 s")
    below(240, 5.0, 200, args.checks)


if __name__ == "__main__":
    main()
