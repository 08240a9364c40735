"""
A small environment for jobs: real Redis, the local store, a generator that counts purchases.

Its `fuse` stops everything at a chosen outside call, before or after the call, like `kill -9`: no
code of ours runs afterwards.
"""

import io
import json
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Any
from uuid import uuid4

from PIL import Image

from devkit.faults import Fuse
from devkit.providers import MODELS, ProviderUnderTest
from wearon_cli.adapters.local.db import time_text
from wearon_cli.adapters.local.ledger import LocalLedger
from wearon_cli.adapters.local.sessions import LocalSessions
from wearon_cli.adapters.local.storage import LocalStorage
from wearon_cli.adapters.pixels.processes import PixelProcesses
from wearon_cli.adapters.pose.checks import CheckProcess
from wearon_cli.adapters.pose.model_file import model_path
from wearon_cli.adapters.redis import keys
from wearon_cli.adapters.redis.breakers import RedisBreakers
from wearon_cli.adapters.redis.client import Client
from wearon_cli.adapters.redis.dead_letters import RedisDeadLetters
from wearon_cli.adapters.redis.dispatcher import RedisDispatcher
from wearon_cli.adapters.redis.intake import RedisIntake
from wearon_cli.adapters.redis.journal import RedisJournal
from wearon_cli.adapters.redis.locks import RedisRefundLock
from wearon_cli.adapters.redis.workers import RedisWorkers
from wearon_cli.core.contract import Task, new_task
from wearon_cli.core.errors import WearonError
from wearon_cli.core.jobs.breakers import provider_breaker
from wearon_cli.core.jobs.intake import TakeIn
from wearon_cli.core.jobs.journal import Claim, Ending, HandBack
from wearon_cli.core.jobs.offers import Catalogue
from wearon_cli.core.jobs.recovery import Recovery
from wearon_cli.core.jobs.runner import JobRunner
from wearon_cli.core.jobs.settlement import Settlement
from wearon_cli.core.jobs.workers import Worker
from wearon_cli.core.ledger import payer_for
from wearon_cli.core.pictures.ports import Fetcher
from wearon_cli.core.providers import (
    GeneratedPicture,
    OneShot,
    Provider,
    TryOnRequest,
    Usage,
)
from wearon_cli.core.session import Channel, NewSession, Session, SessionKey, utc_now
from wearon_cli.core.session_store import SessionStore
from wearon_cli.core.settings import Settings
from wearon_cli.wiring.providers import catalogue_of
from wearon_cli.wiring.worker import job_runner

#: Scores of the places of a job (adapters/redis/lua/common.lua).
RELEASED_FROM = -1e11
RELEASED_BELOW = -5e10
WAITING_FROM = 1e9
RUNNING_FROM = 1e11


def picture(colour: str = "white") -> bytes:
    """A small real JPEG."""
    held = io.BytesIO()
    Image.new("RGB", (96, 128), colour).save(held, "JPEG")
    return held.getvalue()


PICTURE = picture()
IMAGE_URLS = ("https://a.test/person.jpg", "https://a.test/garment.jpg")


@dataclass
class PaidProvider(OneShot):
    """Implements `Provider`. Every call that is answered, or lost after it was sent, is paid."""

    plan: list[WearonError | bytes] = field(default_factory=list)  # answers, then pictures
    paid: list[str] = field(default_factory=list)
    asked: list[TryOnRequest] = field(default_factory=list)
    prepared_after: list[str | None] = field(default_factory=list)
    name: str = "openai"
    cost_usd: float = 0.05

    async def prepare(self, session_id: str, *, after: str | None = None) -> None:
        del session_id
        self.prepared_after.append(after)

    async def submit(
        self, request: TryOnRequest, *, model: str, marker: str | None
    ) -> GeneratedPicture:
        del marker
        self.asked.append(request)
        answer = self.plan.pop(0) if self.plan else PICTURE
        if isinstance(answer, WearonError) and answer.code != "call_ambiguous":
            raise answer
        self.paid.append(request.session_id)
        if isinstance(answer, WearonError):
            raise answer
        usage = Usage(
            provider=self.name,
            model=model,
            input_tokens=10,
            output_tokens=20,
            cost_usd=self.cost_usd,
        )
        return GeneratedPicture(data=answer, usage=usage)


@dataclass
class PlannedFetcher:
    """Implements `Fetcher`."""

    plan: list[WearonError | bytes] = field(default_factory=list)  # answers, then pictures

    async def fetch(self, url: str) -> bytes:
        del url
        answer = self.plan.pop(0) if self.plan else PICTURE
        if isinstance(answer, WearonError):
            raise answer
        return answer


class World:
    """Everything that a job needs. Create one per test."""

    def __init__(
        self,
        redis: Client,
        redis_url: str,
        folder: Path,
        *,
        sold_by: ProviderUnderTest | None = None,  # instead of the generator
        **settings: Any,
    ) -> None:
        self.redis = redis
        self.folder = folder
        self.sold_by = sold_by
        if sold_by:
            settings |= {
                "providers": (sold_by.provider.name,),
                "openai_image_models": (MODELS["responses"],),
            }
        # Its pictures are small and of one colour, the same for person and garment.
        self.settings = Settings(**{"check_inputs": "off", "check_results": "off", **settings})
        self.sessions = LocalSessions(folder / "wearon.db")
        self.ledger = LocalLedger(folder / "wearon.db")
        self.storage = LocalStorage(
            folder / "files", base_url="http://127.0.0.1:1", secret_path=folder / "secret"
        )
        self.generator = PaidProvider()
        self.second = PaidProvider(name="runware", cost_usd=0.015)  # used when it is configured
        self.fetcher = PlannedFetcher()
        self.fuse = Fuse()
        self.pixels = PixelProcesses(1)
        self.checks = CheckProcess(model_path(self.settings))
        self.journal = RedisJournal(redis, requests_per_minute=60_000, pictures_per_minute=None)
        self.breakers = RedisBreakers(redis)
        self.registry = RedisWorkers(redis, lease_s=self.settings.lease_s)
        self.dispatcher = RedisDispatcher(
            redis,
            url=redis_url,
            providers=tuple(map(provider_breaker, self.settings.provider_names)),
            requests_per_minute=60_000,
            pictures_per_minute=None,
        )
        self.worker = Worker(worker_id=f"world-{uuid4()}", slots=8, host="here", pid=1)
        self.dead_letters = RedisDeadLetters(redis)
        self.intake = RedisIntake(redis, url=redis_url, wait_s=1.0, heartbeat_s=10.0)

    async def aclose(self) -> None:
        await self.pixels.aclose()
        await self.checks.aclose()
        await self.intake.aclose()
        await self.dispatcher.aclose()

    # ------------------------------------------------------------------ the platform's side

    async def sell(
        self,
        channel: Channel = Channel.B2C,
        *,
        owner_id: str,
        request_id: str | None = None,
        shopper: str | None = None,
        take: bool = True,
        push: bool = True,
        image_urls: tuple[str, str] = IMAGE_URLS,
    ) -> SessionKey:
        """Take a credit, insert the row, push the job."""
        new = NewSession(
            session_id=str(uuid4()),
            channel=channel,
            owner_id=owner_id,
            model_image_url=image_urls[0],
            outfit_image_url=image_urls[1],
            prompt_system="p",
            request_id=(request_id or f"req-{uuid4()}") if channel is Channel.B2B else None,
            shopper_email=shopper,
        )
        if take:
            payer = payer_for(new, shopper_pays=shopper is not None)
            await self.ledger.take(payer, "Virtual try-on generation")
        await self.sessions.insert(new)
        key = SessionKey(channel=channel, session_id=new.session_id)
        if push:
            request_id = new.request_id or f"req-{uuid4()}"
            await self.push(key, owner_id, request_id, image_urls=image_urls)
        return key

    async def push(
        self,
        key: SessionKey,
        owner_id: str,
        request_id: str,
        *,
        image_urls: tuple[str, ...] = IMAGE_URLS,
        accessories: int = 0,
    ) -> Task:
        task = new_task(
            key=key,
            owner_id=owner_id,
            image_urls=(
                *image_urls,
                *(f"https://a.test/accessory-{number}.jpg" for number in range(accessories)),
            ),
            prompt="",
            request_id=request_id,
        )
        await self.intake.push(task.to_json())
        return task

    async def make_old(self, key: SessionKey, *, minutes: float) -> None:
        """Make the row this old."""
        created_at = utc_now() - timedelta(minutes=minutes)
        with closing(sqlite3.connect(self.folder / "wearon.db")) as db, db:
            db.execute(
                f"UPDATE {key.channel.table} SET created_at = ? WHERE id = ?",
                (time_text(created_at), key.session_id),
            )

    # ------------------------------------------------------------------ the worker's side

    def take_in(self) -> TakeIn:
        wrap = self.fuse.wrap
        return TakeIn(
            intake=wrap(self.intake),
            jobs=wrap(self.journal),
            dead_letters=wrap(self.dead_letters),
            bucket=self.settings.bucket,
        )

    def settlement(self) -> Settlement:
        wrap = self.fuse.wrap
        return Settlement(
            sessions=wrap(self.sessions),
            ledger=wrap(self.ledger),
            journal=wrap(self.journal),
            reader=self.journal,
            dead_letters=wrap(self.dead_letters),
            refund_lock=RedisRefundLock(self.redis),
        )

    def runner(self, fetcher: Fetcher | None = None) -> JobRunner:
        wrap = self.fuse.wrap
        store = SessionStore(
            sessions=wrap(self.sessions), ledger=wrap(self.ledger), storage=wrap(self.storage)
        )
        return job_runner(
            store=store,
            journal=wrap(self.journal),
            dead_letters=wrap(self.dead_letters),
            breakers=self.breakers,
            settlement=self.settlement(),
            fetcher=fetcher or self.fetcher,
            catalogue=self.catalogue,
            pixels=self.pixels,
            checks=self.checks,
            settings=self.settings,
        )

    @cached_property
    def catalogue(self) -> Catalogue:
        """The offers of this world's one worker process."""
        sellers: list[Provider] = [self.generator, self.second]
        if self.sold_by:
            sellers.append(self.sold_by.provider)
        providers = {each.name: each for each in sellers}
        asked = {name: self.fuse.wrap(providers[name]) for name in self.settings.provider_names}
        return catalogue_of(asked, self.settings)

    def recovery(self) -> Recovery:
        return Recovery(
            intake=self.intake,
            journal=self.journal,
            dispatcher=self.dispatcher,
            sessions=self.sessions,
            max_wait_s=self.settings.max_wait_s,
        )

    async def take_all_in(self) -> None:
        while await self._payloads_before_the_journal():
            await self.take_in().one(wait_s=0.1)

    async def _payloads_before_the_journal(self) -> int:
        own_list = keys.intake(self.intake.consumer_id)
        return int(await self.redis.llen(keys.TASK_LIST) + await self.redis.llen(own_list))

    async def kill_worker(self) -> None:
        """The worker process is dead, and its lease has expired."""
        await self.redis.delete(keys.worker(self.worker.worker_id))
        self.worker = replace(self.worker, worker_id=f"world-{uuid4()}")
        await self.recovery().recover_jobs()

    async def pass_time(self) -> None:
        """Make every due time, deadline and refund lock pass."""
        for session_id, score in await self.redis.zrange(keys.JOBS, 0, -1, withscores=True):
            if score < RELEASED_BELOW:
                await self.redis.zadd(keys.JOBS, {session_id: RELEASED_FROM})
            elif WAITING_FROM <= score < RUNNING_FROM:
                await self.redis.zadd(keys.JOBS, {session_id: WAITING_FROM + 1})
                await self.redis.hset(keys.job(session_id.decode()), "due_at", 1)
        async for name in self.redis.scan_iter(keys.refund_lock("*")):
            await self.redis.delete(name)
        await self.recovery().recover_jobs()

    async def let_probe(self) -> None:
        """Make the next probe of every open breaker due."""
        for name, text in (await self.redis.hgetall(keys.BREAKERS)).items():
            breaker = json.loads(text) | {"probe_at": 1, "job_at": 1}
            await self.redis.hset(keys.BREAKERS, name, json.dumps(breaker))

    async def open_jobs(self) -> int:
        """Jobs in the journal."""
        return int(await self.redis.zcard(keys.JOBS))

    async def is_at_rest(self) -> bool:
        """True when there is no job left anywhere."""
        return not await self.open_jobs() and not await self._payloads_before_the_journal()

    async def run_one(self) -> Ending | HandBack | None:
        """Release, claim and run the next job; None when none may run now."""
        await self.registry.register(self.worker)
        release = await self.dispatcher.release(limit=1)
        if not release.jobs:
            return None
        return await self.do(release.jobs[0].session_id)

    async def claim(self, session_id: str) -> Claim | None:
        """Claim a job by its id, for this world's worker."""
        return await self.journal.claim(
            session_id, worker_id=self.worker.worker_id, token=uuid4().hex
        )

    async def do(self, session_id: str) -> Ending | HandBack | None:
        """Claim a job by its id and run it."""
        claim = await self.claim(session_id)
        if claim is None:
            return None
        disposition = await self.runner().run(claim)
        return disposition.closing.ending if disposition.closing else disposition.why

    async def run_all(
        self, *, until: Callable[[], bool] = lambda: False
    ) -> list[Ending | HandBack]:
        """Take and run jobs until none may run."""
        outcomes = []
        await self.take_all_in()
        while not until() and (outcome := await self.run_one()) is not None:
            outcomes.append(outcome)
        return outcomes

    async def row(self, key: SessionKey) -> Session:
        row = await self.sessions.get(key)
        assert row is not None
        return row

    async def events(self, key: SessionKey) -> list[object]:
        return [line["event"] for line in await self.journal.timeline(key.session_id)]


#: Makes a world, with settings of its own.
type MakeWorld = Callable[..., Awaitable[World]]
