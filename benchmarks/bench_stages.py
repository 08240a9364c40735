"""
The CPU time of each stage of a job, measured separately on one core, with phone photos.

    python benchmarks/bench_stages.py
"""

import base64
import statistics
import time
from collections.abc import Callable

from devkit.machine import machine
from devkit.photo_server import NAMES, phone_photo
from wearon_cli.core.pictures.prepare import prepare, verify

ROUNDS = 15


def cpu_ms(work: Callable[[], object]) -> float:
    """Median CPU milliseconds of one run."""
    times = []
    for _ in range(ROUNDS):
        begun_s = time.process_time()
        work()
        times.append(time.process_time() - begun_s)
    return statistics.median(times) * 1000


def main() -> None:
    print(machine())
    person, garment = (phone_photo(name) for name in NAMES)
    print(f"photos of {len(person) / 1e6:.1f} and {len(garment) / 1e6:.1f} MB, 12 megapixels each")
    answer = prepare(person, longest_px=1536).jpeg  # roughly the result of an image API
    encoded = base64.b64encode(answer)
    stages = {
        "prepare the person": lambda: prepare(person),
        "prepare the garment": lambda: prepare(garment),
        "decode the answer's base64": lambda: base64.b64decode(encoded),
        "verify the answer": lambda: verify(answer),
    }
    total_ms = 0.0
    for name, work in stages.items():
        took_ms = cpu_ms(work)
        total_ms += took_ms
        print(f"  {name:<28} {took_ms:6.1f} ms")
    print(f"  {'all of these':<28} {total_ms:6.1f} ms of CPU a job")
    print("the rest of a job's CPU time is HTTP, Redis, the store and the log")


if __name__ == "__main__":
    main()
