"""
What a picture costs this machine with each provider: processor time and memory, with 200 in flight.

    python -m benchmarks.bench_providers

Each provider runs in its own process, with its loopback API in another; 300 jobs a minute.
"""

import asyncio
import json
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import AsyncExitStack, aclosing
from multiprocessing import get_context

import psutil
import structlog
from pydantic import SecretStr

from devkit.machine import machine
from devkit.photo_server import NAMES, phone_photo
from devkit.providers import MODELS, OUTER_MODEL, QUALITY, SIZE
from devkit.servers import image_api, runware_api
from devkit.servers.image_api_process import (
    ImageApiProcess,
    ResponsesApiProcess,
    RunwareApiProcess,
)
from wearon_cli.adapters.fetch.guarded_http import GuardedFetcher
from wearon_cli.adapters.providers.openai_edits import OpenAIImages, image_api_client
from wearon_cli.adapters.providers.openai_responses import OpenAIResponses
from wearon_cli.adapters.providers.runware import Runware, runware_client
from wearon_cli.core.pictures.ports import PreparedPicture
from wearon_cli.core.pictures.prepare import prepare
from wearon_cli.core.providers import GeneratedPicture, Provider, TryOnRequest, collected

JOBS = 600
PER_MINUTE = 300
#: Seconds a drawing takes: median and 95th percentile. OpenAI's as measured for image edits
#: elsewhere; Runware's is a guess.
LATENCIES = {"images": "39~58", "responses": "39~58", "runware": "4~8"}
#: The one-shot API needs a connection for each job in flight.
IN_FLIGHT = 300
#: For providers with powers; the one-shot API needs one a job.
CONNECTIONS = 32


async def provider_of(stack: AsyncExitStack, kind: str, api: ImageApiProcess) -> Provider:
    if kind == "runware":
        origin = api.base_url.removesuffix("/v1")
        fetcher = GuardedFetcher(
            trusted_origins=[origin], max_bytes=10_000_000, total_timeout_s=20.0
        )
        await stack.enter_async_context(aclosing(fetcher))
        client = await stack.enter_async_context(
            runware_client(
                base_url=api.base_url,
                api_key=SecretStr(runware_api.KEY),
                connections=CONNECTIONS,
            )
        )
        return Runware(client, fetcher, size=SIZE, quality=QUALITY, submit_timeout_s=60.0)
    client = await stack.enter_async_context(
        image_api_client(
            base_url=api.base_url,
            api_key=SecretStr(image_api.KEY),
            connections=IN_FLIGHT if kind == "images" else CONNECTIONS,
        )
    )
    if kind == "images":
        return OpenAIImages(client, size=SIZE, quality=QUALITY, timeout_s=200.0)
    return OpenAIResponses(
        client, outer_model=OUTER_MODEL, size=SIZE, quality=QUALITY, submit_timeout_s=60.0
    )


def prepared_photos() -> tuple[bytes, ...]:
    """Two phone photos, reduced to the size that is sent."""
    return tuple(prepare(phone_photo(name)).jpeg for name in NAMES)


async def job(provider: Provider, model: str, number: int, photos: tuple[bytes, ...]) -> None:
    """From prepared pictures, separate for each job, to the bytes for storage."""
    await asyncio.sleep(number * 60 / PER_MINUTE)
    session_id = f"s{number}"
    marker = await provider.prepare(session_id)
    pictures = tuple(
        PreparedPicture(jpeg=bytes(bytearray(photo)), small=b"", width_px=768, height_px=1024)
        for photo in photos
    )
    request = TryOnRequest(session_id=session_id, pictures=pictures, prompt="Dress the person.")
    state = await provider.submit(request, model=model, marker=marker)
    del request, pictures
    if isinstance(state, GeneratedPicture):
        return
    await collected(provider, state, within_s=200.0)
    await provider.forget(state.ticket)


async def measure(kind: str, api: ImageApiProcess) -> dict[str, float]:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    with ProcessPoolExecutor(1, get_context("spawn")) as elsewhere:  # decoding takes 36 MB
        photos = elsewhere.submit(prepared_photos).result()
    process = psutil.Process()
    peak = before = process.memory_info().rss

    async def watch() -> None:
        nonlocal peak
        while True:
            peak = max(peak, process.memory_info().rss)
            await asyncio.sleep(0.1)

    async with AsyncExitStack() as stack:
        provider = await provider_of(stack, kind, api)
        await job(provider, MODELS[kind], 0, photos)  # imports, connections, the first drawing
        api.rules(latency=LATENCIES[kind])
        watching = asyncio.create_task(watch())
        begun_s, cpu_s = time.monotonic(), time.process_time()
        await asyncio.gather(*(job(provider, MODELS[kind], n, photos) for n in range(1, JOBS + 1)))
        cpu_s, took_s = time.process_time() - cpu_s, time.monotonic() - begun_s
        watching.cancel()
    return {"cpu_ms": cpu_s * 1000 / JOBS, "mb": (peak - before) / 1e6, "took_s": took_s}


def main() -> None:
    servers = {
        "images": ImageApiProcess,
        "responses": ResponsesApiProcess,
        "runware": RunwareApiProcess,
    }
    if len(sys.argv) > 1:
        with servers[sys.argv[1]]() as api:
            print(json.dumps(asyncio.run(measure(sys.argv[1], api))))
        return
    print(f"{machine()}\n{JOBS} jobs, {PER_MINUTE} a minute")
    for kind in servers:
        run = subprocess.run(
            [sys.executable, "-m", "benchmarks.bench_providers", kind],
            capture_output=True,
            text=True,
            check=True,
        )
        told = json.loads(run.stdout)
        print(
            f"  {kind:<10} {told['cpu_ms']:6.1f} ms CPU a job, {told['mb']:6.1f} MB at most, "
            f"a drawing takes {LATENCIES[kind]} s"
        )


if __name__ == "__main__":
    main()
