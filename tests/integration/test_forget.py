"""Forgetting a session deletes its data and changes no credit."""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from devkit.accounts import STORE, USER, credits_left
from devkit.faults import Crash, Faulty
from devkit.operators import Operators
from devkit.providers import ProviderUnderTest, open_provider
from devkit.world import PICTURE, MakeWorld, World
from wearon_cli.adapters.local.expiry import remove_old
from wearon_cli.adapters.redis import keys
from wearon_cli.adapters.redis.locks import RedisRefundLock
from wearon_cli.core.credits import CreditState
from wearon_cli.core.errors import (
    GenerationRefused,
    GeneratorFault,
    ObjectNotFound,
    QueueUnavailable,
    SessionError,
    SessionNotFound,
    SessionRunning,
    StoreRefused,
    StoreUnavailable,
)
from wearon_cli.core.jobs.journal import Ending
from wearon_cli.core.operator import reconcile
from wearon_cli.core.operator.bulk_forgetting import BulkForgetter
from wearon_cli.core.operator.forgetting import Forgetter, Receipt
from wearon_cli.core.providers import Provider
from wearon_cli.core.session import Channel, SessionKey, Status
from wearon_cli.core.storage import SIGNED_URL_LIFE_S, previous_path

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

#: More outside calls than forgetting makes.
MANY = 60


@pytest.fixture(autouse=True)
def young_sessions_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconcile, "YOUNG", timedelta(0))


def forgetter(world: World) -> Forgetter:
    wrap = world.fuse.wrap
    return Forgetter(
        inspector=Operators(world).inspector,
        storage=wrap(world.storage),
        journal=wrap(world.journal),
        dead_letters=wrap(world.dead_letters),
        lock=RedisRefundLock(world.redis),
    )


async def forget(
    world: World, key: SessionKey, *, shared: frozenset[str] = frozenset(), **providers: Provider
) -> Receipt:
    forgetting = forgetter(world)
    around = await forgetting.look_around(shared_paths=shared)
    return await forgetting.run(await world.row(key), around, providers)


async def upload(world: World, path: str) -> str:
    await world.storage.put(path, PICTURE, content_type="image/jpeg")
    return await world.storage.sign(path, life_s=SIGNED_URL_LIFE_S)


def new_paths() -> tuple[str, str]:
    return f"uploads/{uuid4()}-person.jpg", f"uploads/{uuid4()}-garment.jpg"


async def sold(
    world: World, paths: tuple[str, str], channel: Channel = Channel.B2C, *, run: bool = True
) -> SessionKey:
    """A session with photos in our bucket."""
    person, garment = [await upload(world, path) for path in paths]
    owner = USER if channel is Channel.B2C else STORE
    key = await world.sell(channel, owner_id=owner, image_urls=(person, garment))
    if run:
        await world.run_all()
    return key


async def bury(world: World, key: SessionKey) -> None:
    await world.dead_letters.bury(
        b"{}", reason="look at it", error_code="x", attempts=1, session_id=key.session_id
    )


async def is_there(world: World, path: str) -> bool:
    try:
        await world.storage.get(path)
    except ObjectNotFound:
        return False
    return True


async def names_of(world: World, word: str) -> list[bytes]:
    """Every key in Redis whose name or value contains this word."""
    found = []
    async for name in world.redis.scan_iter("*"):
        kind = await world.redis.type(name)
        reads = {
            b"string": world.redis.get,
            b"hash": world.redis.hgetall,
            b"list": lambda key: world.redis.lrange(key, 0, -1),
            b"zset": lambda key: world.redis.zrange(key, 0, -1),
        }
        if word.encode() in name or word in str(await reads[kind](name)):
            found.append(name)
    return found


@pytest.mark.parametrize("channel", list(Channel))
async def test_all_data_of_a_session_is_deleted_except_row_and_credit(
    world: World, operators: Operators, channel: Channel
) -> None:
    paths = new_paths()
    key = await sold(world, paths, channel)
    await operators.replay(key, force=True)
    assert await world.run_all() == [Ending.COMPLETED]
    await world.dead_letters.bury(
        b"{}",
        reason="a person wants to look",
        error_code="x",
        attempts=1,
        session_id=key.session_id,
    )
    row, credit = await world.row(key), (await operators.report(key)).credit
    results = (row.result_path, previous_path(row.result_path))
    assert all([await is_there(world, path) for path in (*paths, *results)])
    assert await names_of(world, Path(paths[0]).name)

    receipt = await forget(world, key)

    assert receipt == Receipt(
        session_id=key.session_id, pictures=4, dead_letters=1, provider_copies=0, not_asked=()
    )
    assert not any([await is_there(world, path) for path in (*paths, *results)])
    assert not any([await names_of(world, Path(path).name) for path in paths])
    assert await world.dead_letters.list(limit=10) == []
    report = await operators.report(key)
    assert [line["event"] for line in report.timeline] == ["forgotten"]
    assert (report.session, report.credit) == (row, credit)
    assert report.record is not None
    assert report.record.purchases == 2
    assert await operators.reconciler.cases(row) == []


async def completed(world: World, _: Operators) -> SessionKey:
    return await sold(world, new_paths())


async def refunded(world: World, _: Operators) -> SessionKey:
    world.generator.plan = [GenerationRefused()]
    return await sold(world, new_paths())


async def free(world: World, operators: Operators) -> SessionKey:
    key = await refunded(world, operators)
    await operators.replay(key)
    assert await world.run_all() == [Ending.COMPLETED]
    return key


async def charged(world: World, operators: Operators) -> SessionKey:
    key = await refunded(world, operators)
    await operators.replay(key, charge=True)
    assert await world.run_all() == [Ending.COMPLETED]
    return key


@pytest.mark.parametrize(
    ("made", "state"),
    [
        pytest.param(completed, CreditState.SPENT, id="spent"),
        pytest.param(refunded, CreditState.RETURNED, id="returned"),
        pytest.param(free, CreditState.FREE, id="free"),
        pytest.param(charged, CreditState.CHARGED, id="charged"),
    ],
)
async def test_the_credit_is_unchanged_and_reconcile_agrees(
    world: World,
    operators: Operators,
    made: Callable[[World, Operators], Awaitable[SessionKey]],
    state: CreditState,
) -> None:
    key = await made(world, operators)
    before, left = (await operators.report(key)).credit, await credits_left(world)
    assert before.state is state
    await forget(world, key)
    assert (await operators.report(key)).credit == before
    for case in await operators.reconciler.cases(await world.row(key)):
        await operators.reconciler.fix(case)
    assert await credits_left(world) == left


async def test_an_owed_credit_must_be_refunded_first(world: World, operators: Operators) -> None:
    """Only the record shows it: without it nobody would know that this refund is owed."""
    paths = new_paths()
    world.generator.plan = [GenerationRefused()]
    refund = world.ledger.refund
    world.ledger.refund = Faulty(world.ledger, refund=StoreRefused("no")).refund  # type: ignore[method-assign]
    key = await sold(world, paths)
    world.ledger.refund = refund  # type: ignore[method-assign]
    with pytest.raises(SessionError, match="a credit is owed") as refused:
        await forget(world, key)
    assert "reconcile --fix" in refused.value.hint
    assert await is_there(world, paths[0])
    left = await credits_left(world)
    (case,) = await operators.reconciler.cases(await world.row(key))
    await operators.reconciler.fix(case)
    assert await credits_left(world) == left + 1
    await forget(world, key)
    assert (await operators.report(key)).credit.state is CreditState.RETURNED
    assert await operators.reconciler.cases(await world.row(key)) == []


async def test_an_unfinished_session_is_refused(world: World, operators: Operators) -> None:
    paths = new_paths()
    key = await sold(world, paths, run=False)
    with pytest.raises(SessionRunning, match="queue"):
        await forget(world, key)
    await world.take_all_in()
    with pytest.raises(SessionRunning, match="ready"):
        await forget(world, key)
    await world.run_all()
    await operators.replay(key, force=True)  # its row stays completed
    with pytest.raises(SessionRunning, match="ready"):
        await forget(world, key)
    await world.run_all()
    await world.push(key, USER, "again")  # a second copy of its payload
    with pytest.raises(SessionRunning, match="queue"):
        await forget(world, key)
    assert await is_there(world, paths[0])
    await world.run_all()
    await forget(world, key)


async def test_a_job_opened_meanwhile_is_reported(world: World, operators: Operators) -> None:
    """By the platform, which pushes as it likes. A replay is refused as long as it lasts."""
    key = await sold(world, new_paths())
    plan = await operators.plan(key, force=True)

    async def opened_meanwhile(method: Callable[..., Awaitable[None]], path: str) -> None:
        if not await world.open_jobs():
            with pytest.raises(SessionRunning):
                await operators.replayer.run(plan)
            await world.push(key, USER, "req-again")
            await world.take_all_in()
        await method(path)

    forgetting = replace(forgetter(world), storage=Faulty(world.storage, remove=opened_meanwhile))
    with pytest.raises(SessionRunning, match="started again meanwhile"):
        await forgetting.run(await world.row(key), await forgetting.look_around(), {})
    assert await world.run_all() == [Ending.DROPPED]
    assert (await world.row(key)).status is Status.COMPLETED


async def test_a_replay_that_began_before_the_lock_keeps_its_pictures(
    world: World, operators: Operators, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen: asking providers took its time, a replay began, and its pictures were deleted."""
    paths = new_paths()
    key = await sold(world, paths)
    hold = RedisRefundLock.hold

    @asynccontextmanager
    async def hold_late(self: RedisRefundLock, name: str) -> AsyncIterator[bool]:
        monkeypatch.setattr(RedisRefundLock, "hold", hold)
        await operators.replay(key, force=True)
        async with hold(self, name) as free:
            yield free

    monkeypatch.setattr(RedisRefundLock, "hold", hold_late)
    with pytest.raises(SessionRunning, match="has not ended"):
        await forget(world, key)
    result = (await world.row(key)).result_path
    assert all([await is_there(world, path) for path in (*paths, result)])
    assert await world.run_all() == [Ending.COMPLETED]


async def test_pictures_of_other_sessions_stay(world: World) -> None:
    """An input that another session uses; and another's result, which a payload named as input."""
    person, garment = new_paths()
    other = await sold(world, (f"uploads/{uuid4()}.jpg", garment))
    result = (await world.row(other)).result_path
    key = await sold(world, (person, garment))
    named = await sold(world, (result, garment))
    await bury(world, other)
    shared = await forgetter(world).paths_used_by([await world.row(other)])
    await forget(world, key, shared=shared)
    await forget(world, named, shared=shared)
    assert not await is_there(world, person)
    assert await is_there(world, garment)
    assert await is_there(world, result)
    assert len(await world.dead_letters.list(limit=10)) == 1
    assert (await world.journal.record(other.session_id)) is not None


async def test_pictures_in_the_folder_of_another_owner_stay(world: World) -> None:
    """A payload may name any picture of the bucket; what others uploaded is theirs."""
    of_store, own = f"stores/{STORE}/uploads/{uuid4()}.jpg", f"uploads/{USER}/{uuid4()}.jpg"
    key = await sold(world, (own, of_store))
    await forget(world, key)
    assert await is_there(world, of_store)
    assert not await is_there(world, own)


async def test_pictures_that_only_another_sessions_job_names_stay(world: World) -> None:
    """A b2b row keeps no accessories, and the platform overwrites the addresses of old b2c rows."""
    accessory = f"stores/{STORE}/uploads/{uuid4()}.jpg"
    url = await upload(world, accessory)
    keys_of: list[SessionKey] = []
    for _ in range(2):
        person, garment = [await upload(world, path) for path in new_paths()]
        key = await world.sell(
            Channel.B2B, owner_id=STORE, image_urls=(person, garment), push=False
        )
        await world.push(key, STORE, f"req-{uuid4()}", image_urls=(person, garment, url))
        keys_of.append(key)
    key, other = keys_of
    await world.take_all_in()
    using = [await world.row(other)]
    assert accessory in await forgetter(world).paths_used_by(using)  # its job is open
    await world.run_all()
    shared = await forgetter(world).paths_used_by([await world.row(other)])
    receipt = await forget(world, key, shared=shared)
    assert await is_there(world, accessory)
    assert receipt.pictures == 3  # person, garment, result


async def receipts_of(world: World, key: SessionKey) -> list[tuple[object, object]]:
    lines = await world.journal.timeline(key.session_id)
    return [(line["event"], line["pictures"]) for line in lines if "pictures" in line]


@pytest.mark.parametrize("after", [False, True], ids=["before the step", "after the step"])
async def test_wherever_it_stops_the_next_run_finishes(world: World, after: bool) -> None:
    """Seen: pictures that a stopped run had deleted were in no receipt."""
    steps = set()
    for step in range(1, MANY):
        paths = new_paths()
        key = await sold(world, paths)
        world.fuse.steps, world.fuse.crash_at, world.fuse.after = 0, step, after
        crashed = False
        try:
            await forget(world, key)
        except Crash:
            crashed = True
            steps.add(world.fuse.burnt)
        world.fuse.crash_at = None
        where = f"step {step}, {world.fuse.burnt}"
        result = (await world.row(key)).result_path
        are_left = all([await is_there(world, path) for path in (*paths, result)])
        assert are_left or [count for _, count in await receipts_of(world, key)] == [3], where
        if crashed:
            await world.pass_time()  # the held lock expires
            await forget(world, key)
        assert not any([await is_there(world, path) for path in (*paths, result)]), where
        assert await names_of(world, Path(paths[0]).name) == [], where
        receipts = await receipts_of(world, key)
        assert receipts[0] == ("forgotten", 3), where
        assert all(event == "forgotten" for event, _ in receipts), where
        if not crashed:
            break
    assert {"remove", "note", "forget"} <= steps


def bulk(world: World, **ports: object) -> BulkForgetter:
    return BulkForgetter(forgetter=replace(forgetter(world), **ports))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("port", "method", "error"),
    [
        pytest.param("storage", "remove", StoreUnavailable(), id="storage"),
        pytest.param("journal", "note", QueueUnavailable(), id="Redis, before"),
        pytest.param("journal", "forget", QueueUnavailable(), id="Redis, after the pictures"),
        pytest.param("storage", "remove", asyncio.CancelledError(), id="Ctrl-C"),
    ],
)
async def test_an_outage_ends_the_run_and_the_next_one_does_the_rest(
    world: World, port: str, method: str, error: BaseException
) -> None:
    keys_of = [await sold(world, new_paths(), channel) for channel in (*Channel, Channel.B2C)]
    whole = bulk(world)
    selection = await whole.plan(await whole.rows_of({USER, STORE}))
    assert len(selection.plans) == 3
    calls: list[object] = []

    async def fails(
        real: Callable[..., Awaitable[object]], *args: object, **more: object
    ) -> object:
        calls.append(args)
        if len(calls) > {"remove": 6, "note": 1, "forget": 1}[method]:
            raise error
        return await real(*args, **more)

    faulty = bulk(world, **{port: Faulty(getattr(world, port), **{method: fails})})
    done = await faulty.run(selection, {})
    assert (len(done.receipts), done.left, done.refused) == (1, 2, [])
    assert done.stopped_by is not None
    await world.pass_time()
    rest = await whole.run(selection, {})
    assert (len(rest.receipts), rest.left, rest.stopped_by) == (3, 0, None)
    for key in keys_of:
        assert (await receipts_of(world, key))[0] == ("forgotten", 3)


async def test_a_refusal_of_one_session_leaves_the_others_to_be_forgotten(world: World) -> None:
    """Storage refuses one picture; a session has begun meanwhile; a row is gone."""
    keys_of = [await sold(world, new_paths()) for _ in range(4)]
    rows = {key: await world.row(key) for key in keys_of}
    whole = bulk(world)
    selection = await whole.plan(list(rows.values()))
    refused, begun, gone, last = keys_of
    await world.push(begun, USER, "again")

    async def refuses(real: Callable[..., Awaitable[None]], path: str) -> None:
        if path == rows[refused].result_path:
            raise StoreRefused("no")
        await real(path)

    with closing(sqlite3.connect(world.folder / "wearon.db")) as db, db:
        db.execute(f"DELETE FROM {gone.channel.table} WHERE id = ?", (gone.session_id,))
    faulty = bulk(world, storage=Faulty(world.storage, remove=refuses))
    done = await faulty.run(selection, {})
    assert [each.session_id for each in done.receipts] == [last.session_id]
    assert [type(each) for each in done.refused] == [StoreRefused, SessionRunning, SessionNotFound]
    assert (done.left, done.stopped_by) == (0, None)


async def test_a_picture_that_a_new_session_uses_since_the_question_stays(world: World) -> None:
    """Seen: it was looked up before the operator was asked, and the new job found no picture."""
    person, garment = new_paths()
    key = await sold(world, (person, garment))
    whole = bulk(world)
    selection = await whole.plan([await world.row(key)])
    assert selection.plans[0].kept == ()
    await sold(world, (person, f"uploads/{uuid4()}.jpg"), run=False)
    (receipt,) = (await whole.run(selection, {})).receipts
    assert receipt.pictures == 2
    assert await is_there(world, person)
    assert not await is_there(world, garment)


async def test_pictures_that_expire_meanwhile_do_no_harm(world: World) -> None:
    """A local stack removes old pictures by itself."""
    paths = new_paths()
    key = await sold(world, paths)

    async def expired(real: Callable[..., Awaitable[None]], path: str) -> None:
        remove_old(world.folder / "files", before_s=time.time() + 1)
        await real(path)

    forgetting = replace(forgetter(world), storage=Faulty(world.storage, remove=expired))
    receipt = await forgetting.run(await world.row(key), await forgetting.look_around(), {})
    assert receipt.pictures == 3
    assert not await is_there(world, paths[0])


@pytest.fixture
async def sold_by() -> AsyncIterator[ProviderUnderTest]:
    async with open_provider("responses") as seller:
        yield seller


async def test_copies_that_a_provider_still_keeps_are_deleted(
    make_world: MakeWorld, sold_by: ProviderUnderTest
) -> None:
    """The worker's own deletion failed, as it does while the provider is away."""
    away = Faulty(sold_by.provider, forget=GeneratorFault("away"))
    world = await make_world(sold_by=replace(sold_by, provider=away))
    paths = new_paths()
    key = await sold(world, paths)
    assert (await world.row(key)).status is Status.COMPLETED
    assert sold_by.api.kept()
    with pytest.raises(GeneratorFault):
        await forget(world, key, openai=away)
    assert await is_there(world, paths[0])
    receipt = await forget(world, key, openai=sold_by.provider)
    assert sold_by.api.kept() == 0
    assert receipt.provider_copies == 1


async def test_a_provider_without_a_key_is_named_in_the_receipt(
    make_world: MakeWorld, sold_by: ProviderUnderTest
) -> None:
    world = await make_world(sold_by=sold_by)
    receipt = await forget(world, await sold(world, new_paths()))
    assert (receipt.provider_copies, receipt.not_asked) == (0, ("openai",))


async def test_tickets_outlive_the_timeline(
    make_world: MakeWorld, sold_by: ProviderUnderTest
) -> None:
    """OpenAI keeps an answer for 30 days and more; a timeline ends after seven."""
    world = await make_world(sold_by=sold_by)
    key = await sold(world, new_paths())
    await world.redis.delete(keys.timeline(key.session_id))
    receipt = await forget(world, key, openai=sold_by.provider)
    assert receipt.provider_copies == 1


async def test_a_copy_that_no_run_could_delete_is_in_no_receipt(
    make_world: MakeWorld, sold_by: ProviderUnderTest
) -> None:
    """Seen: the second run, without the provider's key, claimed what the first had only planned."""
    away = Faulty(sold_by.provider, forget=GeneratorFault("away"))
    world = await make_world(sold_by=replace(sold_by, provider=away))
    key = await sold(world, new_paths())
    with pytest.raises(GeneratorFault):
        await forget(world, key, openai=away)
    receipt = await forget(world, key)
    assert sold_by.api.kept()
    assert (receipt.provider_copies, receipt.not_asked) == (0, ("openai",))


async def test_a_picture_that_a_later_run_keeps_is_in_no_receipt(world: World) -> None:
    """Seen: a run that stopped before its first deletion was believed to have deleted all."""
    person, garment = new_paths()
    key = await sold(world, (person, garment))
    down = replace(forgetter(world), storage=Faulty(world.storage, remove=StoreUnavailable()))
    with pytest.raises(StoreUnavailable):
        await down.run(await world.row(key), await down.look_around(), {})
    await world.pass_time()
    receipt = await forget(world, key, shared=frozenset({person}))
    assert receipt.pictures == 2
    assert await receipts_of(world, key) == [("forgotten", 2)]
    assert await is_there(world, person)


async def test_two_operators_do_not_both_claim_the_same_deletions(
    make_world: MakeWorld, sold_by: ProviderUnderTest
) -> None:
    """Seen: the slower one claimed every picture that the other had deleted."""
    world = await make_world(sold_by=sold_by)
    key = await sold(world, new_paths())
    other: list[Receipt] = []

    async def slow(real: Callable[..., Awaitable[None]], *args: object) -> None:
        other.append(await forget(world, key))
        await real(*args)

    mine = await forget(world, key, openai=Faulty(sold_by.provider, forget=slow))
    assert ([each.pictures for each in other], mine.pictures) == ([3], 0)
    assert await receipts_of(world, key) == [("forgotten", 3), ("forgotten", 0)]


@pytest.mark.parametrize("is_newer", [False, True], ids=["older", "newer"])
async def test_a_picture_of_a_session_that_is_replayed_since_the_question_stays(
    world: World, operators: Operators, is_newer: bool
) -> None:
    """Seen: another session of the run deleted it, and the replay found no picture."""
    person, garment = new_paths()
    older = await sold(world, (person, garment))
    newer = await sold(world, (person, f"uploads/{uuid4()}.jpg"))
    whole = bulk(world)
    selection = await whole.plan([await world.row(newer), await world.row(older)])
    assert len(selection.plans) == 2
    await operators.replay(newer if is_newer else older, force=True)
    done = await whole.run(selection, {})
    assert [type(each) for each in done.refused] == [SessionRunning]
    assert [each.pictures for each in done.receipts] == [2]
    assert await is_there(world, person)
    assert await world.run_all() == [Ending.COMPLETED]
