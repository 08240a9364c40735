"""
How many bodies `wearon serve` measures per second: eight callers, photos from a loopback host.

    python benchmarks/bench_estimate.py [--seconds N]

Two photos: the bundled person at 0.4 MB, and the same at the 12 megapixels of a phone. Meanwhile
/health is requested twenty times a second.
"""

import argparse
import asyncio
import io
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path

import httpx
import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1]))

from devkit.machine import machine
from devkit.photo_server import phone_photo
from devkit.ports import free_port

CALLERS = 8
HEALTH_EVERY_S = 0.05
READY_WITHIN_S = 60.0
MEDIUM_BYTES = 400_000
MEDIUM_PX = (1200, 1600)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--seconds", type=float, default=10.0)
    seconds = parser.parse_args().seconds
    print(machine())
    photos = {"medium.jpg": medium_photo(), "phone.jpg": phone_photo("person.jpg")}
    with tempfile.TemporaryDirectory() as folder:
        for name, data in photos.items():
            Path(folder, name).write_bytes(data)
        with file_server(folder) as origin, serve(origin) as url:
            columns = ("MB", "answers/s", "p50 ms", "p95 ms", "health p95 ms", "refused")
            print(f"{'photo':<12}", *(f"{name:>14}" for name in columns))
            for name, data in photos.items():
                asyncio.run(warm_up(url, f"{origin}/{name}"))
                figures = asyncio.run(load(url, f"{origin}/{name}", seconds))
                print(f"{name:<12} {len(data) / 1e6:14.1f}", *(f"{v:14.1f}" for v in figures))


def medium_photo() -> bytes:
    """The bundled person with enough grain for 0.4 MB."""
    source = files("wearon_cli.assets").joinpath("person.jpg").read_bytes()
    with Image.open(io.BytesIO(source)) as small:
        large = np.asarray(small.convert("RGB").resize(MEDIUM_PX, Image.Resampling.BICUBIC))
    for grain_sd in (2.0, 3.0, 4.0, 5.0, 6.0, 8.0):
        grain = np.random.default_rng(1).normal(0, grain_sd, large.shape[:2])[..., None]
        held = io.BytesIO()
        noisy = np.clip(large + grain, 0, 255).astype(np.uint8)
        Image.fromarray(noisy).save(held, "JPEG", quality=90)
        if len(held.getvalue()) >= MEDIUM_BYTES:
            return held.getvalue()
    raise SystemExit(f"no grain makes {MEDIUM_BYTES} bytes of the photo")


async def warm_up(url: str, photo: str) -> None:
    async with httpx.AsyncClient(trust_env=False, timeout=30) as http:
        answer = await http.post(f"{url}/estimate-body", json=body(photo))
        if answer.status_code != 200:
            raise SystemExit(f"the photo is not measured: {answer.status_code} {answer.text}")


async def load(url: str, photo: str, seconds: float) -> tuple[float, ...]:
    """Answers a second, p50 and p95, p95 of /health (ms), and answers that were not 200."""
    took_s: list[float] = []
    health_s: list[float] = []
    refused = 0
    begun_s = time.perf_counter()

    def going() -> bool:
        return time.perf_counter() - begun_s < seconds

    async with httpx.AsyncClient(trust_env=False, timeout=30) as http:

        async def caller() -> None:
            nonlocal refused
            while going():
                sent_s = time.perf_counter()
                answer = await http.post(f"{url}/estimate-body", json=body(photo))
                took_s.append(time.perf_counter() - sent_s)
                refused += answer.status_code != 200

        async def prober() -> None:
            async with httpx.AsyncClient(trust_env=False) as probe:
                while going():
                    sent_s = time.perf_counter()
                    await probe.get(f"{url}/health")
                    health_s.append(time.perf_counter() - sent_s)
                    await asyncio.sleep(HEALTH_EVERY_S)

        await asyncio.gather(prober(), *(caller() for _ in range(CALLERS)))
    elapsed_s = time.perf_counter() - begun_s
    p50, p95 = np.percentile(took_s, [50, 95]) * 1000
    return len(took_s) / elapsed_s, p50, p95, float(np.percentile(health_s, 95)) * 1000, refused


def body(photo: str) -> dict[str, object]:
    return {"image_url": photo, "height_cm": 175}


@contextmanager
def file_server(folder: str) -> Iterator[str]:
    """A file server in its own process; yields its origin."""
    port = free_port()
    words = [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1"]
    with running([*words, "--directory", folder, "--protocol", "HTTP/1.1"], {}):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def serve(origin: str) -> Iterator[str]:
    port = free_port()
    settings = {
        "WEARON_FETCH_ORIGINS": origin,
        "WEARON_HTTP_REQUESTS_PER_MINUTE": "1000000",
        "WEARON_LOG_LEVEL": "error",
    }
    words = [sys.executable, "-m", "wearon_cli", "serve", "--port", str(port)]
    with running(words, settings) as process:
        url = f"http://127.0.0.1:{port}"
        wait_for_model(process, url)
        yield url


@contextmanager
def running(words: list[str], settings: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        words, env={**os.environ, **settings}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(timeout=30)


def wait_for_model(process: subprocess.Popen[bytes], url: str) -> None:
    begun_s = time.perf_counter()
    while time.perf_counter() - begun_s < READY_WITHIN_S and process.poll() is None:
        try:
            if httpx.get(f"{url}/health", trust_env=False).json()["model_loaded"]:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.1)
    raise SystemExit("`wearon serve` did not start, or has no pose model (`wearon model pull`)")


if __name__ == "__main__":
    main()
