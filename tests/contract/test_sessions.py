"""Session rows: the same behaviour in every session store."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from devkit.stores import DONE, StoreUnderTest
from wearon_cli.core.errors import StoreRefused
from wearon_cli.core.session import (
    Channel,
    RowQuery,
    Session,
    SessionKey,
    SessionMove,
    Status,
    complete,
    complete_again,
    fail,
    requeue,
    sign_again,
    start,
)

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

CHANNELS = pytest.mark.parametrize("channel", list(Channel))


async def inserted(store: StoreUnderTest, channel: Channel, **changes: object) -> Session:
    return await store.sessions.insert(store.new(channel, **changes))


@CHANNELS
async def test_a_new_row_is_queued_and_reads_back_as_written(
    store: StoreUnderTest, channel: Channel
) -> None:
    new = store.new(channel)
    row = await store.sessions.insert(new)
    assert row.status is Status.QUEUED
    assert (row.session_id, row.owner_id) == (new.session_id, new.owner_id)
    assert (row.model_image_url, row.outfit_image_url) == (
        new.model_image_url,
        new.outfit_image_url,
    )
    assert row.prompt_system == new.prompt_system
    assert tuple(map(dict, row.accessories)) == tuple(map(dict, new.accessories))
    assert (row.request_id, row.shopper_email) == (new.request_id, new.shopper_email)
    assert row.credits_used == 1
    assert abs(datetime.now(UTC) - row.created_at) < timedelta(seconds=10)
    assert await store.sessions.get(row.key) == row
    assert await store.sessions.find(row.session_id) == row


@CHANNELS
async def test_an_unknown_row_is_none_and_moves_nothing(
    store: StoreUnderTest, channel: Channel
) -> None:
    key = SessionKey(channel=channel, session_id=str(uuid4()))
    assert await store.sessions.get(key) is None
    assert await store.sessions.find(key.session_id) is None
    assert await store.sessions.apply(key, start()) is None


async def test_a_row_is_only_in_its_channels_table(store: StoreUnderTest) -> None:
    row = await inserted(store, Channel.B2C)
    other = SessionKey(channel=Channel.B2B, session_id=row.session_id)
    assert await store.sessions.get(other) is None
    assert await store.sessions.apply(other, start()) is None


@CHANNELS
async def test_a_completed_row_has_everything_and_no_old_message(
    store: StoreUnderTest, channel: Channel
) -> None:
    row = await inserted(store, channel)
    await store.sessions.apply(row.key, start())
    await store.sessions.apply(row.key, fail("an old sentence"))
    done = await store.sessions.apply(row.key, complete_again(Status.FAILED, DONE))
    assert done is not None
    assert done.status is Status.COMPLETED
    assert done.generated_image_url == DONE.generated_image_url
    assert done.processing_time_ms == DONE.processing_time_ms
    assert done.completed_at == DONE.completed_at
    assert (done.input_tokens, done.output_tokens) == (2_345, 1_584)
    assert done.estimated_cost_usd == pytest.approx(0.068308)
    assert done.error_message is None
    assert await store.sessions.get(row.key) == done


#: From each status: which moves are taken.
TAKEN = {
    Status.QUEUED: {"start", "complete", "fail"},
    Status.PROCESSING: {"requeue", "complete", "fail"},
    Status.COMPLETED: {"complete again", "sign again"},
    Status.FAILED: {"complete after failed"},
}
MOVES = {
    "start": start(),
    "requeue": requeue(),
    "complete": complete(DONE),
    "fail": fail("a sentence"),
    "complete again": complete_again(Status.COMPLETED, DONE),
    "complete after failed": complete_again(Status.FAILED, DONE),
    "sign again": sign_again("https://a.test/signed-anew.jpg"),
}
WAY: dict[Status, list[SessionMove]] = {
    Status.QUEUED: [],
    Status.PROCESSING: [start()],
    Status.COMPLETED: [start(), complete(DONE)],
    Status.FAILED: [start(), fail("first")],
}


@CHANNELS
@pytest.mark.parametrize("status", list(TAKEN))
@pytest.mark.parametrize("name", list(MOVES))
async def test_a_move_is_taken_only_from_the_statuses_it_expects(
    store: StoreUnderTest, channel: Channel, status: Status, name: str
) -> None:
    row = await inserted(store, channel)
    for step in WAY[status]:
        assert await store.sessions.apply(row.key, step) is not None
    before = await store.sessions.get(row.key)
    moved = await store.sessions.apply(row.key, MOVES[name])
    after = await store.sessions.get(row.key)
    if name in TAKEN[status]:
        assert moved is not None
        assert moved == after
        assert moved.status is MOVES[name].to
    else:
        assert moved is None
        assert after == before


@CHANNELS
async def test_a_new_address_leaves_the_rest_of_a_completed_row(
    store: StoreUnderTest, channel: Channel
) -> None:
    row = await inserted(store, channel)
    done = await store.sessions.apply(row.key, complete(DONE))
    assert done is not None
    url = "https://a.test/signed-anew.jpg"
    signed = await store.sessions.apply(row.key, sign_again(url))
    assert signed == replace(done, generated_image_url=url)


@CHANNELS
async def test_of_sixteen_workers_one_gets_the_row(store: StoreUnderTest, channel: Channel) -> None:
    row = await inserted(store, channel)
    won = await asyncio.gather(*(store.sessions.apply(row.key, start()) for _ in range(16)))
    assert sum(each is not None for each in won) == 1


@CHANNELS
async def test_completion_and_failure_race_and_one_wins(
    store: StoreUnderTest, channel: Channel
) -> None:
    for _ in range(5):
        row = await inserted(store, channel)
        await store.sessions.apply(row.key, start())
        moves = [complete(DONE), fail("a sentence")] * 4
        won = await asyncio.gather(*(store.sessions.apply(row.key, move) for move in moves))
        winners = [each for each in won if each is not None]
        assert len(winners) == 1
        last = await store.sessions.get(row.key)
        assert last == winners[0]
        assert (last.error_message is None) is (last.status is Status.COMPLETED)


async def test_open_rows_come_from_both_tables_oldest_first(store: StoreUnderTest) -> None:
    rows = [await inserted(store, channel) for channel in (*Channel, *Channel)]
    for row in rows[:1]:
        await store.sessions.apply(row.key, start())
    done = await inserted(store, Channel.B2C)
    await store.sessions.apply(done.key, fail("over"))
    later = datetime.now(UTC) + timedelta(seconds=5)
    found = await store.sessions.open_before(later, limit=500)
    ours = [row.session_id for row in found if row.owner_id in {store.user_id, store.store_id}]
    assert ours == [row.session_id for row in rows]
    assert await store.sessions.open_before(rows[0].created_at, limit=0) == []
    early = await store.sessions.open_before(
        rows[0].created_at - timedelta(microseconds=1), limit=500
    )
    assert not {row.session_id for row in early} & set(ours)


async def test_rows_since_a_time_come_from_both_tables_newest_first(
    store: StoreUnderTest,
) -> None:
    rows = [await inserted(store, channel) for channel in (*Channel, *Channel)]
    found = await store.sessions.since(rows[1].created_at, limit=500)
    ours = [row.session_id for row in found if row.owner_id in {store.user_id, store.store_id}]
    assert ours == [row.session_id for row in reversed(rows[1:])]
    assert len(await store.sessions.since(rows[0].created_at, limit=2)) == 2
    later = datetime.now(UTC) + timedelta(seconds=5)
    assert await store.sessions.since(later, limit=5) == []


@CHANNELS
async def test_rows_are_listed_by_status_owner_and_start_of_the_id(
    store: StoreUnderTest, channel: Channel
) -> None:
    rows = [await inserted(store, channel) for _ in range(3)]
    await store.sessions.apply(rows[1].key, start())
    await store.sessions.apply(rows[1].key, fail("no"))
    mine = RowQuery(owner_ids=frozenset({rows[0].owner_id}), since=rows[0].created_at)
    newest = [row.session_id for row in await store.sessions.newest(mine, limit=10)]
    assert newest == [row.session_id for row in reversed(rows)]
    failed = replace(mine, statuses=frozenset({Status.FAILED, Status.PENDING}))
    assert [row.session_id for row in await store.sessions.newest(failed, limit=10)] == [
        rows[1].session_id
    ]
    for prefix in (rows[2].session_id[:11], rows[2].session_id.replace("-", "")[:9].upper()):
        found = await store.sessions.newest(replace(mine, id_prefix=prefix), limit=10)
        assert [row.session_id for row in found] == [rows[2].session_id]


@CHANNELS
async def test_a_list_continues_before_its_last_row_even_among_equal_times(
    store: StoreUnderTest, channel: Channel
) -> None:
    rows = [await inserted(store, channel) for _ in range(5)]
    mine = RowQuery(owner_ids=frozenset({rows[0].owner_id}), since=rows[0].created_at)
    seen: list[str] = []
    query = mine
    while page := await store.sessions.newest(query, limit=2):
        seen += [row.session_id for row in page]
        query = replace(mine, before=(page[-1].created_at, page[-1].session_id))
    assert seen == [row.session_id for row in reversed(rows)]
    at = rows[2].created_at
    lower_ids, higher_ids = str(UUID(int=0)), str(UUID(int=2**128 - 1))
    for last_id, expected in ((higher_ids, rows[2::-1]), (lower_ids, rows[1::-1])):
        page = await store.sessions.newest(replace(mine, before=(at, last_id)), limit=9)
        assert [row.session_id for row in page] == [row.session_id for row in expected]


async def test_rows_are_found_by_request_id_and_by_shopper(store: StoreUnderTest) -> None:
    mail = f"Ann_{uuid4().hex[:6]}@Shop.test"
    row = await inserted(store, Channel.B2B, shopper_email=mail)
    await inserted(store, Channel.B2B, shopper_email=mail.replace("_", "x"))
    await inserted(store, Channel.B2C)
    by_mail = await store.sessions.newest(RowQuery(shopper_email=mail.lower()), limit=10)
    by_request = await store.sessions.newest(RowQuery(request_id=row.request_id), limit=10)
    assert [each.session_id for each in by_mail] == [row.session_id]
    assert [each.session_id for each in by_request] == [row.session_id]


async def test_merchant_stores_have_names(store: StoreUnderTest) -> None:
    domains = await store.sessions.store_domains([store.store_id, str(uuid4())])
    assert list(domains) == [store.store_id]
    domain = domains[store.store_id]
    part = domain[:20].upper()
    assert (await store.sessions.stores_named(part, limit=5))[store.store_id] == domain
    assert await store.sessions.stores_named("100%_no_such*", limit=5) == {}
    assert await store.sessions.store_domains([]) == {}


async def test_rows_of_one_request_id_come_oldest_first_and_of_one_store(
    store: StoreUnderTest,
) -> None:
    first = await inserted(store, Channel.B2B, request_id="req-shared")
    second = await inserted(store, Channel.B2B, request_id="req-shared")
    await inserted(store, Channel.B2B)
    found = await store.sessions.with_request_id(store.store_id, "req-shared")
    assert [row.session_id for row in found] == [first.session_id, second.session_id]
    assert await store.sessions.with_request_id(str(uuid4()), "req-shared") == []


@CHANNELS
async def test_an_owner_that_does_not_exist_is_refused(
    store: StoreUnderTest, channel: Channel
) -> None:
    with pytest.raises(StoreRefused) as refusal:
        await inserted(store, channel, owner_id=str(uuid4()))
    assert refusal.value.vendor_code == "23503"


@CHANNELS
async def test_an_id_is_used_once(store: StoreUnderTest, channel: Channel) -> None:
    row = await inserted(store, channel)
    with pytest.raises(StoreRefused) as refusal:
        await inserted(store, channel, session_id=row.session_id)
    assert refusal.value.vendor_code == "23505"
    assert "example.test" not in str(refusal.value)


async def test_an_id_that_is_not_a_uuid_is_refused(store: StoreUnderTest) -> None:
    key = SessionKey(channel=Channel.B2C, session_id="42")
    with pytest.raises(StoreRefused) as refusal:
        await store.sessions.get(key)
    assert refusal.value.vendor_code == "22P02"
    with pytest.raises(StoreRefused):
        await store.sessions.apply(key, start())
