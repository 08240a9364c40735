"""
Memory of a worker that gets many pictures made to exhaust it.

    python -m benchmarks.bench_bombs [--at-once 30]

For each kind of bomb, and for all kinds mixed, a new worker process (the `celery` role's libraries
and its pixel processes) gets that many at once (a third of that if each takes a second to read),
with a phone photo of 12 megapixels after every third one. Prints the peak proportional set size of
the worker and its children together, and the outcomes of the bombs and of the photos between them.
Takes 2 minutes.
"""

import argparse
import asyncio
import io
import pickle
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import psutil
from PIL import Image

from devkit import pictures as kit
from devkit.machine import machine
from devkit.photo_server import NAMES, phone_photo

SAMPLE_EVERY_S: Final = 0.005
WANTED_MB: Final = 900


def solid(kind: str, size: tuple[int, int], mode: str = "RGB", **options: Any) -> bytes:
    """A single colour: a few bytes that decode to their full claimed size."""
    held = io.BytesIO()
    Image.new(mode, size, "teal").save(held, kind, **options)
    return held.getvalue()


FULL_COLOUR: Final[dict[str, Any]] = {"progressive": True, "subsampling": 0, "quality": 30}
REFUSED: Final[dict[str, Callable[[], bytes]]] = {
    "WebP of 40 bytes, 7000x7000": partial(kit.webp_claiming, 7000, 7000),
    "WebP, whole, 7000x7000": partial(solid, "WEBP", (7000, 7000), lossless=True),
    "PNG with alpha, 7000x7000": partial(solid, "PNG", (7000, 7000), "RGBA"),
    "JPEG of ink colours, 7000x7000": partial(solid, "JPEG", (7000, 7000), "CMYK", **FULL_COLOUR),
}
#: As heavy as the budget allows: these are decoded.
HEAVY: Final[dict[str, Callable[[], bytes]]] = {
    "WebP, whole, 4300x4300": partial(solid, "WEBP", (4300, 4300), lossless=True),
    "PNG, 7000x7000": partial(solid, "PNG", (7000, 7000)),
    "PNG with alpha, 6300x6300": partial(solid, "PNG", (6300, 6300), "RGBA"),
    "JPEG of full colour, 8064x6048": partial(solid, "JPEG", (8064, 6048), **FULL_COLOUR),
}


async def work(pictures: list[bytes]) -> list[str]:
    """In the worker: prepare all of them at once; returns the outcome of each."""
    import wearon_cli.adapters.celery_app
    import wearon_cli.wiring  # noqa: F401 - likewise
    from wearon_cli.adapters.pixels.processes import PixelProcesses
    from wearon_cli.core.errors import WearonError

    pool = PixelProcesses()

    async def one(data: bytes) -> str:
        try:
            await pool.prepare(data, max_px=50_000_000)
        except WearonError as exc:
            return exc.code
        return "prepared"

    became = await asyncio.gather(*map(one, pictures))
    await pool.aclose()
    return became


def family_mb(worker: psutil.Process) -> float:
    try:
        family = [worker, *worker.children(recursive=True)]
        return sum(each.memory_full_info().pss for each in family) / 1e6
    except psutil.Error:
        return 0.0  # one of them has just ended


def rain(bombs: list[bytes], photo: bytes) -> tuple[float, float, Counter[str], Counter[str]]:
    """(peak MB, seconds, outcomes of the bombs, outcomes of the photos)."""
    mixed: list[tuple[bool, bytes]] = []
    for number, bomb in enumerate(bombs):
        mixed += [(True, bomb), *([(False, photo)] if number % 3 == 0 else [])]
    worker = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.bench_bombs", "--worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert worker.stdin is not None
    assert worker.stdout is not None
    begun_s, peak_mb = time.monotonic(), 0.0
    worker.stdin.write(pickle.dumps([data for _, data in mixed]))
    worker.stdin.close()
    watched = psutil.Process(worker.pid)
    while worker.poll() is None:
        peak_mb = max(peak_mb, family_mb(watched))
        time.sleep(SAMPLE_EVERY_S)
    became = worker.stdout.read().decode().split()
    pairs = list(zip((is_bomb for is_bomb, _ in mixed), became, strict=True))
    of_bombs = Counter(word for is_bomb, word in pairs if is_bomb)
    of_photos = Counter(word for is_bomb, word in pairs if not is_bomb)
    return peak_mb, time.monotonic() - begun_s, of_bombs, of_photos


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--at-once", type=int, default=30)
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    told = parser.parse_args()
    if told.worker:
        print(*asyncio.run(work(pickle.loads(sys.stdin.buffer.read()))))
        return
    print(f"{machine()}; {told.at_once} at once; wanted: at most {WANTED_MB} MB")
    photo = phone_photo(NAMES[0])
    refused = {name: make() for name, make in REFUSED.items()}
    heavy = {name: make() for name, make in HEAVY.items()}
    each = [*refused.values(), *heavy.values()]
    rains = {name: [data] * told.at_once for name, data in refused.items()}
    rains |= {name: [data] * (told.at_once // 3) for name, data in heavy.items()}
    rains["all of them, mixed"] = [each[n % len(each)] for n in range(told.at_once)]
    print(f"{'bomb':<32} {'kB':>6} {'peak MB':>8} {'s':>5}  bombs; photos")
    worst_mb = 0.0
    for name, rained in rains.items():
        peak_mb, took_s, of_bombs, of_photos = rain(rained, photo)
        worst_mb = max(worst_mb, peak_mb)
        size_kb = len(rained[0]) / 1000
        ends = "; ".join(
            ", ".join(f"{count} {word}" for word, count in sorted(ended.items()))
            for ended in (of_bombs, of_photos)
        )
        print(f"{name:<32} {size_kb:>6.1f} {peak_mb:>8.0f} {took_s:>5.1f}  {ends}", flush=True)
    if worst_mb > WANTED_MB:
        raise SystemExit(f"{worst_mb:.0f} MB at the worst")


if __name__ == "__main__":
    main()
