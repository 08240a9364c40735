"""
An idle stack: how soon a job starts, how many Redis commands it sends, how fast it starts up.

    python -m benchmarks.bench_latency

Hosted Redis bills by the command, so the commands of an idle minute are counted by Redis itself.
"""

import statistics
import time

from devkit.load import Load, ordered, under_load
from devkit.machine import machine

STORE = "00000000-0000-4000-9000-000000000001"
JOBS = 60
#: Slower than the rate limit, so that no job waits for it.
PER_MINUTE = 60
IDLE_S = 60.0


def started(load: Load) -> list[float]:
    """Seconds from LPUSH to the worker's first line about the job, job after job."""
    jobs = ordered(load, [STORE] * JOBS)
    for job in jobs:
        load.push([job])
        time.sleep(60 / PER_MINUTE)
    ids = [session_id for session_id, _ in jobs]
    events = load.await_done(ids, within_s=30)
    return [events.started_s[each] - load.pushed_s[each] for each in ids]


def main() -> None:
    print(machine())
    with under_load(latency="0.2") as load:
        (first,) = ordered(load, [STORE])
        load.push([first])
        load.await_done([first[0]], within_s=30)
        events = load.events()
        ready_s = events.taken_s[first[0]] - load.started_s
        print(f"wearon all, start to first job taken  {ready_s:7.2f} s   (wanted: under 4)")
        before = load.redis_use()
        time.sleep(IDLE_S)
        commands = (load.redis_use() - before).commands
        per_minute = commands.total() / IDLE_S * 60
        print(f"Redis commands of an idle minute      {per_minute:7.0f}     (wanted: at most 180)")
        print("  " + ", ".join(f"{name} {count}" for name, count in commands.most_common()))
        waits = started(load)
        p95 = statistics.quantiles(waits, n=20)[18]
        print(f"LPUSH to processing, median           {statistics.median(waits) * 1e3:7.1f} ms")
        print(f"LPUSH to processing, p95              {p95 * 1e3:7.1f} ms  (wanted: at most 20)")


if __name__ == "__main__":
    main()
