"""
The CPU time of each stage of a job, measured separately on one core, with phone photos.

    python -m benchmarks.bench_stages

CPU time of all threads of this process, the pose network's included; the median of some runs.
"""

import base64
import statistics
import time
from collections.abc import Callable, Mapping

from devkit.machine import machine
from devkit.photo_server import NAMES, phone_photo
from devkit.servers.image_api_answers import drawing
from wearon_cli.adapters.pose.check_jobs import check_inputs, check_result
from wearon_cli.adapters.pose.model_file import require_model
from wearon_cli.core.pictures.prepare import prepare, verify
from wearon_cli.core.settings import load_settings

ROUNDS = 15
#: What an image API draws for a photo.
DRAWN_PX = (1024, 1536)
#: Most CPU that the checks of one job may take.
CHECKS_MS = 60

type Stages = Mapping[str, Callable[[], object]]


def cpu_ms(work: Callable[[], object]) -> float:
    """Median CPU milliseconds of one run, after a first one that loads what it needs."""
    work()
    times = []
    for _ in range(ROUNDS):
        begun_s = time.process_time()
        work()
        times.append(time.process_time() - begun_s)
    return statistics.median(times) * 1000


def told(title: str, stages: Stages) -> float:
    """Print the CPU milliseconds of each stage; returns their sum."""
    print(title)
    total_ms = 0.0
    for name, work in stages.items():
        took_ms = cpu_ms(work)
        total_ms += took_ms
        print(f"  {name:<28} {took_ms:6.1f} ms")
    print(f"  {'all of these':<28} {total_ms:6.1f} ms of CPU a job")
    return total_ms


def main() -> None:
    print(machine())
    photos = [phone_photo(name) for name in NAMES]
    sizes = " and ".join(f"{len(photo) / 1e6:.1f}" for photo in photos)
    print(f"photos of {sizes} MB, 12 megapixels each")
    answer = drawing(DRAWN_PX, "jpeg")
    encoded, model = base64.b64encode(answer), require_model(load_settings())
    person, garment = (prepare(photo).small for photo in photos)
    told(
        "pictures",
        {
            "prepare the person": lambda: prepare(photos[0]),
            "prepare the garment": lambda: prepare(photos[1]),
            "decode the answer's base64": lambda: base64.b64decode(encoded),
            "verify the answer": lambda: verify(answer, with_small=True),
        },
    )
    drawn = verify(answer, with_small=True).small or answer
    seen = check_inputs([person, garment], model).seen
    took_ms = told(
        "checks of pictures",
        {
            "the inputs": lambda: check_inputs([person, garment], model),
            "the generated picture": lambda: check_result(drawn, person, garment, seen, model),
        },
    )
    print(f"  (wanted: at most {CHECKS_MS}){'' if took_ms <= CHECKS_MS else ': TOO MUCH'}")
    print("the rest of a job's CPU time is HTTP, Redis, the store and the log")


if __name__ == "__main__":
    main()
