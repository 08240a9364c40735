"""
How many bodies `wearon serve` measures per second: eight callers; photos by URL from a loopback
host, as a form, and as the request body.

    python benchmarks/bench_estimate.py [--seconds N]

Two photos: the bundled person at 0.4 MB, and the same at the 12 megapixels of a phone. Meanwhile
/health is requested twenty times a second. `of url` is the ratio to the rate by URL.
"""

import argparse
import asyncio
import io
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

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
            columns = ("MB", "answers/s", "of url", "p50 ms", "p95 ms", "health p95 ms", "refused")
            print(f"{'photo':<20}", *(f"{name:>13}" for name in columns))
            for name, data in photos.items():
                measure(url, name, data, requests(f"{origin}/{name}", data), seconds)


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


def requests(address: str, data: bytes) -> dict[str, dict[str, Any]]:
    """The same photo, in each way that it can be sent."""
    height_cm = "175"
    return {
        "url": {"json": {"image_url": address, "height_cm": 175}},
        "form": {"files": {"image": data}, "data": {"height_cm": height_cm}},
        "body": {
            "content": data,
            "params": {"height_cm": height_cm},
            "headers": {"Content-Type": "image/jpeg"},
        },
    }


def measure(
    url: str, name: str, data: bytes, ways: Mapping[str, dict[str, Any]], seconds: float
) -> None:
    by_address = 0.0
    for way, request in ways.items():
        asyncio.run(warm_up(url, request))
        per_s, *others = asyncio.run(load(url, request, seconds))
        by_address = by_address or per_s
        figures = (len(data) / 1e6, per_s, per_s / by_address, *others)
        print(f"{name + ' ' + way:<20}", *(f"{figure:13.2f}" for figure in figures))


async def warm_up(url: str, request: Mapping[str, Any]) -> None:
    async with httpx.AsyncClient(trust_env=False, timeout=30) as http:
        answer = await http.post(f"{url}/estimate-body", **request)
        if answer.status_code != 200:
            raise SystemExit(f"the photo is not measured: {answer.status_code} {answer.text}")


async def load(url: str, request: Mapping[str, Any], seconds: float) -> tuple[float, ...]:
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
                answer = await http.post(f"{url}/estimate-body", **request)
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
