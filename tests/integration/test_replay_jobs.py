"""How a worker runs a replay: one journal entry, and the row moves only at the end."""

from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from devkit.accounts import USER, credits_left
from devkit.crashes import (
    REPLAY_ID,
    absorb,
    b2c,
    killed_at,
    let_others_finish,
    replay,
    resell,
)
from devkit.world import PICTURE, World, picture
from wearon_cli.core.credits import CreditState
from wearon_cli.core.errors import GenerationRefused, ModelUnavailable
from wearon_cli.core.jobs.journal import Claim, Ending, Purchase
from wearon_cli.core.session import SessionKey, Status, fail, utc_now
from wearon_cli.core.storage import previous_path

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

type Sale = Callable[[World], Awaitable[SessionKey]]
type Fate = Callable[[World, SessionKey], Awaitable[None]]

MANY = 60
SOLD = pytest.mark.parametrize("sale", [b2c, absorb, resell], ids=lambda sale: sale.__name__)


async def completed(world: World, key: SessionKey) -> None:
    world.generator.plan = [picture("red")]
    assert await world.run_all() == [Ending.COMPLETED]
    world.generator.paid.clear()
    assert (await world.row(key)).status is Status.COMPLETED


async def failed(world: World, key: SessionKey) -> None:
    world.generator.plan = [GenerationRefused()]
    assert await world.run_all() == [Ending.FAILED]
    world.generator.plan = []
    assert (await world.row(key)).status is Status.FAILED


async def state(world: World, key: SessionKey) -> CreditState:
    return (await world.settlement().credit(await world.row(key))).state


@SOLD
async def test_a_free_replay_completes_and_moves_no_credit(world: World, sale: Sale) -> None:
    before = await credits_left(world)
    key = await sale(world)
    await failed(world, key)
    await replay(world, key)
    assert (await world.row(key)).status is Status.FAILED  # until the picture is stored
    assert await world.run_all() == [Ending.COMPLETED]
    row = await world.row(key)
    assert (row.status, row.error_message) == (Status.COMPLETED, None)
    assert await credits_left(world) == before
    assert await state(world, key) is CreditState.FREE


@SOLD
async def test_a_failed_replay_leaves_the_row_unchanged_and_refunds_nothing(
    world: World, sale: Sale
) -> None:
    before = await credits_left(world)
    key = await sale(world)
    await failed(world, key)
    row = await world.row(key)
    for charge in (False, True):
        world.generator.plan = [GenerationRefused()]
        await replay(world, key, charge=charge)
        assert await world.run_all() == [Ending.FAILED]
        assert await world.row(key) == row
        assert await credits_left(world) == before
        assert await state(world, key) is CreditState.RETURNED
        world.generator.plan = []


@SOLD
async def test_a_charged_replay_takes_one_credit_before_anything_is_drawn(
    world: World, sale: Sale
) -> None:
    before = await credits_left(world)
    key = await sale(world)
    await failed(world, key)
    await replay(world, key, charge=True)
    assert await world.run_all() == [Ending.COMPLETED]
    assert await credits_left(world) == before - 1
    assert await state(world, key) is CreditState.CHARGED


async def test_without_its_charge_a_replay_draws_nothing(world: World) -> None:
    key = await b2c(world)
    await failed(world, key)
    for _ in range(await world.ledger.user_balance(USER)):
        await world.sell(owner_id=USER, push=False)
    await replay(world, key, charge=True)
    assert await world.run_all() == [Ending.FAILED]
    assert world.generator.paid == []
    assert await world.ledger.user_balance(USER) == 0
    record = await world.journal.record(key.session_id)
    assert record is not None
    assert record.error_code == "no_credit_left"


async def test_a_redraw_keeps_the_picture_it_replaces(world: World) -> None:
    key = await b2c(world)
    await completed(world, key)
    path = (await world.row(key)).result_path
    first = await world.storage.get(path)
    world.generator.plan = [picture("blue")]
    await replay(world, key, fresh=True)
    assert await world.run_all() == [Ending.COMPLETED]
    assert await world.storage.get(previous_path(path)) == first
    assert await world.storage.get(path) != first
    assert await state(world, key) is CreditState.SPENT


async def test_a_redraw_that_fails_leaves_the_first_picture_delivered(world: World) -> None:
    """Seen: it was refused, and a session whose picture is still delivered was refunded."""
    before = await credits_left(world)
    key = await b2c(world)
    await completed(world, key)
    row = await world.row(key)
    first = await world.storage.get(row.result_path)
    world.generator.plan = [GenerationRefused()]
    await replay(world, key, fresh=True, charge=True)
    assert await world.run_all() == [Ending.FAILED]
    assert await world.row(key) == row
    assert await world.storage.get(row.result_path) == first
    assert await credits_left(world) == before - 1


async def test_a_model_that_an_operator_chose_halts_nothing(world: World) -> None:
    """Seen: a replay with a retired model opened the breaker for all users, and never ended."""
    key = await b2c(world)
    await failed(world, key)
    world.generator.plan = [ModelUnavailable()]
    await replay(world, key, model="gpt-image-1")
    assert await world.run_all() == [Ending.FAILED]
    assert await world.breakers.halts() == []
    assert (await world.row(key)).status is Status.FAILED


async def test_a_row_that_changed_since_the_plan_is_not_moved_and_the_charge_is_refunded(
    world: World,
) -> None:
    before = await credits_left(world)
    key = await b2c(world)
    await failed(world, key)
    await replay(world, key, charge=True)
    claim = await world.claim(key.session_id) or await _claimed(world, key)
    await world.settlement().charge(await world.row(key), REPLAY_ID)
    back = replace(fail("x"), expected=frozenset({Status.FAILED}), to=Status.COMPLETED)
    await world.sessions.apply(key, back)
    disposition = await world.runner().run(claim)
    assert disposition.closing is not None
    assert world.generator.paid == []
    assert await credits_left(world) == before


async def _claimed(world: World, key: SessionKey) -> Claim:
    await world.registry.register(world.worker)
    claim = await world.claim(key.session_id)
    assert claim is not None
    return claim


@pytest.mark.parametrize("after", [False, True], ids=["before the step", "after the step"])
@pytest.mark.parametrize("was", [failed, completed], ids=["failed", "completed"])
@pytest.mark.parametrize("charge", [False, True], ids=["free", "charged"])
@SOLD
async def test_a_replay_killed_at_any_step_continues_and_counts_once(
    world: World,
    sale: Sale,
    was: Fate,
    charge: bool,
    after: bool,
) -> None:
    for step in range(1, MANY):
        before = await credits_left(world)
        key = await sale(world)
        await was(world, key)
        spent = before - await credits_left(world)
        path = (await world.row(key)).result_path
        first = await world.storage.get(path) if was is completed else None
        world.generator.plan = [picture("blue")] * 3
        world.generator.paid.clear()
        await replay(world, key, fresh=was is completed, charge=charge)
        crashed = await killed_at(world, step, after=after)
        world.generator.plan = []
        where = f"step {step}"
        assert (await world.row(key)).status is Status.COMPLETED, where
        assert await credits_left(world) == before - spent - charge, where
        assert len(world.generator.paid) <= 2, where
        assert await world.is_at_rest(), where
        if first is not None:
            assert await world.storage.get(previous_path(path)) == first, where
            assert await world.storage.get(path) != first, where
        if not crashed:
            assert step > 10
            return
    raise AssertionError("a replay has more steps than this test looks at")


@pytest.mark.parametrize("after", [False, True], ids=["before the step", "after the step"])
async def test_a_charged_replay_that_finishes_a_stored_picture_keeps_its_charge(
    world: World, after: bool
) -> None:
    """Seen: killed between the row and the close, it refunded the charge although there was a
    picture.
    """
    for step in range(1, MANY):
        before = await credits_left(world)
        key = await b2c(world)
        await failed(world, key)
        row = await world.row(key)
        await world.storage.put(row.result_path, PICTURE, content_type="image/jpeg")
        letter_id = await world.dead_letters.bury(
            b"x", reason="x", error_code="x", attempts=1, session_id=key.session_id
        )
        await replay(world, key, charge=True, letter_id=letter_id)
        crashed = await killed_at(world, step, after=after)
        where = f"step {step}"
        assert (await world.row(key)).status is Status.COMPLETED, where
        assert await state(world, key) is CreditState.CHARGED, where
        assert await credits_left(world) == before - 1, where
        assert await world.dead_letters.get(letter_id) is None, where
        assert world.generator.paid == [], where
        if not crashed:
            assert step > 5
            return
    raise AssertionError("a replay has more steps than this test looks at")


async def test_a_redraw_killed_once_its_picture_is_stored_buys_no_second(world: World) -> None:
    """Seen: only the journal was asked whether the new picture was stored."""
    key = await b2c(world)
    await completed(world, key)
    path = (await world.row(key)).result_path
    first, second = await world.storage.get(path), picture("blue")
    await replay(world, key, fresh=True)
    claim = await _claimed(world, key)
    purchase = Purchase(number=1, provider="openai", model="x", started_at=utc_now())
    await world.journal.start_purchase(claim, purchase, pictures=2)
    await world.storage.put(previous_path(path), first, content_type="image/jpeg")
    await world.journal.previous_kept(claim)
    await world.storage.put(path, second, content_type="image/jpeg")
    await let_others_finish(world)
    assert world.generator.paid == []
    assert await world.storage.get(path) == second
    assert await world.storage.get(previous_path(path)) == first
    assert (await world.row(key)).status is Status.COMPLETED
    assert await world.is_at_rest()
