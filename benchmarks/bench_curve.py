"""
The throughput of one Celery process by its concurrency, without the rate limit.

    python -m benchmarks.bench_curve [--latency-s 20] [CONCURRENCY ...]

Three jobs per slot, with two photos of 12 megapixels each. "ideal" is the throughput that the image
API's time alone allows. Takes 6 minutes.
"""

import argparse
import time

from benchmarks.bench_throughput import STORES
from devkit.load import ordered, under_load
from devkit.machine import machine

CURVE = (10, 50, 100, 200, 400)
JOBS_A_PLACE = 3


def point(concurrency: int, latency_s: float) -> str:
    """One line of the table."""
    with under_load(
        latency=str(latency_s),
        WORKER_CONCURRENCY=str(concurrency),
        WEARON_REQUESTS_PER_MINUTE="60000",
    ) as load:
        jobs = ordered(load, [STORES[n % 3] for n in range(concurrency * JOBS_A_PLACE)])
        cpu_s, begun_s = load.usage.cpu_s(), time.monotonic()
        load.push(jobs)
        load.await_done([session_id for session_id, _ in jobs], within_s=20 * latency_s + 120)
        took_s = time.monotonic() - begun_s
        cpu_s = load.usage.cpu_s() - cpu_s
        most = load.api.book()["most_in_flight"]
        rate, ideal = len(jobs) / took_s * 60, concurrency / latency_s * 60
        celery_mb = load.usage.peak_by_role_mb.get("celery", 0.0)
        return (
            f"{most:>10} {rate:>9.0f} {ideal:>7.0f} {load.usage.peak_mb:>8.0f} "
            f"{celery_mb:>10.0f} {cpu_s / len(jobs):>10.3f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("concurrency", type=int, nargs="*", default=CURVE)
    parser.add_argument("--latency-s", type=float, default=20.0)
    args = parser.parse_args()
    print(f"{machine()}; image API {args.latency_s:g} s")
    print(
        f"{'in flight':>10} {'jobs/min':>9} {'ideal':>7} {'peak MB':>8} {'of celery':>10} "
        f"{'CPU-s/job':>10}"
    )
    for concurrency in args.concurrency:
        print(point(concurrency, args.latency_s), flush=True)


if __name__ == "__main__":
    main()
