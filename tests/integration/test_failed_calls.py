"""Causes of failures on a real Redis: attempts, previews, and what is kept for later."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import pytest

from wearon_cli.adapters.redis import keys
from wearon_cli.adapters.redis.book import RedisPurchaseBook
from wearon_cli.adapters.redis.client import Client
from wearon_cli.adapters.redis.day_pages import FIRST_DAY
from wearon_cli.adapters.redis.failures import RedisFailureCounts
from wearon_cli.adapters.redis.journal import RedisJournal
from wearon_cli.adapters.redis.workers import RedisWorkers
from wearon_cli.core.errors import RequestRejected
from wearon_cli.core.failures import FailedCall
from wearon_cli.core.jobs.journal import (
    Claim,
    Closing,
    Ending,
    HandBack,
    NewJob,
    Purchase,
    PurchaseOutcome,
    SessionRecord,
)
from wearon_cli.core.jobs.workers import Worker
from wearon_cli.core.providers import Usage
from wearon_cli.core.session import Channel, SessionKey, utc_now
from wearon_cli.core.vendor_answer import VendorAnswer

pytestmark = pytest.mark.anyio

ID = "0193a1c0-7b1e-7c4a-9f00-3f2c6f0a9d07"
KEY = SessionKey(channel=Channel.B2B, session_id=ID)
FAILED = Closing(ending=Ending.FAILED, error_code="request_rejected")
REJECTED = RequestRejected("the image API answered 400").told_by(
    VendorAnswer(status=400, code="invalid_image_file", request_id="req_1")
)


class Jobs:
    """A journal with one worker."""

    def __init__(self, redis: Client) -> None:
        self.journal = RedisJournal(redis, requests_per_minute=1, pictures_per_minute=None)
        self._claims = 0

    async def opened(self, *, event: str = "taken", earlier: int = 0) -> Claim:
        job = NewJob(
            key=KEY,
            payload=b"",
            owner_id="store-1",
            pictures=1,
            event=event,
            earlier_attempts=earlier,
        )
        assert await self.journal.open(job)
        return await self.claimed()

    async def claimed(self) -> Claim:
        self._claims += 1
        claim = await self.journal.claim(ID, worker_id="w", token=f"t{self._claims}")
        assert claim is not None
        return claim

    async def begun(self, claim: Claim, *, provider: str = "openai") -> float:
        purchase = Purchase(
            number=1,
            provider=provider,
            model="gpt-image-8" if provider == "openai" else provider,
            started_at=utc_now(),
            expected_usd=0.04 if provider == "openai" else 0.0,
            is_free=provider == "preview",
        )
        return await self.journal.start_purchase(claim, purchase, pictures=1)

    async def record(self) -> SessionRecord:
        record = await self.journal.record(ID)
        assert record is not None
        return record

    async def lines(self, event: str) -> Sequence[Mapping[str, object]]:
        return [line for line in await self.journal.timeline(ID) if line["event"] == event]


@pytest.fixture
async def jobs(redis: Client) -> Jobs:
    await RedisWorkers(redis, lease_s=15).register(Worker(worker_id="w", slots=8, host="h", pid=1))
    return Jobs(redis)


async def test_attempts_are_numbered_over_all_jobs_of_a_session(jobs: Jobs) -> None:
    claim = await jobs.opened()
    await jobs.journal.hand_back(claim, after_s=0, why=HandBack.FAULT, error="generator_fault")
    await jobs.journal.close(await jobs.claimed(), FAILED)
    attempts = (await jobs.record()).attempts
    assert attempts == 2
    again = await jobs.opened(event="replayed", earlier=attempts)
    assert again.attempt == 1  # the rules count those of this job alone
    await jobs.journal.close(again, FAILED)
    claimed = await jobs.lines("claimed")
    assert [line["attempt"] for line in claimed] == [1, 2, 3]
    assert [line["attempt"] for line in await jobs.lines("closed")] == [2, 3]
    assert (await jobs.record()).attempts == 3


async def test_a_refused_call_has_the_providers_answer(jobs: Jobs) -> None:
    claim = await jobs.opened()
    await jobs.begun(claim)
    await jobs.journal.end_purchase(claim, PurchaseOutcome.NOT_BILLED, cause=REJECTED)
    (line,) = await jobs.lines("purchase_ended")
    assert (
        line.items()
        >= {
            "outcome": "not_billed",
            "error": "request_rejected",
            "status": 400,
            "code": "invalid_image_file",
            "vendor_request_id": "req_1",
        }.items()
    )


async def test_a_stored_picture_names_the_answer_it_came_in(jobs: Jobs) -> None:
    claim = await jobs.opened()
    await jobs.begun(claim)
    usage = Usage(model="gpt-image-9", cost_usd=0.05)
    await jobs.journal.picture_stored(claim, usage, PurchaseOutcome.KEPT, vendor_request_id="req_2")
    (line,) = await jobs.lines("picture_stored")
    assert line["vendor_request_id"] == "req_2"


async def test_cause_and_model_of_a_failure_outlive_the_timeline(jobs: Jobs, redis: Client) -> None:
    claim = await jobs.opened()
    await jobs.begun(claim)
    await jobs.journal.end_purchase(claim, PurchaseOutcome.NOT_BILLED, cause=REJECTED)
    await jobs.journal.close(claim, FAILED)
    await redis.delete(keys.timeline(ID))  # as after seven days
    call = FailedCall(
        provider="openai",
        model="gpt-image-8",
        error_code="request_rejected",
        status=400,
        code="invalid_image_file",
        vendor_request_id="req_1",
    )
    assert (await jobs.record()).failed_call == call
    assert call.words() == "openai gpt-image-8: 400, invalid_image_file, request req_1"
    today = datetime.now(UTC).date()
    (row,) = await RedisFailureCounts(redis).failures(today - timedelta(days=1), today)
    assert (row.owner, row.error_code, row.count) == ("store-1", "request_rejected", 1)
    assert (row.provider, row.model) == ("openai", "gpt-image-8")
    assert row.vendor_code == "invalid_image_file"
    day = (row.day - FIRST_DAY).days
    assert 0 < await redis.ttl(keys.failures(day)) <= keys.BOOK_LIFE_S


async def test_a_later_failure_without_a_call_has_no_failed_call(jobs: Jobs) -> None:
    claim = await jobs.opened()
    await jobs.begun(claim)
    await jobs.journal.end_purchase(claim, PurchaseOutcome.NOT_BILLED, cause=REJECTED)
    await jobs.journal.close(claim, FAILED)
    again = await jobs.opened(event="replayed")
    gone = Closing(ending=Ending.FAILED, error_code="picture_unavailable")
    await jobs.journal.close(again, gone)
    record = await jobs.record()
    assert (record.error_code, record.failed_call) == ("picture_unavailable", None)


async def test_a_preview_is_not_a_purchase(jobs: Jobs, redis: Client) -> None:
    claim = await jobs.opened()
    assert await jobs.begun(claim, provider="preview") == 0
    assert not await redis.exists(keys.REQUESTS)  # no permit was taken
    usage = Usage(provider="preview", model="preview", cost_usd=0.0, is_preview=True)
    await jobs.journal.picture_stored(claim, usage, PurchaseOutcome.KEPT)
    await jobs.journal.close(claim, Closing(ending=Ending.COMPLETED, cost_usd=0.0))
    events = [line["event"] for line in await jobs.journal.timeline(ID)]
    assert "preview_started" in events
    assert not [event for event in events if str(event).startswith("purchase_")]
    record = await jobs.record()
    assert (record.purchases, record.purchases_lost, record.model) == (0, 0, "preview")
    today = datetime.now(UTC).date()
    assert await RedisPurchaseBook(redis).rows(today - timedelta(days=1), today) == []


async def test_a_failed_preview_is_reported_as_a_preview(jobs: Jobs) -> None:
    claim = await jobs.opened()
    await jobs.begun(claim, provider="preview")
    rejected = RequestRejected("no person was found in the first picture")
    await jobs.journal.end_purchase(claim, PurchaseOutcome.NOT_BILLED, cause=rejected)
    (line,) = await jobs.lines("preview_ended")
    assert line["error"] == "request_rejected"
    assert await jobs.lines("purchase_ended") == []
    await jobs.journal.close(claim, FAILED)
    assert (await jobs.record()).failed_call is None  # shown as "preview preview"
