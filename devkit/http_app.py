"""
The HTTP app with the real pose network: in this process with photos from a dictionary, or as
`wearon serve`.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Final

import httpx

import wearon_cli
from devkit.ports import free_port
from devkit.processes import started
from devkit.waiting import LONGEST_S, reached, until
from wearon_cli.adapters.local.storage import LocalStorage
from wearon_cli.adapters.pose.mediapipe_pose import MediaPipePose
from wearon_cli.adapters.pose.model_file import require_model
from wearon_cli.core.errors import ConfigError, PictureForbidden, PictureUnavailable
from wearon_cli.core.jobs.halts import HaltState, halt_state
from wearon_cli.core.pictures.ports import Reserve
from wearon_cli.core.settings import Settings
from wearon_cli.runtime.http.app import make_app
from wearon_cli.runtime.http.health import Health
from wearon_cli.runtime.http.measuring import Measuring, PhotoFetcher
from wearon_cli.runtime.ops.metrics import Meters

ASSETS: Final = Path(wearon_cli.__file__).parent / "assets"
PERSON: Final = "https://photos.example/person.jpg"


class Photos:
    """Implements `PhotoFetcher` over a dictionary."""

    def __init__(self, photos: Mapping[str, bytes], *, delay: asyncio.Event | None = None) -> None:
        self._photos = photos
        self._delay = delay
        self.asked = 0

    async def fetch(self, url: str, *, reserve: Reserve) -> bytes:
        self.asked += 1
        if self._delay is not None:
            await self._delay.wait()
        if not url.startswith("https://"):
            raise PictureForbidden("the picture's link is not https")
        try:
            photo = self._photos[url]
        except KeyError as exc:
            raise PictureUnavailable from exc
        reserve(len(photo))
        return photo


PHOTOS: Final = Photos(
    {
        PERSON: (ASSETS / "person.jpg").read_bytes(),
        "https://photos.example/shirt.jpg": (ASSETS / "garment_tee.jpg").read_bytes(),
        "https://photos.example/text.jpg": b"no picture",
    }
)


def open_reader() -> MediaPipePose:
    return MediaPipePose(require_model(Settings()))


def no_model() -> MediaPipePose:
    raise ConfigError("there is no pose model", hint="run `wearon model pull`")


async def here() -> HaltState | None:
    return halt_state([], Settings())


@asynccontextmanager
async def client(
    *,
    settings: Settings | None = None,
    reader: Callable[[], MediaPipePose] = open_reader,
    photos: PhotoFetcher = PHOTOS,
    look_for_halts: Callable[[], Awaitable[HaltState | None]] = here,
    files: LocalStorage | None = None,
    peer: str = "203.0.113.9",
) -> AsyncIterator[httpx.AsyncClient]:
    async with AsyncExitStack() as stack:
        settings = settings or Settings()
        pool = await stack.enter_async_context(
            Measuring(reader, photos, max_picture_bytes=settings.max_picture_bytes)
        )
        health = await stack.enter_async_context(Health(pool, look_for_halts))
        app = make_app(settings, pool, health, files, Meters())
        transport = httpx.ASGITransport(app, client=(peer, 1), raise_app_exceptions=False)
        caller = httpx.AsyncClient(transport=transport, base_url="http://worker")
        await stack.enter_async_context(caller)
        if reader is open_reader:
            await reached(lambda: pool.model_loaded)
        yield caller


async def ask(caller: httpx.AsyncClient, **body: Any) -> httpx.Response:
    return await caller.post("/estimate-body", json={"image_url": PERSON, "height_cm": 170, **body})


@contextmanager
def serve_process(folder: Path, **settings: str) -> Iterator[int]:
    """`wearon serve` on a free port, which is yielded; its log is in the folder."""
    port, log = free_port(), folder / "log"
    quiet = {"OPENAI_API_KEY": "", "WEARON_LOG_FORMAT": "json"}
    server = started("serve", "--port", str(port), environment={**quiet, **settings}, log=log)
    try:
        until(
            lambda: _is_ok(port, "/health/ready"), found=lambda: log.read_text("utf-8"), every_s=0.2
        )
        yield port
    finally:
        server.terminate()
        assert server.wait(LONGEST_S) == 0, log.read_text("utf-8")


def is_alive(port: int) -> bool:
    """Whether `wearon serve` answers there."""
    return _is_ok(port, "/health/live")


def _is_ok(port: int, path: str) -> bool:
    try:
        url = f"http://127.0.0.1:{port}{path}"
        return httpx.get(url, trust_env=False, timeout=5).status_code == 200
    except httpx.TransportError:
        return False
