"""Builds what the `celery` role works with."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Final

from wearon_cli.adapters.pixels.processes import PixelProcesses
from wearon_cli.adapters.redis.breakers import RedisBreakers
from wearon_cli.adapters.redis.dead_letters import RedisDeadLetters
from wearon_cli.adapters.redis.workers import RedisWorkers
from wearon_cli.core.checks.ports import PictureChecks
from wearon_cli.core.jobs.breakers import Breakers
from wearon_cli.core.jobs.checking import Checker
from wearon_cli.core.jobs.dead_letters import DeadLetters
from wearon_cli.core.jobs.drawing import Drawing
from wearon_cli.core.jobs.generation import Generation
from wearon_cli.core.jobs.journal import Dispatcher, JobReader, Journal
from wearon_cli.core.jobs.keeping import Keeper
from wearon_cli.core.jobs.offers import Catalogue
from wearon_cli.core.jobs.purchasing import Buyer, Gate
from wearon_cli.core.jobs.retrieval import Retriever
from wearon_cli.core.jobs.runner import JobRunner
from wearon_cli.core.jobs.settlement import Settlement
from wearon_cli.core.jobs.workers import WorkerRegistry
from wearon_cli.core.pictures.ports import Fetcher, PixelPool
from wearon_cli.core.pictures.slots import FairSlots
from wearon_cli.core.session_store import SessionStore
from wearon_cli.core.settings import Settings
from wearon_cli.wiring.parts import (
    open_checks,
    open_dispatcher,
    open_fetcher,
    open_journal,
    open_redis,
    open_settlement,
    open_store,
)
from wearon_cli.wiring.provenance import open_marking
from wearon_cli.wiring.providers import open_catalogue

#: Pictures waiting for, and in, the pixel processes. A single owner may have half of them: two per
#: process, so that none is idle and another owner's picture waits for two at most.
PREPARING_PER_CORE: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerParts:
    """What the `celery` role works with."""

    runner: JobRunner
    journal: Journal
    reader: JobReader
    registry: WorkerRegistry
    dispatcher: Dispatcher  # finds due jobs while no consumer runs


@asynccontextmanager
async def open_worker(settings: Settings) -> AsyncIterator[WorkerParts]:
    """Adapters and rules of the `celery` role."""

    async with AsyncExitStack() as stack:
        redis = await open_redis(stack, settings)
        store = await open_store(stack, settings, checked=True)
        pixels = PixelProcesses()
        stack.push_async_callback(pixels.aclose)
        journal, dead_letters = open_journal(redis, settings), RedisDeadLetters(redis)
        fetcher = await open_fetcher(stack, settings)
        checks = open_checks(stack, settings)
        if _loads_checks(settings):
            loading = asyncio.create_task(checks.load())
            stack.callback(loading.cancel)
        runner = job_runner(
            store=store,
            journal=journal,
            dead_letters=dead_letters,
            breakers=RedisBreakers(redis),
            settlement=open_settlement(redis, store, journal, dead_letters),
            fetcher=fetcher,
            catalogue=await open_catalogue(stack, settings, fetcher),
            pixels=pixels,
            checks=checks,
            settings=settings,
        )
        yield WorkerParts(
            runner=runner,
            journal=journal,
            reader=journal,
            registry=RedisWorkers(redis, lease_s=settings.lease_s),
            dispatcher=open_dispatcher(stack, redis, settings),
        )


def _loads_checks(settings: Settings) -> bool:
    """Whether the checks' process starts with the worker; on a local stack its 130 MB can wait."""
    checks = settings.check_inputs != "off" or settings.check_results != "off"
    return checks and not settings.is_local


def job_runner(
    *,
    store: SessionStore,
    journal: Journal,
    dead_letters: DeadLetters,
    breakers: Breakers,
    settlement: Settlement,
    fetcher: Fetcher,
    catalogue: Catalogue,
    pixels: PixelPool,
    checks: PictureChecks,
    settings: Settings,
) -> JobRunner:
    """The rules of a worker over these adapters."""
    keeper = Keeper(storage=store.storage, journal=journal, breakers=breakers)
    drawing = Drawing(
        sessions=store.sessions,
        journal=journal,
        fetcher=fetcher,
        pixels=pixels,
        checker=Checker(checks=checks, journal=journal, settings=settings),
        buyer=_buyer(journal, catalogue, breakers, keeper, pixels, settings),
        keeper=keeper,
        originals=FairSlots(settings.pictures_in_memory),
        preparing=FairSlots(PREPARING_PER_CORE * (os.cpu_count() or 1)),
        settings=settings,
    )
    generation = Generation(
        sessions=store.sessions,
        storage=store.storage,
        journal=journal,
        drawing=drawing,
        keeper=keeper,
    )
    return JobRunner(
        journal=journal,
        sessions=store.sessions,
        generation=generation,
        settlement=settlement,
        dead_letters=dead_letters,
        settings=settings,
    )


def _buyer(
    journal: Journal,
    catalogue: Catalogue,
    breakers: Breakers,
    keeper: Keeper,
    pixels: PixelPool,
    settings: Settings,
) -> Buyer:
    return Buyer(
        journal=journal,
        catalogue=catalogue,
        breakers=breakers,
        retriever=Retriever(
            journal=journal,
            providers=catalogue.providers,
            pixels=pixels,
            marking=open_marking(settings),
            timeout_s=settings.openai_timeout_s,
            with_small=settings.check_results != "off",
        ),
        keeper=keeper,
        gate=Gate(),
        settings=settings,
    )
