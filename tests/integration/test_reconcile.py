"""Discrepancies are found, fixed where that is safe, and never twice."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from devkit.crashes import (
    STORE,
    USER,
    absorb,
    b2c,
    credits_left,
    let_others_finish,
    open_accounts,
    overage,
    resell,
)
from devkit.servers.redis_server import RedisServer
from devkit.world import PICTURE, World
from wearon_cli.adapters.redis.client import Client
from wearon_cli.adapters.redis.locks import RedisRefundLock
from wearon_cli.core.jobs.settlement import Settlement
from wearon_cli.core.operator import reconcile
from wearon_cli.core.operator.reconcile import Case, Discrepancy, Reconciler
from wearon_cli.core.operator.timeline import Inspector, JobLocation
from wearon_cli.core.session import SessionKey, Status, fail, utc_now

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

DAY = timedelta(days=1)


@pytest.fixture
async def world(
    redis: Client, redis_server: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[World]:
    monkeypatch.setattr(reconcile, "YOUNG", timedelta(0))
    one = World(redis, redis_server.url, tmp_path)
    await open_accounts(one)
    yield one
    await one.aclose()


def reconciler(world: World, *, orphan_age_s: float = 0.0) -> Reconciler:
    inspector = Inspector(
        sessions=world.sessions,
        ledger=world.ledger,
        storage=world.storage,
        intake=world.intake,
        journal=world.journal,
    )
    return Reconciler(
        sessions=world.sessions,
        ledger=world.ledger,
        journal=world.journal,
        waker=world.waker,
        inspector=inspector,
        settlement=Settlement(
            sessions=world.sessions,
            ledger=world.ledger,
            journal=world.journal,
            dead_letters=world.dead_letters,
            refund_lock=RedisRefundLock(world.redis),
        ),
        orphan_age_s=orphan_age_s,
    )


async def found(world: World, **settings: float) -> list[Case]:
    _, cases = await reconciler(world, **settings).find(utc_now() - DAY, limit=100)
    return cases


async def test_healthy_sessions_are_no_cases(world: World) -> None:
    for sale in (b2c, absorb, resell):
        await sale(world)
    await world.run_all()
    assert await found(world) == []


@pytest.mark.parametrize("sale", [b2c, absorb, resell])
async def test_a_credit_that_never_came_back_is_given_once(world: World, sale: object) -> None:
    before = await credits_left(world)
    key = await sale(world)  # type: ignore[operator]
    await world.redis.flushall()  # the job is gone
    await world.sessions.apply(key, fail("an older worker's sentence"))
    (case,) = await found(world)
    assert case.discrepancy is Discrepancy.UNREFUNDED
    assert case.session.session_id == key.session_id
    for _ in range(3):
        fixed_case = await reconciler(world).fix(case)
        assert fixed_case.fixed == "credit returned"
    assert await credits_left(world) == before
    assert await found(world) == []


async def test_an_open_row_without_a_job_goes_to_the_workers_and_is_settled(world: World) -> None:
    before = await credits_left(world)
    key = await b2c(world)
    await world.redis.flushall()
    (case,) = await found(world)
    assert case.discrepancy is Discrepancy.STUCK
    assert (await reconciler(world).fix(case)).fixed
    await let_others_finish(world)
    assert (await world.row(key)).status is Status.FAILED
    assert await credits_left(world) == before
    assert await found(world) == []


async def test_an_open_row_with_a_job_or_too_young_is_left_alone(world: World) -> None:
    key = await b2c(world)
    assert await found(world) == []  # in the platform's list
    await world.take_all_in()
    assert await found(world) == []  # in the journal
    inspector = reconciler(world).inspector
    assert await inspector.location(await world.row(key)) is JobLocation.JOURNAL
    await world.redis.flushall()
    assert await found(world, orphan_age_s=3600.0) == []


async def test_two_refunds_of_one_session_are_found(world: World) -> None:
    key = await b2c(world)
    await world.redis.flushall()
    await world.sessions.apply(key, fail("x"))
    for _ in range(2):
        await world.ledger.refund_user(USER, f"Refund: try-on session {key.session_id} failed")
    assert [case.discrepancy for case in await found(world)] == [Discrepancy.REFUNDED_TWICE]


async def completed(world: World) -> SessionKey:
    key = await absorb(world)
    await world.run_all()
    assert (await world.row(key)).status is Status.COMPLETED
    return key


async def test_a_picture_and_its_credit_too_are_found(world: World) -> None:
    row = await world.row(await completed(world))
    await world.ledger.refund_store(STORE, str(row.request_id), "a gift")
    assert [case.discrepancy for case in await found(world)] == [Discrepancy.REFUNDED_AND_COMPLETED]


async def test_a_completed_session_without_its_picture_is_found(
    world: World, tmp_path: Path
) -> None:
    row = await world.row(await completed(world))
    (tmp_path / "files" / row.result_path).unlink()
    assert [case.discrepancy for case in await found(world)] == [Discrepancy.NO_PICTURE]


async def test_a_failed_session_with_a_picture_is_found(world: World) -> None:
    key = await absorb(world)
    await world.redis.flushall()
    row = await world.row(key)
    await world.storage.put(row.result_path, PICTURE, content_type="image/jpeg")
    await world.sessions.apply(key, fail("x"))
    await world.ledger.refund_store(STORE, str(row.request_id), "Refund")
    assert [case.discrepancy for case in await found(world)] == [Discrepancy.UNUSED_PICTURE]


async def test_an_overage_is_for_a_person_and_not_fixed(world: World) -> None:
    before = await credits_left(world)
    key = await overage(world)
    await world.redis.flushall()
    await world.sessions.apply(key, fail("x"))
    (case,) = await found(world)
    assert case.discrepancy is Discrepancy.OVERAGE
    assert (await reconciler(world).fix(case)).fixed == ""
    assert await credits_left(world) == before


async def test_an_inspection_has_the_cost_and_the_job_location(world: World) -> None:
    key = await b2c(world)
    inspector = reconciler(world).inspector
    assert (await inspector.inspect(key.session_id)).location is JobLocation.QUEUE
    await world.run_all()
    inspection = await inspector.inspect(key.session_id)
    assert (inspection.location, inspection.is_stored) == (JobLocation.ENDED, True)
    assert inspection.cost_usd == pytest.approx(0.05)
    assert [event["event"] for event in inspection.events][:2] == ["taken", "claimed"]
    assert str(uuid4()) not in str(inspection)
