"""
A local stack with sessions of every kind and their pictures, and `wearon web` over it.

`python -m devkit.operator_page FOLDER` creates one and serves its page until Ctrl-C.
"""

import argparse
import asyncio
import os
import re
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from uuid import uuid4

import httpx

from devkit.waiting import LONGEST_S, until
from devkit.world import World
from wearon_cli.adapters.local.accounts import (
    DEMO_RESELL_STORE_ID,
    DEMO_SHOPPER,
    DEMO_STORE_ID,
    DEMO_USER_ID,
    ensure_demo_accounts,
)
from wearon_cli.adapters.local.ledger import LocalLedger
from wearon_cli.adapters.local.storage import LocalStorage
from wearon_cli.adapters.redis.client import connect
from wearon_cli.core.checks.findings import SUSPECT
from wearon_cli.core.contract import new_task
from wearon_cli.core.errors import GenerationRefused, RequestRejected
from wearon_cli.core.ledger import payer_for
from wearon_cli.core.session import Channel, NewSession, SessionKey
from wearon_cli.core.settings import Settings
from wearon_cli.core.storage import SIGNED_URL_LIFE_S
from wearon_cli.runtime.all.local_stack import local_services

ASSETS = files("wearon_cli.assets")
TEE, SWEATER = "garment_tee.jpg", "garment_sweater.jpg"
START_S = 60.0
STORES = {DEMO_STORE_ID: "linden-mode.example", DEMO_RESELL_STORE_ID: "atelier-nord.example"}


class PageWorld(World):
    """A world whose files a `wearon web --local` of the same folder can read."""

    def __init__(self, redis: object, settings: Settings) -> None:
        assert settings.redis_url is not None
        assert settings.local_dir is not None
        folder = settings.local_dir
        super().__init__(redis, settings.redis_url.get_secret_value(), folder)
        self.storage = LocalStorage(
            folder / "files",
            base_url=f"http://127.0.0.1:{settings.port}",
            secret_path=folder / "signing-secret",
        )

    async def order(
        self, channel: Channel, *, owner_id: str, garment: str, shopper: str | None = None
    ) -> SessionKey:
        """As the platform: pictures into storage, a credit, the row, the push."""
        urls = []
        for name in ("person.jpg", garment):
            path = f"uploads/{uuid4()}/{name}"
            data = ASSETS.joinpath(name).read_bytes()
            await self.storage.put(path, data, content_type="image/jpeg")
            urls.append(await self.storage.sign(path, life_s=SIGNED_URL_LIFE_S))
        new = NewSession(
            session_id=str(uuid4()),
            channel=channel,
            owner_id=owner_id,
            model_image_url=urls[0],
            outfit_image_url=urls[1],
            prompt_system="Dress the person of image 1 in the garment of image 2.",
            request_id=f"req_{uuid4()}" if channel is Channel.B2B else None,
            shopper_email=shopper,
        )
        await self.ledger.take(payer_for(new, shopper_pays=shopper is not None), "Try-on")
        await self.sessions.insert(new)
        key = SessionKey(channel=channel, session_id=new.session_id)
        task = new_task(
            key=key,
            owner_id=owner_id,
            image_urls=tuple(urls),
            prompt=new.prompt_system,
            request_id=new.request_id or f"req_{uuid4()}",
        )
        await self.intake.push(task.to_json())
        return key


@dataclass(frozen=True, slots=True, kw_only=True)
class PageStack:
    """The contents of a filled stack."""

    settings: Settings
    completed: SessionKey  # b2b, of a shopper who pays
    of_user: SessionKey  # b2c, completed
    refused: SessionKey  # b2b, failed: moderation; its credit is back
    rejected: SessionKey  # b2c, failed
    running: SessionKey
    letter_id: str  # an invalid payload


async def people(settings: Settings) -> PageStack:
    """Simulate a day in a few seconds: jobs that complete, fail, run, wait and die."""
    assert settings.local_dir is not None
    with closing(LocalLedger(settings.local_dir / "wearon.db")) as ledger:
        await ensure_demo_accounts(ledger)
    _name_stores(settings.local_dir / "wearon.db")
    async with page_world(settings) as world:
        return await _peopled(world, settings)


@asynccontextmanager
async def page_world(settings: Settings) -> AsyncIterator[PageWorld]:
    """The world of a local stack whose Redis runs."""
    assert settings.redis_url is not None
    redis = connect(settings.redis_url.get_secret_value())
    world = PageWorld(redis, settings)
    try:
        yield world
    finally:
        await world.aclose()
        await redis.aclose()


def in_stack[T](stack: PageStack, work: Callable[[PageWorld], Awaitable[T]]) -> T:
    """Something that happens in the stack, from a thread: the caller's may have a loop already."""

    async def run() -> T:
        async with page_world(stack.settings) as world:
            return await work(world)

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(lambda: asyncio.run(run())).result(timeout=LONGEST_S)


def _name_stores(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db, db:
        for store_id, domain in STORES.items():
            db.execute("UPDATE stores SET shop_domain = ? WHERE id = ?", (domain, store_id))


async def _peopled(world: PageWorld, settings: Settings) -> PageStack:
    _plan_pictures(world)
    keys = await _orders(world)
    await world.journal.note(
        keys[1].session_id, SUSPECT, stage="result", findings="not_applied", action="flagged"
    )
    return PageStack(
        settings=settings,
        completed=keys[0],
        of_user=keys[1],
        refused=keys[2],
        rejected=keys[3],
        running=keys[5],
        letter_id=await _invalid_payload(world),
    )


def _plan_pictures(world: PageWorld) -> None:
    """The outcomes of the first five jobs, in the order in which they are run."""
    picture = ASSETS.joinpath("person.jpg").read_bytes()
    garment = ASSETS.joinpath(TEE).read_bytes()
    world.fetcher.plan = [*[picture] * 30, *[garment] * 30]
    answered = "the image API answered 400, code"
    world.generator.plan = [
        picture,
        picture,
        GenerationRefused(f"{answered} moderation_blocked (request req_00000003)"),
        RequestRejected(f"{answered} invalid_image_file (request req_00000004)"),
        picture,
    ]


async def _orders(world: PageWorld) -> list[SessionKey]:
    """Five jobs that end, one that runs, and one that waits."""
    b2b, keys = Channel.B2B, []
    for channel, owner_id, garment, shopper in (
        (b2b, DEMO_RESELL_STORE_ID, SWEATER, DEMO_SHOPPER),
        (Channel.B2C, DEMO_USER_ID, TEE, None),
        (b2b, DEMO_STORE_ID, TEE, None),
        (Channel.B2C, DEMO_USER_ID, SWEATER, None),
        (b2b, DEMO_STORE_ID, SWEATER, None),
        (b2b, DEMO_STORE_ID, TEE, None),  # is claimed, and stays so
    ):
        keys.append(await world.order(channel, owner_id=owner_id, garment=garment, shopper=shopper))
        if len(keys) < 6:
            await world.run_all()
    await world.take_all_in()
    await world.dispatcher.release(limit=1)
    assert await world.claim(keys[5].session_id) is not None
    await world.order(b2b, owner_id=DEMO_STORE_ID, garment=TEE)
    return keys


async def _invalid_payload(world: PageWorld) -> str:
    """Bury one; returns the id of its dead letter."""
    return await world.dead_letters.bury(
        b'{"task_id": "1", "image_urls": ["https://a.test/p.jpg?token=geheim"]}',
        reason="session_id: Field required",
        error_code="task_invalid",
        attempts=0,
        session_id=None,
    )


@contextmanager
def peopled_stack(folder: Path) -> Iterator[PageStack]:
    """A running local stack without workers: its Redis, rows and files."""
    with local_services(folder, host="127.0.0.1", port=0) as settings:
        yield asyncio.run(people(settings))


@dataclass(slots=True, kw_only=True)
class RunningPage:
    """A `wearon web` process."""

    process: subprocess.Popen[bytes]
    log: Path  # what it prints for its user

    @property
    def addresses(self) -> list[str]:
        """Every login address that it has printed, with its token."""
        return re.findall(r"the page is at (\S+)\n", self.log.read_text("utf-8"))

    @property
    def origin(self) -> str:
        return self.addresses[0].partition("/login")[0]

    def new_address(self) -> str:
        """Another address to log in at: each works once."""
        known = len(self.addresses)
        self.process.send_signal(signal.SIGUSR1)
        until(lambda: len(self.addresses) > known, every_s=0.05)
        return self.addresses[-1]

    @contextmanager
    def client(self) -> Iterator[httpx.Client]:
        """Logged in."""
        with httpx.Client(base_url=self.origin, trust_env=False, timeout=START_S) as client:
            assert log_in(client, self.new_address()).status_code == 303
            yield client


def log_in(client: httpx.Client, address: str) -> httpx.Response:
    """As the form at this address does it; a redirect to the first page when it went well."""
    token = address.rpartition("=")[2]
    origin = address.partition("/login")[0]
    return client.post(f"{origin}/login", data={"token": token}, headers={"Origin": origin})


@contextmanager
def web_page(
    data_dir: Path | None, *options: str, environment: Mapping[str, str] = MappingProxyType({})
) -> Iterator[RunningPage]:
    """`wearon web` as a user starts it: over the local stack of a folder, or over production's."""
    local = ["--local", "--data-dir", str(data_dir)] if data_dir else []
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "web.log"
        with log.open("wb") as out:  # a pipe that nobody reads would stop it
            process = subprocess.Popen(
                [sys.executable, "-m", "wearon_cli", "web", "--port", "0", *local, *options],
                env={**os.environ, **environment},
                stderr=out,
            )
        page = RunningPage(process=process, log=log)
        try:
            until(lambda: _is_ready(page), every_s=0.05)
            yield page
        finally:
            process.terminate()
            process.wait(timeout=START_S)


def _is_ready(page: RunningPage) -> bool:
    assert page.process.poll() is None, page.log.read_text("utf-8")
    return bool(page.addresses)


def main() -> None:
    """Create one and serve its page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--minutes", type=float, default=10.0, help="ends it by itself")
    asked = parser.parse_args()
    with peopled_stack(asked.folder) as made, web_page(asked.folder, "--allow-actions") as page:
        print(page.new_address(), flush=True)
        print(made, flush=True)
        time.sleep(timedelta(minutes=asked.minutes).total_seconds())


if __name__ == "__main__":
    main()
