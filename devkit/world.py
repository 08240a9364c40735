"""
A small world to run jobs in: real Redis, the local store, a generator that counts purchases.

`World.crash_at(n)` ends everything at the n-th step to the outside, before or after it happened, as
`kill -9` would: nothing of ours runs after it.
"""

import asyncio
import io
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

from PIL import Image

from wearon_cli.adapters.local.ledger import LocalLedger
from wearon_cli.adapters.local.sessions import LocalSessions
from wearon_cli.adapters.local.storage import LocalStorage
from wearon_cli.adapters.pixel_processes import PixelThreads
from wearon_cli.adapters.redis import keys
from wearon_cli.adapters.redis.client import Client
from wearon_cli.adapters.redis.dead_letters import RedisDeadLetters
from wearon_cli.adapters.redis.intake import RedisIntake
from wearon_cli.adapters.redis.journal import RedisJournal
from wearon_cli.adapters.redis.limiter import RedisLimiter
from wearon_cli.adapters.redis.locks import RedisBreaker, RedisRefundLock
from wearon_cli.core.contract import Task, new_task
from wearon_cli.core.errors import WearonError
from wearon_cli.core.generator import GeneratedPicture, TryOnRequest, Usage
from wearon_cli.core.jobs.generation import Generation
from wearon_cli.core.jobs.intake import TakeIn
from wearon_cli.core.jobs.journal import Claim
from wearon_cli.core.jobs.recovery import Recovery
from wearon_cli.core.jobs.runner import JobRunner, Outcome
from wearon_cli.core.jobs.settlement import Settlement
from wearon_cli.core.session import Channel, NewSession, Session, SessionKey
from wearon_cli.core.settings import Settings


class Crash(BaseException):
    """The process was killed."""


def picture(colour: str = "white") -> bytes:
    """A small real JPEG."""
    held = io.BytesIO()
    Image.new("RGB", (96, 128), colour).save(held, "JPEG")
    return held.getvalue()


PICTURE = picture()


class Fuse:
    """Counts steps to the outside and crashes at the chosen one, before or after it happens."""

    def __init__(self) -> None:
        self.steps = 0
        self.crash_at: int | None = None
        self.after = False

    def wrap(self, port: Any) -> Any:
        return _Fused(port, self)

    def burn(self) -> bool:
        """True when this step is the last."""
        self.steps += 1
        return self.steps == self.crash_at


class _Fused:
    def __init__(self, port: Any, fuse: Fuse) -> None:
        self._port = port
        self._fuse = fuse

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._port, name)
        if not callable(method) or name == "renew":  # renewals run during the job, at any time
            return method

        async def fused(*args: Any, **kwargs: Any) -> Any:
            last = self._fuse.burn()
            if last and not self._fuse.after:
                raise Crash
            try:
                return await method(*args, **kwargs)
            finally:
                if last:
                    raise Crash

        return fused


@dataclass
class PaidGenerator:
    """Implements `Generator`. Every call that gets an answer, or is lost after it left, is paid."""

    plan: list[WearonError | bytes] = field(default_factory=list)  # answers, then pictures
    paid: list[str] = field(default_factory=list)

    async def generate(self, request: TryOnRequest) -> GeneratedPicture:
        answer = self.plan.pop(0) if self.plan else PICTURE
        if isinstance(answer, WearonError) and answer.code != "call_ambiguous":
            raise answer
        self.paid.append(request.session_id)
        if isinstance(answer, WearonError):
            raise answer
        usage = Usage(model="gpt-image-1.5", input_tokens=10, output_tokens=20, cost_usd=0.05)
        return GeneratedPicture(data=answer, usage=usage)


@dataclass
class PlannedFetcher:
    """Implements `Fetcher`."""

    plan: list[WearonError] = field(default_factory=list)

    async def fetch(self, url: str) -> bytes:
        del url
        if self.plan:
            raise self.plan.pop(0)
        return PICTURE


class SilentWaker:
    """Implements `Waker`: the world runs jobs by hand."""

    def __init__(self) -> None:
        self.calls = 0

    async def wake(self) -> None:
        self.calls += 1


class World:
    """Everything a job meets. Build one for each test."""

    def __init__(self, redis: Client, redis_url: str, folder: Path, **settings: Any) -> None:
        self.redis = redis
        self.settings = Settings(**settings)
        self.sessions = LocalSessions(folder / "wearon.db")
        self.ledger = LocalLedger(folder / "wearon.db")
        self.storage = LocalStorage(
            folder / "files", base_url="http://127.0.0.1:1", secret_path=folder / "secret"
        )
        self.generator = PaidGenerator()
        self.fetcher = PlannedFetcher()
        self.waker = SilentWaker()
        self.fuse = Fuse()
        self.pixels = PixelThreads(2)
        self.journal = RedisJournal(
            redis,
            lease_s=self.settings.lease_s,
            requests_per_minute=60_000,
            pictures_per_minute=None,
        )
        self.dead_letters = RedisDeadLetters(redis)
        self.intake = RedisIntake(redis, url=redis_url, wait_s=1.0, heartbeat_s=10.0)

    async def aclose(self) -> None:
        self.pixels.close()
        await self.intake.aclose()

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
    ) -> SessionKey:
        """Take a credit, insert the row, push the job."""
        new = NewSession(
            session_id=str(uuid4()),
            channel=channel,
            owner_id=owner_id,
            model_image_url="https://a.test/person.jpg",
            outfit_image_url="https://a.test/garment.jpg",
            prompt_system="p",
            request_id=(request_id or f"req-{uuid4()}") if channel is Channel.B2B else None,
            shopper_email=shopper,
        )
        if take:
            await self.ledger.take(new, shopper_pays=shopper is not None)
        await self.sessions.insert(new)
        key = SessionKey(channel=channel, session_id=new.session_id)
        if push:
            await self.push(key, owner_id, new.request_id or f"req-{uuid4()}")
        return key

    async def push(self, key: SessionKey, owner_id: str, request_id: str) -> Task:
        task = new_task(
            key=key,
            owner_id=owner_id,
            image_urls=("https://a.test/person.jpg", "https://a.test/garment.jpg"),
            prompt="",
            request_id=request_id,
        )
        await self.intake.push(task.to_json())
        return task

    # ------------------------------------------------------------------ the worker's side

    def take_in(self) -> TakeIn:
        wrap = self.fuse.wrap
        return TakeIn(
            intake=wrap(self.intake),
            journal=wrap(self.journal),
            dead_letters=wrap(self.dead_letters),
            waker=wrap(self.waker),
        )

    def runner(self) -> JobRunner:
        wrap = self.fuse.wrap
        sessions, journal = wrap(self.sessions), wrap(self.journal)
        breaker = RedisBreaker(self.redis)
        return JobRunner(
            journal=journal,
            sessions=sessions,
            generation=Generation(
                sessions=sessions,
                storage=wrap(self.storage),
                journal=journal,
                fetcher=self.fetcher,
                generator=wrap(self.generator),
                limiter=RedisLimiter(
                    self.redis, requests_per_minute=60_000, pictures_per_minute=None
                ),
                breaker=breaker,
                pixels=self.pixels,
                originals=asyncio.Semaphore(8),
                settings=self.settings,
            ),
            settlement=Settlement(
                sessions=sessions,
                ledger=wrap(self.ledger),
                journal=journal,
                dead_letters=wrap(self.dead_letters),
                refund_lock=RedisRefundLock(self.redis),
            ),
            breaker=breaker,
            waker=self.waker,
            settings=self.settings,
        )

    def recovery(self) -> Recovery:
        return Recovery(
            intake=self.intake, journal=self.journal, sessions=self.sessions, waker=self.waker
        )

    async def take_all_in(self) -> None:
        while await self._payloads_before_the_journal():
            await self.take_in().one(wait_s=0.1)

    async def _payloads_before_the_journal(self) -> int:
        own_list = keys.intake(self.intake.consumer_id)
        return int(await self.redis.llen(keys.TASK_LIST) + await self.redis.llen(own_list))

    async def is_at_rest(self) -> bool:
        """True when no job is anywhere any more."""
        jobs = await self.redis.zcard(keys.WAKE) + await self.redis.zcard(keys.READY)
        return not jobs and not await self._payloads_before_the_journal()

    async def run_one(self) -> Outcome | None:
        """Claim and run the next job; None when none waits."""
        runner = self.runner()
        claim = await runner.next_job()
        return await runner.run(claim) if isinstance(claim, Claim) else None

    async def run_all(self, *, until: Callable[[], bool] = lambda: False) -> list[Outcome]:
        """Take in and run until nothing waits."""
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
