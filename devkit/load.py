"""
A local stack under load: real processes, a loopback image API, phone photos from a file server.

Only `wearon all` and its children are measured.
"""

import asyncio
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from uuid import uuid4

import psutil
from redis import Redis

from devkit.local_stack import await_ready
from devkit.photo_server import NAMES
from devkit.redis_use import RedisUse, redis_use
from devkit.servers.image_api import KEY
from devkit.servers.image_api_process import ImageApiProcess
from devkit.usage import Usage
from wearon_cli.adapters.local.ledger import LocalLedger
from wearon_cli.adapters.local.sessions import LocalSessions
from wearon_cli.adapters.redis.keys import TASK_LIST
from wearon_cli.core.contract import new_task
from wearon_cli.core.jobs.events import JobCompleted, JobStarted, JobTaken
from wearon_cli.core.ledger import payer_for
from wearon_cli.core.session import Channel, NewSession
from wearon_cli.core.settings import Settings

WEARON = [sys.executable, "-m", "wearon_cli"]


@dataclass(frozen=True, kw_only=True)
class Events:
    """When an event of a job was logged, in seconds since the epoch."""

    taken_s: dict[str, float]
    started_s: dict[str, float]
    completed_s: dict[str, float]


@dataclass(kw_only=True)
class Load:
    """One stack under load."""

    settings: Settings
    api: ImageApiProcess
    usage: Usage
    log: Path
    photo_origin: str
    started_s: float  # epoch seconds at which `wearon all` was started
    pushed_s: dict[str, float] = field(default_factory=dict)

    async def order(self, owner_ids: Sequence[str]) -> list[tuple[str, bytes]]:
        """Insert a row and take a credit for each owner; returns (session id, payload) for each."""
        assert self.settings.local_dir is not None
        sessions = LocalSessions(self.settings.local_dir / "wearon.db")
        ledger = LocalLedger(self.settings.local_dir / "wearon.db")
        for owner_id in sorted(set(owner_ids)):
            await ledger.add_store(owner_id, credits=100_000)
        made = [await self._one(sessions, ledger, owner_id) for owner_id in owner_ids]
        sessions.close()
        ledger.close()
        return made

    async def _one(
        self, sessions: LocalSessions, ledger: LocalLedger, owner_id: str
    ) -> tuple[str, bytes]:
        urls = tuple(f"{self.photo_origin}/{name}" for name in NAMES)
        new = NewSession(
            session_id=str(uuid4()),
            channel=Channel.B2B,
            owner_id=owner_id,
            model_image_url=urls[0],
            outfit_image_url=urls[1],
            accessories=(),
            prompt_system="Dress the person.",
            request_id=f"req_{uuid4()}",
            shopper_email=None,
        )
        await ledger.take(payer_for(new), "Try-on")
        row = await sessions.insert(new)
        task = new_task(
            key=row.key,
            owner_id=owner_id,
            image_urls=urls,
            prompt="Dress the person.",
            request_id=str(new.request_id),
        )
        return new.session_id, task.to_json()

    def push(self, jobs: Sequence[tuple[str, bytes]], *, per_minute: float = 0.0) -> None:
        """Push as the platform does: all at once, or at random times with a mean rate (a Poisson
        process).
        """
        chance = random.Random(1)
        assert self.settings.redis_url is not None
        with Redis.from_url(self.settings.redis_url.get_secret_value()) as redis:
            due_s = time.monotonic()
            for session_id, payload in jobs:
                time.sleep(max(0.0, due_s - time.monotonic()))
                self.pushed_s[session_id] = time.time()
                redis.lpush(TASK_LIST, payload)
                due_s += chance.expovariate(per_minute / 60) if per_minute else 0.0

    def redis_use(self) -> RedisUse:
        """The commands and CPU time of Redis so far."""
        assert self.settings.redis_url is not None
        with Redis.from_url(self.settings.redis_url.get_secret_value()) as redis:
            return redis_use(redis)

    def await_done(self, session_ids: Sequence[str], *, within_s: float) -> Events:
        """Wait until all of them are completed."""
        give_up_s = time.monotonic() + within_s
        while left := set(session_ids) - (events := self.events()).completed_s.keys():
            if time.monotonic() > give_up_s:
                raise SystemExit(
                    f"{len(left)} of {len(session_ids)} jobs not done in {within_s:.0f} s"
                )
            time.sleep(0.5)
        return events

    def events(self) -> Events:
        at: dict[str, dict[str, float]] = {}
        for line in self.log.read_text("utf-8").splitlines():
            if line.startswith("{") and '"job_' in line:
                told = json.loads(line)
                when_s = datetime.fromisoformat(told["timestamp"]).timestamp()
                at.setdefault(told["event"], {}).setdefault(str(told.get("session_id")), when_s)
        return Events(
            taken_s=at.get(JobTaken.name(), {}),
            started_s=at.get(JobStarted.name(), {}),
            completed_s=at.get(JobCompleted.name(), {}),
        )


@contextmanager
def under_load(*, latency: str, **environment: str) -> Iterator[Load]:
    """Start everything, and stop it."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        api = stack.enter_context(ImageApiProcess(latency=latency))
        origin = stack.enter_context(photo_server())
        log = folder / "all.log"
        told = {
            "OPENAI_BASE_URL": api.base_url,
            "OPENAI_API_KEY": KEY,
            "WEARON_FETCH_ORIGINS": origin,
            "WEARON_LOG_FORMAT": "json",
            **environment,
        }
        started_s = time.time()
        process = subprocess.Popen(
            [*WEARON, "all", "--local", "--data-dir", str(folder / "data")],
            env={**os.environ, **told},
            stdout=subprocess.DEVNULL,
            stderr=stack.enter_context(log.open("wb")),
        )
        stack.callback(_end, process)
        settings = await_ready(process, folder / "data", log)
        usage = stack.enter_context(Usage(psutil.Process(process.pid)).watching())
        yield Load(
            settings=settings,
            api=api,
            usage=usage,
            log=log,
            photo_origin=origin,
            started_s=started_s,
        )


@contextmanager
def photo_server() -> Iterator[str]:
    server = subprocess.Popen(
        [sys.executable, "-m", "devkit.photo_server"], stdout=subprocess.PIPE, text=True
    )
    assert server.stdout is not None
    try:
        yield f"http://127.0.0.1:{int(server.stdout.readline())}"
    finally:
        _end(server)


def _end(process: subprocess.Popen[bytes] | subprocess.Popen[str]) -> None:
    process.terminate()
    process.wait(timeout=150)


def ordered(load: Load, owner_ids: Sequence[str]) -> list[tuple[str, bytes]]:
    """`Load.order`, for callers without an event loop."""
    return asyncio.run(load.order(owner_ids))
