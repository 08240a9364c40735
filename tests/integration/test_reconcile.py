"""Discrepancies are found, and corrected once where they are proved."""

import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from devkit.accounts import SHOPPER, STORE, USER, credits_left
from devkit.crashes import absorb, b2c, overage, resell
from devkit.faults import Crash, Faulty
from devkit.operators import DAY, Operators
from devkit.world import PICTURE, World
from wearon_cli.adapters.redis import keys
from wearon_cli.adapters.redis.locks import RedisRefundLock
from wearon_cli.core.credits import CreditState
from wearon_cli.core.errors import (
    GenerationRefused,
    QueueUnavailable,
    StoreRefused,
    StoreUnavailable,
)
from wearon_cli.core.jobs.journal import Ending, HandBack
from wearon_cli.core.jobs.recovery import orphan_job
from wearon_cli.core.ledger import Payer
from wearon_cli.core.operator import reconcile
from wearon_cli.core.operator.inspector import JobLocation, SessionReport
from wearon_cli.core.operator.reconcile import Case, Discrepancy, Reconciler
from wearon_cli.core.operator.try_on import Order, Upload
from wearon_cli.core.session import (
    Channel,
    NewSession,
    Session,
    SessionKey,
    Status,
    fail,
    utc_now,
)

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

type Sale = Callable[[World], Awaitable[SessionKey]]

SOLD = pytest.mark.parametrize("sale", [b2c, absorb, resell], ids=lambda sale: sale.__name__)
STORES = pytest.mark.parametrize("sale", [absorb, resell], ids=lambda sale: sale.__name__)
USER_PAYS = Payer(channel=Channel.B2C, owner_id=USER)


@pytest.fixture(autouse=True)
def young_sessions_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconcile, "YOUNG", timedelta(0))


async def found(operators: Operators) -> list[Case]:
    _, cases = await operators.reconciler.find(utc_now() - DAY, limit=100)
    return cases


async def kinds(operators: Operators) -> list[Discrepancy]:
    return [case.discrepancy for case in await found(operators)]


async def fix_all(operators: Operators) -> list[Case]:
    return [await operators.reconciler.fix(case) for case in await found(operators)]


async def failed_by_another(world: World, key: SessionKey) -> Session:
    """The platform, or an unknown worker, moved the row."""
    await world.redis.flushall()
    row = await world.sessions.apply(key, fail("somebody else's sentence"))
    assert row is not None
    return row


async def failed_by_us(world: World, key: SessionKey) -> Session:
    world.generator.plan = [GenerationRefused()]
    assert await world.run_all() == [Ending.FAILED]
    return await world.row(key)


def forget(tmp_path: Path, sql: str, *values: str) -> None:
    """A change by hand in the database."""
    with sqlite3.connect(tmp_path / "wearon.db") as db:
        db.execute(sql, values)
    db.close()


# ------------------------------------------------------------------ what fits


async def test_healthy_sessions_are_not_reported(world: World, operators: Operators) -> None:
    for sale in (b2c, absorb, resell):
        await sale(world)
    await world.run_all()
    assert await found(operators) == []


@SOLD
async def test_failed_and_refunded_sessions_are_not_reported(
    world: World,
    operators: Operators,
    sale: Sale,
) -> None:
    await failed_by_us(world, await sale(world))
    assert await found(operators) == []


@SOLD
@pytest.mark.parametrize("charge", [False, True], ids=["free", "charged"])
async def test_replays_are_recognised(
    world: World,
    operators: Operators,
    sale: Sale,
    charge: bool,
) -> None:
    """Seen: all replays as `refunded_and_completed`, exit 5."""
    key = await sale(world)
    await failed_by_us(world, key)
    await operators.replay(key, charge=charge)
    await world.run_all()
    state = (await operators.report(key)).credit.state
    assert state is (CreditState.CHARGED if charge else CreditState.FREE)
    assert await found(operators) == []


async def test_young_and_running_sessions_are_skipped(world: World, operators: Operators) -> None:
    key = await b2c(world)
    assert await found(operators) == []  # in the platform's list
    await world.take_all_in()
    assert await found(operators) == []  # in the journal
    assert (await operators.report(key)).location is JobLocation.READY
    await world.redis.flushall()
    assert await found(Operators(world, orphan_age_s=3600.0)) == []


async def test_a_running_charged_replay_is_not_owed(world: World, operators: Operators) -> None:
    key = await b2c(world)
    await failed_by_us(world, key)
    plan = await operators.replay(key, charge=True)
    await world.settlement().charge(await world.row(key), plan.replay_id)  # as its worker does
    assert (await operators.report(key)).credit.state is CreditState.HELD
    assert await found(operators) == []


# ------------------------------------------------------------------ what is owed


@STORES
async def test_an_owed_credit_of_a_store_is_refunded_once(
    world: World,
    operators: Operators,
    sale: Sale,
) -> None:
    before = await credits_left(world)
    await failed_by_another(world, await sale(world))
    (case,) = await found(operators)
    assert case.discrepancy is Discrepancy.OWED
    assert (await operators.reconciler.fix(case, by="ada")).fixed == "credit returned"
    last = (await world.journal.timeline(case.session.session_id))[-1]
    assert (last["event"], last["by"]) == ("reconciled", "ada")
    for _ in range(2):
        assert (await operators.reconciler.fix(case)).fixed == "nothing left to do"
    assert await credits_left(world) == before
    assert await found(operators) == []


async def test_a_user_is_owed_what_we_failed_and_did_not_return(
    world: World, operators: Operators, tmp_path: Path
) -> None:
    """A goodwill refund in the same minute proves nothing, and replaces nothing."""
    key = await b2c(world)
    row = await failed_by_us(world, key)
    forget(tmp_path, "DELETE FROM credit_transactions WHERE type = 'refund'")
    await world.ledger.refund(USER_PAYS, "Sorry for the trouble")
    (case,) = await found(operators)
    assert case.discrepancy is Discrepancy.OWED
    assert (await operators.reconciler.fix(case)).fixed == "credit returned"
    assert len(await world.ledger.entries_of(row)) == 1
    assert await found(operators) == []


async def test_a_charge_whose_replay_ended_without_a_picture_is_refunded(
    world: World, operators: Operators
) -> None:
    key = await absorb(world)
    row = await failed_by_us(world, key)
    before = await credits_left(world)
    await world.settlement().charge(row, "0badcafe")  # and then Redis lost its job
    (case,) = await found(operators)
    assert (case.discrepancy, case.is_fixable) == (Discrepancy.OWED, True)
    assert (await operators.reconciler.fix(case)).fixed == "credit returned"
    assert await credits_left(world) == before
    assert await found(operators) == []


async def test_a_second_run_finds_nothing_new(world: World, operators: Operators) -> None:
    for sale in (b2c, absorb, resell, overage):
        await failed_by_another(world, await sale(world))
    first = await fix_all(operators)
    before = await credits_left(world)
    second = await fix_all(operators)
    assert {case.discrepancy for case in first if case.fixed} == {Discrepancy.OWED}
    assert [case.fixed for case in second] == [None, None]
    assert {case.discrepancy for case in second} == {
        Discrepancy.OVERAGE,
        Discrepancy.CREDIT_UNCLEAR,
    }
    assert await credits_left(world) == before


async def test_what_a_replay_completed_meanwhile_is_not_refunded(
    world: World, operators: Operators
) -> None:
    """Seen: a stale row was refunded that a replay had completed."""
    key = await absorb(world)
    await failed_by_another(world, key)
    (case,) = await found(operators)
    await operators.replay(key)
    assert (await operators.reconciler.fix(case)).fixed == "skipped: a worker holds it"
    assert await world.run_all() == [Ending.COMPLETED]
    before = await credits_left(world)
    assert (await operators.reconciler.fix(case)).fixed == "nothing left to do"
    assert await credits_left(world) == before
    assert (await operators.report(key)).credit.state is CreditState.SPENT


async def test_a_charge_that_paid_for_a_picture_meanwhile_is_not_refunded(
    world: World, operators: Operators, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen: a replay took and used it between the check and the refund, and the charge was
    refunded.
    """
    key = await absorb(world)
    row = await failed_by_us(world, key)
    await world.settlement().charge(row, "0badcafe")  # and then Redis lost its job
    (case,) = await found(operators)
    before, look = await credits_left(world), Reconciler._fresh

    async def look_and_be_slow(self: Reconciler, case: Case) -> SessionReport | None:
        report = await look(self, case)
        if (await world.row(key)).status is Status.FAILED:
            await operators.replay(key)
            assert await world.run_all() == [Ending.COMPLETED]
        return report

    monkeypatch.setattr(Reconciler, "_fresh", look_and_be_slow)
    assert (await operators.reconciler.fix(case)).fixed == "nothing left to do"
    assert await credits_left(world) == before
    assert (await operators.report(key)).credit.state is CreditState.CHARGED


# ------------------------------------------------------------------ what is unclear


async def test_what_the_platform_refunded_without_naming_it_is_unclear(
    world: World, operators: Operators
) -> None:
    """Seen: `--fix` refunded it a second time."""
    key = await b2c(world)
    before = await credits_left(world)
    await world.ledger.refund(USER_PAYS, "Queue error - refund")
    await failed_by_another(world, key)
    (case,) = await fix_all(operators)
    assert (case.discrepancy, case.fixed) == (Discrepancy.CREDIT_UNCLEAR, None)
    assert "may be its own" in case.reason
    assert case.is_left
    assert await credits_left(world) == before + 1


async def test_what_the_platforms_cron_refunded_is_returned(
    world: World, operators: Operators
) -> None:
    key = await b2c(world)
    text = f"Stuck job recovery: session {key.session_id} timed out after 10 minutes"
    await world.ledger.refund(USER_PAYS, text)
    await failed_by_another(world, key)
    assert (await operators.report(key)).credit.state is CreditState.RETURNED
    assert await found(operators) == []


async def test_reused_request_ids_are_told_apart(world: World, operators: Operators) -> None:
    """Seen: "not returned", exit 0, found again on every run; the completed sibling reported."""
    first = await world.sell(Channel.B2B, owner_id=STORE, request_id="again", push=False)
    await failed_by_another(world, first)
    second = await world.sell(Channel.B2B, owner_id=STORE, request_id="again", take=False)
    (case,) = await fix_all(operators)
    assert (case.session.session_id, case.fixed) == (first.session_id, "credit returned")
    await world.push(second, STORE, "again")
    assert await world.run_all() == [Ending.COMPLETED]
    third = await world.sell(Channel.B2B, owner_id=STORE, request_id="again", take=False)
    await failed_by_another(world, third)
    assert await found(operators) == []
    for key in (second, third):
        assert (await operators.report(key)).credit.state is CreditState.NEVER_TAKEN


async def test_a_picture_and_its_credit_too_are_unclear(world: World, operators: Operators) -> None:
    key = await absorb(world)
    await world.run_all()
    row = await world.row(key)
    payer = Payer(channel=Channel.B2B, owner_id=STORE, request_id=row.request_id)
    await world.ledger.refund(payer, "a gift")
    assert await kinds(operators) == [Discrepancy.CREDIT_UNCLEAR]


async def test_two_refunds_of_one_session_are_found(world: World, operators: Operators) -> None:
    key = await b2c(world)
    await failed_by_us(world, key)
    await world.ledger.refund(USER_PAYS, f"Refund for session {key.session_id}, again")
    assert await kinds(operators) == [Discrepancy.REFUNDED_TWICE]


# ------------------------------------------------------------------ what a person must do


async def test_a_refund_that_the_ledger_refuses_is_for_a_person(
    world: World, operators: Operators, tmp_path: Path
) -> None:
    key = await resell(world)
    world.generator.plan = [GenerationRefused()]
    forget(tmp_path, "DELETE FROM store_shopper_credits WHERE shopper_email = ?", SHOPPER)
    assert await world.run_all() == [Ending.PARKED]
    (case,) = await fix_all(operators)
    assert case.discrepancy is Discrepancy.REFUND_REFUSED
    assert case.refused
    assert case.is_left
    await world.ledger.add_shopper(STORE, SHOPPER, credits=0)
    await world.redis.delete(keys.refund_lock(key.session_id))  # it has run out
    (case,) = await fix_all(operators)
    assert case.fixed == "credit returned"
    assert await found(operators) == []
    assert (await operators.report(key)).credit.state is CreditState.RETURNED


async def test_an_overage_is_for_a_person(world: World, operators: Operators) -> None:
    before = await credits_left(world)
    await failed_by_another(world, await overage(world))
    (case,) = await fix_all(operators)
    assert (case.discrepancy, case.fixed) == (Discrepancy.OVERAGE, None)
    assert await credits_left(world) == before


# ------------------------------------------------------------------ jobs and pictures


async def test_an_open_row_without_a_job_is_settled_by_the_workers(
    world: World, operators: Operators
) -> None:
    before = await credits_left(world)
    key = await b2c(world)
    await world.redis.flushall()
    (case,) = await found(operators)
    assert case.discrepancy is Discrepancy.STUCK
    for done in ("handed to the workers", "nothing left to do"):
        assert (await operators.reconciler.fix(case)).fixed == done
    assert await world.run_all() == [Ending.FAILED]
    assert (await world.row(key)).status is Status.FAILED
    assert await credits_left(world) == before
    assert await found(operators) == []


async def test_a_completed_session_without_its_picture_is_found(
    world: World, operators: Operators, tmp_path: Path
) -> None:
    key = await absorb(world)
    await world.run_all()
    (tmp_path / "files" / (await world.row(key)).result_path).unlink()
    assert await kinds(operators) == [Discrepancy.NO_PICTURE]


async def test_a_failed_session_with_a_picture_is_not_a_failure(
    world: World, operators: Operators
) -> None:
    row = await failed_by_us(world, await absorb(world))
    await world.storage.put(row.result_path, PICTURE, content_type="image/jpeg")
    (case,) = await found(operators)
    assert (case.discrepancy, case.is_left) == (Discrepancy.UNUSED_PICTURE, False)
    assert replace(case, fixed="x").is_left is False


# ------------------------------------------------------------------ a try-on that was killed

PICTURES = (Upload(data=b"person", content_type="image/jpeg"),) * 2
BY_HAND = pytest.mark.parametrize(
    "order",
    [
        pytest.param(Order(channel=Channel.B2C, owner_id=USER, pictures=PICTURES), id="b2c"),
        pytest.param(Order(channel=Channel.B2B, owner_id=STORE, pictures=PICTURES), id="b2b"),
        pytest.param(
            Order(
                channel=Channel.B2B,
                owner_id=STORE,
                pictures=PICTURES,
                shopper_email=SHOPPER,
                shopper_pays=True,
            ),
            id="b2b, the shopper pays",
        ),
    ],
)


async def killed_before_the_row(world: World, operators: Operators, order: Order) -> None:
    world.fuse.crash_in = "insert"
    with pytest.raises(Crash):
        await operators.orders.place(order)
    world.fuse.crash_in = None
    await locks_run_out(world)


async def locks_run_out(world: World) -> None:
    for name in await world.redis.keys(keys.refund_lock("*")):
        await world.redis.delete(name)


@BY_HAND
async def test_a_credit_taken_for_a_session_that_was_never_made_is_found_and_returned(
    world: World, operators: Operators, order: Order
) -> None:
    """`kill -9` of `try-on` between the credit and the row: nobody saw it."""
    before = await credits_left(world)
    await killed_before_the_row(world, operators, order)
    assert await credits_left(world) == before - 1
    assert await kinds(operators) == [Discrepancy.NO_SESSION]
    assert [case.fixed for case in await fix_all(operators)] == ["credit returned"]
    assert await credits_left(world) == before
    assert await found(operators) == []
    assert await fix_all(operators) == []


@BY_HAND
async def test_a_session_made_by_hand_is_no_case_even_when_its_row_was_deleted(
    world: World, operators: Operators, order: Order, tmp_path: Path
) -> None:
    row = await operators.orders.place(order)
    assert await found(operators) == []
    await world.run_all()
    assert await found(operators) == []
    forget(tmp_path, f"DELETE FROM {row.channel.table} WHERE id = ?", row.session_id)
    assert await found(operators) == []


@BY_HAND
@pytest.mark.parametrize("is_inserted", [True, False], ids=["inserted", "not inserted"])
@pytest.mark.parametrize("outlasts", [True, False], ids=["for long", "shortly"])
async def test_a_try_on_that_was_only_suspended_pays_for_its_picture_or_makes_none(
    world: World, operators: Operators, order: Order, is_inserted: bool, outlasts: bool
) -> None:
    """Seen: the credit was returned, and the try-on went on and completed, or returned it again."""
    before = await credits_left(world)

    async def suspended(take: Any, *args: Any) -> bool:
        taken = await take(*args)
        if outlasts:
            await locks_run_out(world)
        await fix_all(operators)
        return bool(taken)

    orders = operators.orders
    faults = {} if is_inserted else {"insert": StoreUnavailable()}
    orders = replace(
        orders,
        ledger=Faulty(orders.ledger, take=suspended),
        sessions=Faulty(orders.sessions, **faults),
    )
    with suppress(StoreUnavailable, StoreRefused):
        await orders.place(order)
    await world.run_all()
    rows = await world.sessions.since(utc_now() - DAY, limit=10)
    assert [row.status for row in rows] == [Status.COMPLETED] * (is_inserted and not outlasts)
    assert await credits_left(world) == before - len(rows)
    await locks_run_out(world)
    assert await found(operators) == []


async def test_a_row_that_appears_before_the_refund_decides_about_it(
    world: World, operators: Operators, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen: the credit of a session was returned that had just been inserted, and that the platform
    had failed and refunded.
    """
    order = Order(channel=Channel.B2C, owner_id=USER, pictures=PICTURES)
    await killed_before_the_row(world, operators, order)
    (case,) = await found(operators)
    before, hold = await credits_left(world), RedisRefundLock.hold

    @asynccontextmanager
    async def hold_late(self: RedisRefundLock, name: str) -> AsyncIterator[bool]:
        row = case.session
        await world.sessions.insert(
            NewSession(
                session_id=row.session_id,
                channel=row.channel,
                owner_id=row.owner_id,
                model_image_url="https://pictures.test/person.jpg",
            )
        )
        await world.sessions.apply(row.key, fail("the platform's sentence"))
        async with hold(self, name) as free:
            yield free

    monkeypatch.setattr(RedisRefundLock, "hold", hold_late)
    assert (await operators.reconciler.fix(case)).fixed == "nothing left to do"
    assert await credits_left(world) == before


async def test_a_credit_that_another_reconcile_returned_is_not_claimed(
    world: World, operators: Operators, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen: both said that they had returned it, also in the timeline."""
    order = Order(channel=Channel.B2C, owner_id=USER, pictures=PICTURES)
    await killed_before_the_row(world, operators, order)
    (case,) = await found(operators)
    hold = RedisRefundLock.hold

    @asynccontextmanager
    async def hold_late(self: RedisRefundLock, name: str) -> AsyncIterator[bool]:
        monkeypatch.setattr(RedisRefundLock, "hold", hold)
        assert (await operators.reconciler.fix(case)).fixed == "credit returned"
        async with hold(self, name) as free:
            yield free

    monkeypatch.setattr(RedisRefundLock, "hold", hold_late)
    assert (await operators.reconciler.fix(case)).fixed == "nothing left to do"
    lines = await world.journal.timeline(case.session.session_id)
    assert [line["event"] for line in lines] == ["reconciled"]


USER_ORDERS = Order(channel=Channel.B2C, owner_id=USER, pictures=PICTURES)


async def killed_before_the_refund(
    world: World, operators: Operators, order: Order = USER_ORDERS
) -> Session:
    """`try-on` could not push its job, failed the row, and was killed."""
    world.fuse.crash_in = "refund"
    orders = operators.orders
    with pytest.raises(Crash):
        await replace(orders, intake=Faulty(world.intake, push=QueueUnavailable())).place(order)
    world.fuse.crash_in = None
    await locks_run_out(world)
    (row,) = await world.sessions.since(utc_now() - DAY, limit=10)
    assert row.status is Status.FAILED
    return row


@BY_HAND
async def test_a_try_on_that_was_killed_before_its_refund_is_owed_and_returned_once(
    world: World, operators: Operators, order: Order
) -> None:
    """Seen: of a user it was `credit_unclear`, though nobody but `try-on` can have failed it."""
    before = await credits_left(world)
    await killed_before_the_refund(world, operators, order)
    assert await credits_left(world) == before - 1
    assert await kinds(operators) == [Discrepancy.OWED]
    assert [case.fixed for case in await fix_all(operators)] == ["credit returned"]
    assert await credits_left(world) == before
    assert await found(operators) == []


async def test_a_try_on_that_the_platform_refunded_is_not_refunded_again(
    world: World, operators: Operators
) -> None:
    """The platform's cron names the session. Other refunds of the user may be for it."""
    row = await killed_before_the_refund(world, operators)
    await world.ledger.refund(USER_PAYS, "Queue error - refund")
    assert await kinds(operators) == [Discrepancy.CREDIT_UNCLEAR]
    before = await credits_left(world)
    await fix_all(operators)
    await world.ledger.refund(
        USER_PAYS, f"Stuck job recovery: session {row.session_id} timed out after 10 minutes"
    )
    assert await found(operators) == []
    await fix_all(operators)
    assert await credits_left(world) == before + 1


@pytest.mark.parametrize("age", [timedelta(minutes=2), timedelta(minutes=10)], ids=str)
async def test_a_try_on_suspended_before_its_refund_leaves_it_to_reconcile(
    world: World, operators: Operators, age: timedelta
) -> None:
    """It read the ledger, slept while another returned the credit, and returned it again."""
    before, orders = await credits_left(world), operators.orders

    async def failed_long_ago(apply: Any, *args: Any) -> Session | None:
        row: Session | None = await apply(*args)
        if row is None or row.completed_at is None:
            return None
        if age > timedelta(minutes=9):  # it slept before: the platform's cron may be at it
            return replace(row, created_at=row.created_at - age)
        return replace(row, completed_at=row.completed_at - age)

    orders = replace(
        orders,
        intake=Faulty(world.intake, push=QueueUnavailable()),
        sessions=Faulty(orders.sessions, apply=failed_long_ago),
    )
    with pytest.raises(QueueUnavailable):
        await orders.place(USER_ORDERS)
    await locks_run_out(world)
    assert await credits_left(world) == before - 1
    assert [case.fixed for case in await fix_all(operators)] == ["credit returned"]
    assert await credits_left(world) == before


async def test_reconcile_waits_for_the_try_on_that_just_failed_its_row(
    world: World, operators: Operators, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However old the session is: the time of its failure counts."""
    row = await killed_before_the_refund(world, operators)
    await world.make_old(row.key, minutes=30)
    monkeypatch.setattr(reconcile, "YOUNG", timedelta(minutes=2))
    assert await found(operators) == []


async def test_a_worker_waits_for_the_try_on_that_just_failed_its_row(
    world: World, operators: Operators, tmp_path: Path
) -> None:
    """Both would return the credit: for a user the ledger does not stop the second refund."""
    before = await credits_left(world)
    row = await killed_before_the_refund(world, operators)
    assert await world.journal.open(orphan_job(row.key, row.owner_id))
    for _ in range(2):  # seen: its own intent, of the same sentence, passed for the row's failure
        assert await world.run_one() is HandBack.WAITING
        assert await credits_left(world) == before - 1
        await world.pass_time()
    later = (utc_now() - timedelta(minutes=2)).isoformat()
    sql = f"UPDATE {row.channel.table} SET completed_at = ? WHERE id = ?"
    forget(tmp_path, sql, later, row.session_id)
    await world.pass_time()
    assert await world.run_one() is Ending.FAILED
    assert await credits_left(world) == before
    assert await found(operators) == []


@pytest.mark.parametrize("channel", list(Channel))
async def test_reconcile_whose_clock_is_ahead_does_not_refund_beside_try_on(
    world: World, operators: Operators, channel: Channel
) -> None:
    """Seen: both had read a ledger without a refund, and a user got two for one credit."""
    before, orders, done = await credits_left(world), operators.orders, []

    async def slow(refund: Any, *args: Any) -> bool:
        done.extend(await fix_all(operators))  # its clock is two minutes ahead: `YOUNG` is 0 here
        return bool(await refund(*args))

    orders = replace(
        orders,
        intake=Faulty(world.intake, push=QueueUnavailable()),
        ledger=Faulty(orders.ledger, refund=slow),
    )
    owner = USER if channel is Channel.B2C else STORE
    with pytest.raises(QueueUnavailable):
        await orders.place(Order(channel=channel, owner_id=owner, pictures=PICTURES))
    assert len(done) == 1
    await locks_run_out(world)
    await fix_all(operators)
    assert await credits_left(world) == before
    assert await found(operators) == []
