"""The loop of a worker process during outages of Redis."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from types import SimpleNamespace
from typing import Any, cast

import pytest

from devkit.accounts import USER
from devkit.faults import Faulty
from devkit.world import World
from wearon_cli.adapters.redis import keys
from wearon_cli.core.errors import QueueUnavailable
from wearon_cli.core.session import Status
from wearon_cli.core.settings import Settings
from wearon_cli.runtime.worker.in_process import _Hands
from wearon_cli.runtime.worker.job_loop import RETRY_PAUSE_S, JobLoop
from wearon_cli.wiring.worker import WorkerParts

pytestmark = pytest.mark.anyio


@contextmanager
def loop_over(**parts: Any) -> Iterator[JobLoop]:
    """A loop that was opened over these parts."""
    jobs = JobLoop(Settings(lease_renew_s=0.01))
    jobs._ready.set_result(cast(WorkerParts, SimpleNamespace(**parts)))
    yield jobs
    jobs._loop.close()


def losing_a_claim(world: World, lost: list[object]) -> Any:
    """A journal whose first claim succeeds without an answer; `lost` has that claim."""

    async def lose_the_first_answer(claim: Any, *args: Any, **kwargs: Any) -> Any:
        found = await claim(*args, **kwargs)
        if not lost:
            lost.append(found)
            raise QueueUnavailable
        return found

    return Faulty(world.journal, claim=lose_the_first_answer)


async def test_a_refused_renewal_does_not_end_the_renewals(world: World) -> None:
    """Otherwise the lease expires, and other workers get the jobs of a live worker."""
    with loop_over() as jobs:
        await world.registry.register(jobs.worker)
        keeper = asyncio.create_task(jobs._keep_lease(world.registry))
        rights = partial(world.redis.execute_command, "ACL", "SETUSER", "default")
        await rights("-pexpire")
        try:
            await asyncio.sleep(0.2)
        finally:
            await rights("+pexpire")
        await world.redis.pexpire(keys.worker(jobs.worker.worker_id), 1)
        await asyncio.sleep(2 * RETRY_PAUSE_S)
        assert not keeper.done()
        assert await world.redis.exists(keys.worker(jobs.worker.worker_id))
        keeper.cancel()


async def test_a_claim_whose_answer_was_lost_is_not_forgotten(world: World) -> None:
    """Redis has given the job to this worker: no other can claim it while the worker lives."""
    key = await world.sell(owner_id=USER)
    await world.take_all_in()
    lost: list[object] = []
    with loop_over(journal=losing_a_claim(world, lost)) as jobs:
        await world.registry.register(jobs.worker)
        claim = await asyncio.wait_for(jobs._claim(key.session_id), timeout=60)
    assert lost
    assert claim == lost[0]


async def test_an_operators_claim_whose_answer_was_lost_is_not_forgotten(world: World) -> None:
    """Otherwise `replay-task --now` waits for a job that it has itself."""
    key = await world.sell(owner_id=USER)
    await world.take_all_in()
    lost: list[object] = []
    parts = SimpleNamespace(
        journal=losing_a_claim(world, lost),
        reader=world.journal,
        dispatcher=world.dispatcher,
        runner=world.runner(),
    )
    await world.registry.register(world.worker)
    hands = _Hands(cast(WorkerParts, parts), world.worker, world.settings)
    await asyncio.wait_for(hands._work_on(key.session_id), timeout=30)
    assert lost
    assert (await world.row(key)).status is Status.COMPLETED
