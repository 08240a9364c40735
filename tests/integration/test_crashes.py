"""
The process dies at every outside call, before and after it took effect; then others continue.

Afterwards the credit is spent on a picture or returned, never both and never neither, and a picture
was bought at most once more than the crash explains.
"""

from collections.abc import Awaitable, Callable

import pytest

from devkit.accounts import credits_left
from devkit.crashes import SALES, b2c, killed_at, let_others_finish
from devkit.world import World
from wearon_cli.core.errors import GenerationRefused, PictureUnavailable
from wearon_cli.core.jobs.journal import Ending, Purchase
from wearon_cli.core.session import Completion, SessionKey, Status, complete, utc_now

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

#: No job makes more outside calls than this.
MANY = 60


async def crash_everywhere(
    world: World, sale: Callable[[World], Awaitable[SessionKey]], fate: str, *, after: bool
) -> int:
    """One try-on for each step that can be the last. Returns the number of steps."""
    for step in range(1, MANY):
        before = await credits_left(world)
        key = await sale(world)
        taken = before - await credits_left(world)
        world.generator.paid.clear()
        world.generator.plan = [GenerationRefused()] * 3 if fate == "refused" else []
        world.fetcher.plan = [PictureUnavailable()] * 6 if fate == "no picture" else []
        crashed = await killed_at(world, step, after=after)
        where = f"{sale.__name__}, {fate}, step {step}, {'after' if after else 'before'}"
        row = await world.row(key)
        wanted = Status.COMPLETED if fate == "picture" else Status.FAILED
        owed = 0 if fate == "picture" else taken
        assert row.status is wanted, where
        assert await credits_left(world) == before - taken + owed, where
        assert len(world.generator.paid) <= (2 if fate == "picture" else 0), where
        assert await world.journal.entry(key.session_id) is None, where
        assert await world.is_at_rest(), where
        if not crashed:
            assert len(world.generator.paid) == (1 if fate == "picture" else 0), where
            return step
    raise AssertionError("the way of a job has more steps than this test looks at")


@pytest.mark.parametrize("after", [False, True], ids=["before the step", "after the step"])
@pytest.mark.parametrize("fate", ["picture", "refused", "no picture"])
@pytest.mark.parametrize("sale", SALES, ids=lambda sale: sale.__name__)
async def test_a_crash_at_any_step_loses_nothing(
    world: World, sale: Callable[[World], Awaitable[SessionKey]], fate: str, after: bool
) -> None:
    steps = await crash_everywhere(world, sale, fate, after=after)
    assert steps > 10  # it did crash in many places


async def test_a_worker_killed_in_a_paid_call_makes_the_job_buy_once_more(
    world: World,
) -> None:
    key = await b2c(world)
    await world.take_all_in()
    await world.registry.register(world.worker)
    await world.dispatcher.release(limit=1)
    claim = await world.claim(key.session_id)
    assert claim is not None
    purchase = Purchase(number=1, provider="openai", model="gpt-image-1.5", started_at=utc_now())
    assert await world.journal.start_purchase(claim, purchase, pictures=2) == 0
    world.generator.paid.append(key.session_id)  # it left, and the worker died
    await let_others_finish(world)
    assert (await world.row(key)).status is Status.COMPLETED
    assert len(world.generator.paid) == 2
    record = await world.journal.record(key.session_id)
    assert record is not None
    assert (record.purchases, record.purchases_lost) == (2, 1)


async def test_a_picture_of_a_job_killed_twice_is_recorded_as_kept(world: World) -> None:
    """Seen: killed after the upload and again after the row, the third attempt recorded it as
    lost.
    """
    key = await b2c(world)
    await world.take_all_in()
    await world.registry.register(world.worker)
    claim = await world.claim(key.session_id)
    assert claim is not None
    purchase = Purchase(number=1, provider="openai", model="x", started_at=utc_now())
    await world.journal.start_purchase(claim, purchase, pictures=2)
    done = Completion(generated_image_url="u", processing_time_ms=1, completed_at=utc_now())
    assert await world.sessions.apply(key, complete(done))
    await world.kill_worker()
    assert await world.run_all() == [Ending.COMPLETED]
    record = await world.journal.record(key.session_id)
    assert record is not None
    assert (record.purchases, record.purchases_lost) == (1, 0)
