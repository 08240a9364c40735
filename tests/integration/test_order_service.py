"""A try-on by hand: the platform's steps in the platform's order, and how they are undone."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from devkit.accounts import CREDITS, SHOPPER, STORE, USER, credits_left, taken
from devkit.faults import Faulty
from devkit.operators import Operators
from devkit.world import PICTURE, World
from wearon_cli.adapters.redis.keys import TASK_LIST
from wearon_cli.core.contract import Task, parse_task
from wearon_cli.core.credits import CreditState
from wearon_cli.core.errors import (
    GenerationRefused,
    Interrupted,
    NoCreditLeft,
    QueueUnavailable,
    StoreRefused,
    StoreUnavailable,
)
from wearon_cli.core.operator.try_on import Order, Upload, new_session_id
from wearon_cli.core.session import Channel, Session, Status, fail, start, utc_now

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


def order(channel: Channel = Channel.B2C, **more: object) -> Order:
    pictures = (
        Upload(data=b"person", content_type="image/jpeg"),
        Upload(data=b"garment", content_type="image/png"),
        Upload(data=b"hat", content_type="image/webp"),
    )
    owner = USER if channel is Channel.B2C else STORE
    asked: dict[str, object] = {"channel": channel, "owner_id": owner, "pictures": pictures}
    return Order(**(asked | more))  # type: ignore[arg-type]


CASES = pytest.mark.parametrize(
    "placed",
    [
        pytest.param(order(), id="b2c"),
        pytest.param(order(Channel.B2B), id="b2b, the store pays"),
        pytest.param(
            order(Channel.B2B, shopper_email=SHOPPER, shopper_pays=True),
            id="b2b, the shopper pays",
        ),
        pytest.param(
            order(Channel.B2B, shopper_email=SHOPPER), id="b2b, the store pays for a shopper"
        ),
    ],
)


async def payloads(world: World) -> list[Task]:
    return [parse_task(raw) for raw in await world.redis.lrange(TASK_LIST, 0, -1)]


async def rows(world: World) -> list[Session]:
    hour_ago = utc_now().replace(year=2000)
    return list(await world.sessions.since(hour_ago, limit=100))


def changed(world: World, **ports: Any) -> Any:
    return replace(Operators(world).orders, **ports)


@CASES
async def test_it_takes_one_credit_and_queues_one_job(world: World, placed: Order) -> None:
    row = await Operators(world).orders.place(placed)
    payer = 0 if placed.channel is Channel.B2C else 2 if placed.shopper_pays else 1
    assert await taken(world) == tuple(int(n == payer) for n in range(3))
    assert row.status is Status.QUEUED
    (task,) = await payloads(world)
    assert (str(task.session_id), task.owner_id) == (row.session_id, placed.owner_id)
    person, garment, hat = task.image_urls
    assert (person, garment) == (row.model_image_url, row.outfit_image_url)
    kept = [each["url"] for each in row.accessories]
    assert kept == ([hat] if placed.channel is Channel.B2C else [])


async def test_the_timeline_says_who_ordered_it(world: World) -> None:
    """Seen: every act of an operator had a name but a try-on by hand."""
    row = await Operators(world).orders.place(order(by="ann@support"))
    await world.run_all()
    first, second, *_ = (await Operators(world).report(row.key)).timeline
    assert (first["event"], first["by"]) == ("ordered", "ann@support")
    assert second["event"] == "taken"


async def test_a_free_trial_takes_no_credit_and_gives_none_back(world: World) -> None:
    """The store's ledger has no entry for its request id, so nothing is owed, however it ends."""
    free = order(Channel.B2B, is_free=True)
    for answer in (PICTURE, GenerationRefused("refused")):
        world.generator.plan = [answer]
        row = await Operators(world).orders.place(free)
        await world.run_all()
        report = await Operators(world).report(row.key)
        assert report.session.status.is_final
        assert report.credit.state is CreditState.NEVER_TAKEN
    assert await taken(world) == (0, 0, 0)


async def test_a_free_trial_that_cannot_be_queued_gives_nothing_back(world: World) -> None:
    async def away(*_: Any) -> None:
        raise QueueUnavailable

    with pytest.raises(QueueUnavailable):
        await changed(world, intake=Faulty(world.intake, push=away)).place(
            order(Channel.B2B, is_free=True)
        )
    (row,) = await rows(world)
    assert row.status is Status.FAILED
    assert await taken(world) == (0, 0, 0)


async def test_the_payload_equals_the_platforms(world: World) -> None:
    prompt = "Dress the person (naïve, 試着)."
    await Operators(world).orders.place(order(Channel.B2B, prompt=prompt))
    (raw,) = await world.redis.lrange(TASK_LIST, 0, -1)
    assert b"user_id" not in raw
    assert b"replay" not in raw
    assert parse_task(raw).prompt == prompt


@pytest.mark.parametrize(
    ("channel", "folder"),
    [
        pytest.param(Channel.B2C, f"uploads/{USER}", id="b2c"),
        pytest.param(Channel.B2B, f"stores/{STORE}/uploads", id="b2b"),
    ],
)
async def test_pictures_are_stored_at_the_platforms_paths(
    world: World, tmp_path: Path, channel: Channel, folder: str
) -> None:
    await Operators(world).orders.place(order(channel))
    found = sorted((tmp_path / "files" / folder).iterdir())
    assert [path.suffix for path in found] == [".jpg", ".png", ".webp"]


@CASES
async def test_without_credit_nothing_is_created(world: World, placed: Order) -> None:
    """Seen: "spent", and a later failure paid out a credit that was never taken."""

    async def empty(*_: Any) -> bool:
        raise NoCreditLeft

    with pytest.raises(NoCreditLeft):
        await changed(world, ledger=Faulty(world.ledger, take=empty)).place(placed)
    assert await rows(world) == []
    assert await payloads(world) == []


async def test_an_owner_without_credits_is_refused_by_the_real_ledger(world: World) -> None:
    for _ in range(CREDITS):
        await world.sell(owner_id=USER, push=False)
    before = len(await rows(world))
    with pytest.raises(NoCreditLeft):
        await Operators(world).orders.place(order())
    assert len(await rows(world)) == before
    assert await payloads(world) == []


async def test_a_request_id_that_already_took_a_credit_creates_nothing(world: World) -> None:
    async def taken(*_: Any) -> bool:
        return False

    with pytest.raises(StoreRefused, match="already took"):
        await changed(world, ledger=Faulty(world.ledger, take=taken)).place(order(Channel.B2B))
    assert await rows(world) == []


@CASES
@pytest.mark.parametrize("arrived", [False, True], ids=["not taken", "taken"])
async def test_when_the_ledgers_answer_is_lost_no_credit_is_lost(
    world: World, placed: Order, arrived: bool
) -> None:
    before = await taken(world)

    async def lost(take: Any, *args: Any) -> bool:
        if arrived:
            await take(*args)
        raise StoreUnavailable

    with pytest.raises(StoreUnavailable):
        await changed(world, ledger=Faulty(world.ledger, take=lost)).place(placed)
    assert await taken(world) == before
    assert await rows(world) == []


@CASES
async def test_when_the_push_fails_the_row_is_failed_and_the_credit_returned(
    world: World, placed: Order
) -> None:
    before = await taken(world)
    intake = Faulty(world.intake, push=QueueUnavailable())
    with pytest.raises(QueueUnavailable):
        await changed(world, intake=intake).place(placed)
    (row,) = await rows(world)
    assert row.status is Status.FAILED
    assert row.error_message
    assert await taken(world) == before


@CASES
async def test_when_the_row_cannot_be_inserted_the_credit_is_returned(
    world: World, placed: Order
) -> None:
    before = await taken(world)
    sessions = Faulty(world.sessions, insert=StoreUnavailable())
    with pytest.raises(StoreUnavailable):
        await changed(world, sessions=sessions).place(placed)
    assert await rows(world) == []
    assert await taken(world) == before


@pytest.mark.parametrize("ended", [Status.PROCESSING, Status.FAILED])
async def test_a_push_that_arrived_after_all_is_left_to_its_worker(
    world: World, ended: Status
) -> None:
    """The answer was lost, but not the job: the worker that has the row settles it, not this
    command.
    """
    before = await credits_left(world)

    async def taken(_: Any, payload: bytes) -> None:
        key = parse_task(payload).key
        await world.sessions.apply(key, start())
        if ended is Status.FAILED:
            await world.sessions.apply(key, fail("by the worker"))
        raise QueueUnavailable

    with pytest.raises(QueueUnavailable):
        await changed(world, intake=Faulty(world.intake, push=taken)).place(order())
    (row,) = await rows(world)
    assert row.status is ended
    assert await credits_left(world) == before - 1, "who ends the row returns its credit, not we"


async def test_a_cancellation_waits_for_the_end_and_names_the_session(world: World) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow(insert: Any, *args: Any) -> Session:
        begun.set()
        await go_on.wait()
        return await insert(*args)  # type: ignore[no-any-return]

    sessions = Faulty(world.sessions, insert=slow)
    placing = asyncio.create_task(changed(world, sessions=sessions).place(order()))
    await begun.wait()  # the credit is taken
    placing.cancel()
    go_on.set()
    with pytest.raises(Interrupted) as told:
        await placing
    (row,) = await rows(world)
    assert row.session_id in str(told.value)
    assert row.session_id in told.value.hint
    assert len(await payloads(world)) == 1


async def test_session_ids_are_of_version_7_and_sort_by_time() -> None:
    ids = [new_session_id() for _ in range(50)]
    assert {(UUID(each).version, UUID(each).variant) for each in ids} == {
        (7, "specified in RFC 4122")
    }
    assert len(set(ids)) == 50
    assert [each[:13] for each in ids] == sorted(each[:13] for each in ids)
