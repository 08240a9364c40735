"""The book of purchases on a real Redis: every purchase is in it once, under its outcome."""

from datetime import UTC, date, datetime, timedelta

import pytest

from wearon_cli.adapters.redis import keys
from wearon_cli.adapters.redis.book import RedisPurchaseBook
from wearon_cli.adapters.redis.client import Client
from wearon_cli.adapters.redis.journal import RedisJournal
from wearon_cli.adapters.redis.workers import RedisWorkers
from wearon_cli.core.jobs.journal import (
    Claim,
    Closing,
    Ending,
    HandBack,
    NewJob,
    Purchase,
    PurchaseOutcome,
)
from wearon_cli.core.jobs.workers import Worker
from wearon_cli.core.providers import Usage
from wearon_cli.core.session import Channel, SessionKey, utc_now

pytestmark = pytest.mark.anyio

ID = "0193a1c0-7b1e-7c4a-9f00-3f2c6f0a9d02"
USAGE = Usage(model="gpt-image-9", cost_usd=0.05)
COMPLETED = Closing(ending=Ending.COMPLETED)
FAILED = Closing(ending=Ending.FAILED, error_code="e")
KEPT, UNUSED, LOST = PurchaseOutcome.KEPT, PurchaseOutcome.UNUSED, PurchaseOutcome.LOST

type Sums = dict[PurchaseOutcome, tuple[int, float]]


class Books:
    """A journal with one worker, and the book it writes."""

    def __init__(self, redis: Client) -> None:
        self.journal = RedisJournal(redis, requests_per_minute=6000, pictures_per_minute=None)
        self.book = RedisPurchaseBook(redis)
        self._claims = 0

    async def opened(
        self, session_id: str = ID, *, owner: str = "store-1", channel: Channel = Channel.B2B
    ) -> Claim:
        key = SessionKey(channel=channel, session_id=session_id)
        assert await self.journal.open(NewJob(key=key, payload=b"", owner_id=owner, pictures=1))
        return await self.claimed(session_id)

    async def claimed(self, session_id: str = ID) -> Claim:
        self._claims += 1
        claim = await self.journal.claim(session_id, worker_id="w", token=f"t{self._claims}")
        assert claim is not None
        return claim

    async def begun(self, claim: Claim, number: int = 1) -> None:
        purchase = Purchase(
            number=number,
            provider="openai",
            model="gpt-image-8",
            started_at=utc_now(),
            expected_usd=0.04,
        )
        assert await self.journal.start_purchase(claim, purchase, pictures=1) == 0

    async def stored(self, claim: Claim, outcome: PurchaseOutcome = KEPT) -> None:
        await self.begun(claim)
        await self.journal.picture_stored(claim, USAGE, outcome)

    async def sums(self) -> Sums:
        today = datetime.now(UTC).date()
        rows = await self.book.rows(today - timedelta(days=1), today)
        assert len({row.outcome for row in rows}) == len(rows)
        return {PurchaseOutcome(row.outcome): (row.count, row.cost_usd) for row in rows}


@pytest.fixture
async def books(redis: Client) -> Books:
    await RedisWorkers(redis, lease_s=15).register(Worker(worker_id="w", slots=8, host="h", pid=1))
    return Books(redis)


async def test_a_row_says_day_owner_provider_model_and_outcome(books: Books) -> None:
    await books.stored(await books.opened())
    today = datetime.now(UTC).date()
    (row,) = await books.book.rows(today - timedelta(days=1), today)
    assert row.day in {today, today - timedelta(days=1)}
    assert (row.owner, row.provider, row.model) == ("store-1", "openai", "gpt-image-9")
    assert (row.outcome, row.count, row.cost_usd) == (KEPT, 1, 0.05)


async def test_b2c_purchases_have_one_owner(books: Books) -> None:
    for n in range(2):
        await books.stored(await books.opened(f"s{n}", owner=f"user-{n}", channel=Channel.B2C))
    today = datetime.now(UTC).date()
    (row,) = await books.book.rows(today - timedelta(days=1), today)
    assert (row.owner, row.count, row.cost_usd) == ("b2c", 2, 0.1)


@pytest.mark.parametrize(
    ("outcome", "cost_usd", "booked"),
    [
        pytest.param(UNUSED, 0.06, {UNUSED: (1, 0.06)}, id="unused, at its price"),
        pytest.param(LOST, None, {LOST: (1, 0.04)}, id="lost, at what was expected"),
        pytest.param(PurchaseOutcome.NOT_BILLED, None, {}, id="not billed"),
    ],
)
async def test_a_purchase_that_ends_without_a_picture(
    books: Books, outcome: PurchaseOutcome, cost_usd: float | None, booked: Sums
) -> None:
    claim = await books.opened()
    await books.begun(claim)
    for _ in range(2):
        await books.journal.end_purchase(claim, outcome, cost_usd=cost_usd)
    assert await books.sums() == booked
    record = await books.journal.record(ID)
    assert record is not None
    assert record.purchases == len(booked)


async def test_a_purchase_that_was_not_billed_does_not_count(books: Books) -> None:
    claim = await books.opened()
    for _ in range(5):
        await books.begun(claim)
        await books.journal.end_purchase(claim, PurchaseOutcome.NOT_BILLED)
    await books.journal.hand_back(claim, after_s=0, why=HandBack.WAITING, error="e")
    assert (await books.claimed()).purchases == 0


async def test_without_an_open_purchase_nothing_is_recorded(books: Books) -> None:
    claim = await books.opened()
    await books.journal.end_purchase(claim, LOST)
    assert await books.sums() == {}


async def test_a_fetched_picture(books: Books) -> None:
    await books.stored(await books.opened(), PurchaseOutcome.FETCHED)
    assert await books.sums() == {PurchaseOutcome.FETCHED: (1, 0.05)}


@pytest.mark.parametrize("first", [KEPT, PurchaseOutcome.FETCHED])
async def test_a_redraw_that_completes_replaces_the_first_picture(
    books: Books, first: PurchaseOutcome
) -> None:
    claim = await books.opened()
    await books.stored(claim, first)
    await books.journal.close(claim, COMPLETED)
    again = await books.opened()
    await books.stored(again)
    for _ in range(2):
        await books.journal.close(again, COMPLETED)
    assert await books.sums() == {KEPT: (1, 0.05), PurchaseOutcome.REPLACED: (1, 0.05)}


async def test_a_redraw_that_fails_leaves_the_first_picture_kept(books: Books) -> None:
    claim = await books.opened()
    await books.stored(claim)
    await books.journal.close(claim, COMPLETED)
    again = await books.opened()
    await books.stored(again)
    await books.journal.close(again, FAILED)
    assert await books.sums() == {KEPT: (1, 0.05), UNUSED: (1, 0.05)}


async def test_a_redraw_is_recorded_on_the_day_of_the_first_purchase(
    books: Books, redis: Client
) -> None:
    claim = await books.opened()
    await books.stored(claim)
    await books.journal.close(claim, COMPLETED)
    (today,) = (name.decode() for name in await redis.keys(keys.book("*")))
    await redis.rename(today, keys.book(10_000))  # 1997-05-19
    record = (await redis.get(keys.record(ID))).decode()
    day = today.removeprefix(keys.book(""))
    await redis.set(keys.record(ID), record.replace(f'"day":{day}', '"day":10000'))
    again = await books.opened()
    await books.stored(again)
    await books.journal.close(again, COMPLETED)
    (old,) = await books.book.rows(date(1997, 5, 19), date(1997, 5, 19))
    assert (old.outcome, old.count) == (PurchaseOutcome.REPLACED, 1)
    assert await books.sums() == {KEPT: (1, 0.05)}


async def test_a_picture_of_a_job_that_failed_is_unused(books: Books) -> None:
    claim = await books.opened()
    await books.stored(claim)
    await books.journal.close(claim, FAILED)
    assert await books.sums() == {UNUSED: (1, 0.05)}
    record = await books.journal.record(ID)
    assert record is not None
    assert (record.provider, record.purchases, record.cost_usd) == (None, 1, 0.05)


@pytest.mark.parametrize(
    ("closing", "outcome"),
    [
        pytest.param(COMPLETED, KEPT, id="completed: its picture is stored"),
        pytest.param(FAILED, LOST, id="failed: nobody knows"),
    ],
)
async def test_a_purchase_without_a_recorded_end_is_lost(
    books: Books, closing: Closing, outcome: PurchaseOutcome
) -> None:
    claim = await books.opened()
    await books.begun(claim)
    await books.journal.close(claim, closing)
    assert await books.sums() == {outcome: (1, 0.04)}


async def test_a_purchase_left_open_is_lost_when_the_next_begins(books: Books) -> None:
    claim = await books.opened()
    await books.begun(claim)
    await books.begun(claim, number=2)
    assert await books.sums() == {LOST: (1, 0.04)}
    await books.journal.picture_stored(claim, USAGE, KEPT)
    assert await books.sums() == {LOST: (1, 0.04), KEPT: (1, 0.05)}


async def test_the_book_is_kept_for_400_days(books: Books, redis: Client) -> None:
    await books.stored(await books.opened())
    (name,) = await redis.keys(keys.book("*"))
    assert 399 * 86_400 < await redis.ttl(name) <= 400 * 86_400
