"""The outcomes of jobs, on a real Redis and the local session store."""

import asyncio
from dataclasses import replace
from uuid import uuid4

import pytest

from devkit.accounts import CREDITS, USER
from devkit.faults import Crash
from devkit.world import PICTURE, MakeWorld, PaidProvider, World
from wearon_cli.core.errors import (
    AccountBlocked,
    CallAmbiguous,
    FetchFailed,
    GenerationRefused,
    GeneratorFault,
    GeneratorUnreachable,
    LeaseLost,
    PictureUnavailable,
    QueueUnavailable,
    RateLimited,
    WearonError,
)
from wearon_cli.core.jobs import purchasing
from wearon_cli.core.jobs.journal import Claim, Ending, HandBack, JobState, Purchase
from wearon_cli.core.providers import HeldPicture, Pending, Powers, Ticket, TryOnRequest, Usage
from wearon_cli.core.session import Channel, Status, fail, requeue, utc_now

pytestmark = pytest.mark.anyio

MANY_TRIES = "5e2f9c1d-8a47-4c3b-b6d0-9a1e7f4c2b84"
HELD = HeldPicture(jpeg=PICTURE, usage=Usage(model="m", cost_usd=0.05), number=1)


async def balance(world: World) -> int:
    return await world.ledger.user_balance(USER)


async def test_a_job_becomes_a_picture_in_storage_and_a_completed_row(world: World) -> None:
    key = await world.sell(owner_id=USER)
    assert await world.run_all() == [Ending.COMPLETED]
    row = await world.row(key)
    assert row.status is Status.COMPLETED
    assert row.completed_at is not None
    assert row.processing_time_ms is not None
    assert (row.input_tokens, row.output_tokens, row.error_message) == (10, 20, None)
    assert row.estimated_cost_usd == pytest.approx(0.05)
    assert (await world.storage.get(row.result_path))[:2] == b"\xff\xd8"
    assert row.generated_image_url
    assert await balance(world) == CREDITS - 1
    assert await world.journal.entry(key.session_id) is None


@pytest.mark.parametrize(
    ("answers", "outcome", "paid"),
    [
        pytest.param([GenerationRefused()], Ending.FAILED, 0, id="refused by the safety system"),
        pytest.param([PictureUnavailable()], Ending.FAILED, 0, id="no picture any more"),
        pytest.param([WearonError()], Ending.FAILED, 0, id="something unforeseen"),
    ],
)
async def test_a_final_failure_gives_the_credit_back_once(
    world: World, answers: list[WearonError], outcome: Ending, paid: int
) -> None:
    key = await world.sell(owner_id=USER)
    world.generator.plan = list(answers)
    assert await world.run_all() == [outcome]
    row = await world.row(key)
    assert row.status is Status.FAILED
    assert row.error_message == answers[0].shopper_message
    assert await balance(world) == CREDITS
    assert len(world.generator.paid) == paid


async def test_a_second_push_after_completion_changes_and_buys_nothing(world: World) -> None:
    key = await world.sell(owner_id=USER)
    await world.run_all()
    before = await world.row(key)
    await world.push(key, USER, "req-again")
    assert await world.run_all() == [Ending.DROPPED]
    assert await world.row(key) == before
    assert len(world.generator.paid) == 1
    assert await balance(world) == CREDITS - 1


async def test_the_same_job_twice_at_once_is_done_once(world: World) -> None:
    key = await world.sell(owner_id=USER)
    await world.push(key, USER, "req-again")
    await world.take_all_in()
    outcomes = await asyncio.gather(*(world.run_one() for _ in range(4)))
    assert sorted(map(str, outcomes)) == ["None", "None", "None", "completed"]
    assert len(world.generator.paid) == 1


async def test_a_picture_already_stored_is_not_bought_again(world: World) -> None:
    key = await world.sell(owner_id=USER)
    row = await world.row(key)
    await world.storage.put(row.result_path, PICTURE, content_type="image/jpeg")
    assert await world.run_all() == [Ending.COMPLETED]
    assert world.generator.paid == []
    assert (await world.row(key)).status is Status.COMPLETED


async def test_a_picture_held_while_storage_was_down_is_stored_by_another_worker(
    world: World,
) -> None:
    key = await world.sell(owner_id=USER)
    await world.take_all_in()
    claim = await claimed(world)
    await world.journal.keep_picture(claim, HELD)
    await world.kill_worker()
    assert await world.run_all() == [Ending.COMPLETED]
    assert world.generator.paid == []
    assert await world.storage.get((await world.row(key)).result_path) == PICTURE


async def test_a_held_picture_of_a_session_that_ended_meanwhile_is_kept_for_a_person(
    world: World,
) -> None:
    """It was bought and is available: its purchase is not lost."""
    key = await world.sell(owner_id=USER)
    await world.take_all_in()
    claim = await claimed(world)
    purchase = Purchase(
        number=1, provider="openai", model="m", started_at=utc_now(), expected_usd=0.07
    )
    assert await world.journal.start_purchase(claim, purchase, pictures=2) == 0
    await world.journal.keep_picture(claim, HELD)
    await world.kill_worker()
    await world.sessions.apply(key, fail("The platform took it for stuck."))
    assert await world.run_all() == [Ending.DROPPED]
    assert await world.storage.get((await world.row(key)).result_path) == PICTURE
    record = await world.journal.record(key.session_id)
    assert record is not None
    assert (record.purchases, record.purchases_lost) == (1, 0)
    assert record.cost_usd == pytest.approx(0.05)


async def test_an_unrecorded_cost_is_read_from_the_completed_row(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its worker lost the lease while the picture was drawn, but finished it."""
    key = await world.sell(owner_id=USER)
    await world.take_all_in()
    claim = await claimed(world)

    async def away(*_: object, **__: object) -> None:
        raise QueueUnavailable

    async def lease_lost(*_: object, **__: object) -> None:
        raise LeaseLost

    monkeypatch.setattr(world.journal, "picture_stored", away)
    monkeypatch.setattr(world.journal, "close", lease_lost)
    with pytest.raises(LeaseLost):
        await world.runner().run(claim)
    monkeypatch.undo()
    await world.kill_worker()
    assert await world.run_all() == [Ending.COMPLETED]
    record = await world.journal.record(key.session_id)
    assert record is not None
    assert (record.purchases, record.purchases_lost) == (1, 0)
    assert record.cost_usd == pytest.approx(0.05)


async def test_a_cost_lost_with_its_worker_is_an_estimate(world: World) -> None:
    """The picture is stored; its cost was only in the answer."""
    key = await world.sell(owner_id=USER)
    await world.take_all_in()
    claim = await claimed(world)
    world.fuse.crash_in = "picture_stored"
    with pytest.raises(Crash):
        await world.runner().run(claim)
    world.fuse.crash_in = None
    await world.kill_worker()
    assert await world.run_all() == [Ending.COMPLETED]
    lines = await world.journal.timeline(key.session_id)
    (stored,) = [line for line in lines if line["event"] == "picture_stored"]
    assert stored["estimate"] is True
    assert len(world.generator.paid) == 1


async def test_a_rate_limit_puts_the_row_back_to_queued_and_keeps_the_credit(world: World) -> None:
    key = await world.sell(owner_id=USER)
    world.generator.plan = [RateLimited(retry_after_s=60)]
    assert await world.run_all() == [HandBack.WAITING]
    assert (await world.row(key)).status is Status.QUEUED
    assert await balance(world) == CREDITS - 1
    assert await world.run_one() is None  # not due yet
    await world.pass_time()
    assert await world.run_one() is Ending.COMPLETED


@pytest.mark.parametrize("retries", [0, 2])
async def test_faults_are_retried_up_to_the_limit(make_world: MakeWorld, retries: int) -> None:
    world = await make_world(openai_max_retries=retries)
    await world.sell(owner_id=USER)
    world.generator.plan = [GeneratorFault() for _ in range(9)]
    await world.take_all_in()
    outcomes = []
    for _ in range(retries + 2):
        outcomes.append(await world.run_one())
        await world.pass_time()
    assert outcomes == [HandBack.FAULT] * retries + [Ending.FAILED, None]
    assert await balance(world) == CREDITS


async def test_lost_purchases_are_bought_again_up_to_the_cap(world: World) -> None:
    key = await world.sell(owner_id=USER)
    world.generator.plan = [CallAmbiguous() for _ in range(9)]
    await world.take_all_in()
    outcomes = []
    for _ in range(5):
        outcomes.append(await world.run_one())
        await world.pass_time()
    assert outcomes == [HandBack.FAULT, HandBack.FAULT, Ending.FAILED, None, None]
    assert len(world.generator.paid) == world.settings.max_purchases == 3
    assert await balance(world) == CREDITS
    record = await world.journal.record(key.session_id)
    assert record is not None
    assert (record.purchases, record.purchases_lost) == (3, 3)


async def test_a_purchase_of_a_dead_worker_is_lost_and_counts_towards_the_cap(
    world: World,
) -> None:
    key = await world.sell(owner_id=USER)
    await world.take_all_in()
    for number in (1, 2, 3):
        claim = await claimed(world)
        await world.runner().generation.drawing.buyer.retriever.recover(claim)
        purchase = Purchase(
            number=number, provider="openai", model="m", started_at=utc_now(), expected_usd=0.05
        )
        assert await world.journal.start_purchase(claim, purchase, pictures=2) == 0
        await world.kill_worker()
    assert await world.run_one() is Ending.FAILED
    assert world.generator.paid == []
    assert (await world.row(key)).status is Status.FAILED
    assert await balance(world) == CREDITS


async def test_an_answer_without_a_picture_is_an_unused_purchase(world: World) -> None:
    key = await world.sell(owner_id=USER)
    world.generator.plan = [b"<html>sorry</html>"]
    assert await world.run_all() == [HandBack.FAULT]
    record = await world.journal.record(key.session_id)
    assert record is not None
    assert (record.purchases, record.purchases_lost) == (1, 0)
    assert record.cost_usd == pytest.approx(0.05)


async def test_a_blocked_account_halts_all_calls_and_fails_no_job(world: World) -> None:
    first = await world.sell(owner_id=USER)
    second = await world.sell(owner_id=USER)
    world.generator.plan = [AccountBlocked()]
    assert await world.run_all() == [HandBack.WAITING]  # the other one is not even released
    assert world.generator.paid == []
    for key in (first, second):
        assert (await world.row(key)).status is Status.QUEUED
    (halt,) = await world.breakers.halts()
    assert halt.reason == "account_blocked"
    await world.let_probe()
    await world.pass_time()
    assert [await world.run_one(), await world.run_one()] == [Ending.COMPLETED] * 2
    assert await world.breakers.halts() == []


async def test_a_job_that_waited_too_long_is_settled(world: World) -> None:
    key = await world.sell(owner_id=USER)
    world.generator.plan = [GeneratorUnreachable(), GeneratorUnreachable()]
    assert await world.run_all() == [HandBack.WAITING]
    job = f"wearon:job:{key.session_id}"
    await world.redis.hincrbyfloat(job, "waiting_since", -world.settings.max_wait_s - 1)
    await world.pass_time()
    assert await world.run_one() is Ending.FAILED
    assert await balance(world) == CREDITS


async def test_a_photo_host_that_is_down_is_waited_for(world: World) -> None:
    """Seen: an outage of storage of 12 s failed 10 of 16 jobs."""
    key = await world.sell(owner_id=USER)
    world.fetcher.plan = [FetchFailed() for _ in range(6)]
    assert await world.run_all() == [HandBack.WAITING]
    await world.pass_time()
    for _ in range(3):
        await world.run_one()
        await world.pass_time()
    assert (await world.row(key)).status is Status.COMPLETED
    assert await balance(world) == CREDITS - 1


async def test_a_row_that_a_late_worker_requeued_still_counts_as_open(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise the job is dropped and its session stays open for 20 minutes."""
    key = await world.sell(owner_id=USER)
    monkeypatch.setattr(purchasing, "SEEN_FOR_S", -1.0)  # the row is looked at before paying

    async def fetch_meanwhile(_url: str) -> bytes:
        await world.sessions.apply(key, requeue())  # no token fences a row
        return PICTURE

    monkeypatch.setattr(world.fetcher, "fetch", fetch_meanwhile)
    assert await world.run_all() == [HandBack.WAITING]
    monkeypatch.undo()
    await world.pass_time()
    assert await world.run_one() is Ending.COMPLETED
    assert len(world.generator.paid) == 1


async def test_a_wait_longer_than_the_jobs_own_is_capped(world: World) -> None:
    key = await world.sell(owner_id=USER)
    world.generator.plan = [RateLimited(retry_after_s=4 * 3600)]
    assert await world.run_all() == [HandBack.WAITING]
    entry = await world.journal.entry(key.session_id)
    assert entry is not None
    assert entry.due_at is not None
    assert entry.waiting_since is not None
    assert (entry.due_at - entry.waiting_since).total_seconds() <= world.settings.max_wait_s + 1


class AsksForAnHour(PaidProvider):
    """Has sold a picture, and answers each status request with a long `retry-after`."""

    powers = Powers(fetch=True)

    async def submit(  # type: ignore[override]
        self, request: TryOnRequest, *, model: str, marker: str | None
    ) -> Pending:
        self.paid.append(request.session_id)
        ticket = Ticket(provider=self.name, model=model, provider_id="t1", marker=marker)
        return Pending(ticket=ticket, after_s=0.0)

    async def collect(self, ticket: Ticket) -> Pending:
        return Pending(ticket=ticket, after_s=3600.0, failure=RateLimited(retry_after_s=3600.0))


async def test_a_provider_that_asks_for_an_hour_frees_the_slot(world: World) -> None:
    world.generator = AsksForAnHour()
    key = await world.sell(owner_id=USER)
    assert await asyncio.wait_for(world.run_all(), timeout=60) == [HandBack.WAITING]
    entry = await world.journal.entry(key.session_id)
    assert entry is not None
    assert entry.purchase is not None
    assert entry.due_at is not None
    assert entry.waiting_since is not None
    wait_s = (entry.due_at - entry.waiting_since).total_seconds()
    assert wait_s == pytest.approx(world.settings.max_wait_s, abs=1)


async def claimed(world: World) -> Claim:
    """The next job, claimed by this world's worker."""
    await world.registry.register(world.worker)
    (job,) = (await world.dispatcher.release(limit=1)).jobs
    claim = await world.claim(job.session_id)
    assert claim is not None
    return claim


async def test_a_malformed_job_is_a_dead_letter_and_its_credit_is_returned(world: World) -> None:
    key = await world.sell(owner_id=USER, push=False)
    raw = b'{"channel":"b2c","session_id":"%s","image_urls":[]}' % key.session_id.encode()
    await world.intake.push(raw)
    await world.intake.push(b"\x00 not json")
    assert await world.run_all() == [Ending.FAILED]
    assert (await world.row(key)).status is Status.FAILED
    assert await balance(world) == CREDITS
    assert {letter.raw for letter in await world.dead_letters.list(limit=5)} == {
        raw,
        b"\x00 not json",
    }


async def test_a_malformed_duplicate_does_not_harm_a_valid_job(world: World) -> None:
    key = await world.sell(owner_id=USER)
    await world.intake.push(b'{"channel":"b2c","session_id":"%s"}' % key.session_id.encode())
    assert await world.run_all() == [Ending.COMPLETED]
    assert (await world.row(key)).status is Status.COMPLETED


async def test_an_error_in_a_settlement_does_not_keep_the_job_with_its_worker(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A live worker keeps its lease: no other would ever settle the job."""

    async def an_odd_row(_row: object) -> None:
        raise KeyError("a column that is not there")

    key = await world.sell(owner_id=USER)
    world.generator.plan = [GenerationRefused()]
    monkeypatch.setattr(world.ledger, "entries_of", an_odd_row)
    assert await world.run_all() == [HandBack.WAITING]
    assert await world.registry.renew(world.worker.worker_id)
    monkeypatch.undo()
    await world.pass_time()
    assert await world.run_one() is Ending.FAILED
    assert (await world.row(key)).status is Status.FAILED
    assert await balance(world) == CREDITS


async def test_a_job_without_a_row_is_kept_for_a_person(world: World) -> None:
    key = await world.sell(owner_id=USER, push=False)
    ghost = type(key)(channel=Channel.B2C, session_id=str(uuid4()))
    await world.push(ghost, USER, "req")
    assert await world.run_all() == [Ending.FAILED]
    (letter,) = await world.dead_letters.list(limit=5)
    assert letter.session_id == ghost.session_id
    assert await balance(world) == CREDITS - 1


async def test_deaths_of_workers_do_not_count_against_a_job_up_to_a_limit(world: World) -> None:
    key = await world.sell(owner_id=USER)
    await world.take_all_in()
    for _ in range(world.settings.max_deaths):
        await claimed(world)
        await world.kill_worker()
    assert await world.run_one() is Ending.FAILED
    assert world.generator.paid == []
    assert await balance(world) == CREDITS
    (letter,) = await world.dead_letters.list(limit=5)
    assert letter.session_id == key.session_id
    assert "5 worker processes died" in letter.reason


async def test_twenty_jobs_in_flight_at_two_deaths_complete(world: World) -> None:
    """Seen: two kills of a worker failed all of its 20 jobs."""
    world.worker = replace(world.worker, slots=40)
    await world.ledger.add_user(MANY_TRIES, credits=20)
    for _ in range(20):
        await world.sell(owner_id=MANY_TRIES)
    await world.take_all_in()
    for _ in range(2):
        await world.registry.register(world.worker)
        while jobs := (await world.dispatcher.release(limit=20)).jobs:
            for job in jobs:
                assert await world.claim(job.session_id) is not None
        await world.kill_worker()
    assert await world.run_all() == [Ending.COMPLETED] * 20
    assert len(world.generator.paid) == 20


async def test_an_open_row_without_a_job_is_settled_and_others_are_left_alone(
    world: World,
) -> None:
    orphan = await world.sell(owner_id=USER, push=False)
    waiting = await world.sell(owner_id=USER)
    recovery = world.recovery()
    assert await recovery.adopt_orphans(age_s=600) == 0
    assert await recovery.adopt_orphans(age_s=-1) == 1
    assert await recovery.adopt_orphans(age_s=-1) == 0
    assert await world.run_one() is Ending.FAILED
    assert (await world.row(orphan)).status is Status.FAILED
    assert (await world.row(waiting)).status is Status.QUEUED
    assert await world.run_all() == [Ending.COMPLETED]
    assert await balance(world) == CREDITS - 1


async def test_a_cancelled_job_is_handed_back_with_its_row(world: World) -> None:
    key = await world.sell(owner_id=USER)
    await world.take_all_in()
    runner = world.runner()
    started = asyncio.Event()

    async def forever(_url: str) -> bytes:
        started.set()
        await asyncio.sleep(60)
        return b""

    world.fetcher.fetch = forever  # type: ignore[method-assign, assignment]
    claim = await claimed(world)
    job = asyncio.create_task(runner.run(claim))
    await started.wait()
    job.cancel()
    with pytest.raises(asyncio.CancelledError):
        await job
    assert (await world.row(key)).status is Status.QUEUED
    entry = await world.journal.entry(key.session_id)
    assert entry is not None
    assert (entry.state, entry.attempt) == (JobState.READY, 1)
