"""The outcomes of jobs, on a real Redis and the local session store."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest

from devkit.redis_time import due_times_come, leases_run_out
from devkit.servers.redis_server import RedisServer
from devkit.waiting import LONGEST_S, reached
from devkit.world import PICTURE, PlannedFetcher, World
from wearon_cli.adapters.redis import keys
from wearon_cli.adapters.redis.client import Client
from wearon_cli.core.errors import (
    AccountBlocked,
    CallAmbiguous,
    GenerationRefused,
    GeneratorFault,
    GeneratorUnreachable,
    PictureUnavailable,
    RateLimited,
    WearonError,
)
from wearon_cli.core.jobs.runner import Outcome
from wearon_cli.core.session import Channel, SessionKey, Status

pytestmark = pytest.mark.anyio

USER = "5e2f9c1d-8a47-4c3b-b6d0-9a1e7f4c2b83"


@pytest.fixture
async def world(redis: Client, redis_server: RedisServer, tmp_path: Path) -> AsyncIterator[World]:
    one = World(redis, redis_server.url, tmp_path)
    await one.ledger.add_user(USER, credits=10)
    yield one
    await one.aclose()


async def balance(world: World) -> int:
    return await world.ledger.user_balance(USER)


async def test_a_job_becomes_a_picture_in_storage_and_a_completed_row(world: World) -> None:
    key = await world.sell(owner_id=USER)
    assert await world.run_all() == [Outcome.COMPLETED]
    row = await world.row(key)
    assert row.status is Status.COMPLETED
    assert row.completed_at is not None
    assert row.processing_time_ms is not None
    assert (row.input_tokens, row.output_tokens, row.error_message) == (10, 20, None)
    assert row.estimated_cost_usd == pytest.approx(0.05)
    assert (await world.storage.get(row.result_path))[:2] == b"\xff\xd8"
    assert row.generated_image_url
    assert await balance(world) == 9
    assert not await world.journal.is_open(key.session_id)


@pytest.mark.parametrize(
    ("answers", "outcome", "paid"),
    [
        pytest.param([GenerationRefused()], Outcome.SETTLED, 0, id="refused by the safety system"),
        pytest.param([PictureUnavailable()], Outcome.SETTLED, 0, id="no picture any more"),
        pytest.param([WearonError()], Outcome.SETTLED, 0, id="something unforeseen"),
    ],
)
async def test_a_final_failure_gives_the_credit_back_once(
    world: World, answers: list[WearonError], outcome: Outcome, paid: int
) -> None:
    key = await world.sell(owner_id=USER)
    world.generator.plan = list(answers)
    assert await world.run_all() == [outcome]
    row = await world.row(key)
    assert row.status is Status.FAILED
    assert row.error_message == answers[0].shopper_message
    assert await balance(world) == 10
    assert len(world.generator.paid) == paid


async def test_a_second_push_after_completion_changes_and_buys_nothing(world: World) -> None:
    key = await world.sell(owner_id=USER)
    await world.run_all()
    before = await world.row(key)
    await world.push(key, USER, "req-again")
    assert await world.run_all() == [Outcome.DROPPED]
    assert await world.row(key) == before
    assert len(world.generator.paid) == 1
    assert await balance(world) == 9


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
    assert await world.run_all() == [Outcome.COMPLETED]
    assert world.generator.paid == []
    assert (await world.row(key)).status is Status.COMPLETED


async def test_a_rate_limit_puts_the_row_back_to_queued_and_keeps_the_credit(world: World) -> None:
    key = await world.sell(owner_id=USER)
    world.generator.plan = [RateLimited(retry_after_s=30)]
    assert await world.run_all() == [Outcome.HANDED_BACK]
    assert (await world.row(key)).status is Status.QUEUED
    assert await balance(world) == 9
    await world.recovery().wake_due()
    assert await world.run_one() is None  # not due yet
    await due_times_come(world.redis)
    await world.recovery().wake_due()
    assert await world.run_one() is Outcome.COMPLETED


@pytest.mark.parametrize("retries", [0, 2])
async def test_faults_are_repeated_as_often_as_set_and_no_more(
    redis: Client, redis_server: RedisServer, tmp_path: Path, retries: int
) -> None:
    world = World(redis, redis_server.url, tmp_path, openai_max_retries=retries)
    await world.ledger.add_user(USER, credits=10)
    await world.sell(owner_id=USER)
    world.generator.plan = [GeneratorFault() for _ in range(9)]
    await world.take_all_in()
    outcomes = []
    for _ in range(retries + 2):
        outcomes.append(await world.run_one())
        await due_times_come(redis)
        await world.recovery().wake_due()
    assert outcomes == [Outcome.HANDED_BACK] * retries + [Outcome.SETTLED, None]
    assert await balance(world) == 10
    await world.aclose()


async def test_a_lost_paid_call_is_repeated_once_and_counted(world: World) -> None:
    key = await world.sell(owner_id=USER)
    world.generator.plan = [CallAmbiguous(), CallAmbiguous(), PICTURE]
    assert await world.run_all() == [Outcome.HANDED_BACK]
    await due_times_come(world.redis)
    await world.recovery().wake_due()
    assert await world.run_one() is Outcome.SETTLED
    assert len(world.generator.paid) == 2
    assert await balance(world) == 10
    assert (await world.events(key)).count("paid_call_lost") == 2
    (letter,) = await world.dead_letters.list(limit=5)
    assert letter.session_id == key.session_id


async def test_an_answer_that_is_not_a_picture_counts_as_a_lost_paid_call(world: World) -> None:
    key = await world.sell(owner_id=USER)
    world.generator.plan = [b"<html>sorry</html>"]
    assert await world.run_all() == [Outcome.HANDED_BACK]
    assert (await world.events(key)).count("paid_call_lost") == 1


async def test_a_blocked_account_halts_all_calls_and_fails_no_job(world: World) -> None:
    first = await world.sell(owner_id=USER)
    second = await world.sell(owner_id=USER)
    world.generator.plan = [AccountBlocked()]
    assert await world.run_all() == [Outcome.HANDED_BACK, Outcome.HANDED_BACK]
    assert world.generator.paid == []
    for key in (first, second):
        assert (await world.row(key)).status is Status.QUEUED
    await world.redis.hset(keys.BREAKER, "probe_at", 1)  # time to probe
    await due_times_come(world.redis)
    await world.recovery().wake_due()
    assert [await world.run_one(), await world.run_one()] == [Outcome.COMPLETED] * 2
    assert not await world.redis.exists(keys.BREAKER)


async def test_a_job_past_its_max_wait_is_settled(world: World) -> None:
    key = await world.sell(owner_id=USER)
    world.generator.plan = [GeneratorUnreachable(), GeneratorUnreachable()]
    assert await world.run_all() == [Outcome.HANDED_BACK]
    job = keys.job(key.session_id)
    await world.redis.hincrbyfloat(job, "waiting_since", -world.settings.max_wait_s - 1)
    await due_times_come(world.redis)
    await world.recovery().wake_due()
    assert await world.run_one() is Outcome.SETTLED
    assert await balance(world) == 10


async def test_a_malformed_job_is_a_dead_letter_and_its_credit_is_returned(world: World) -> None:
    key = await world.sell(owner_id=USER, push=False)
    raw = b'{"channel":"b2c","session_id":"%s","image_urls":[]}' % key.session_id.encode()
    await world.intake.push(raw)
    await world.intake.push(b"\x00 not json")
    assert await world.run_all() == [Outcome.SETTLED]
    assert (await world.row(key)).status is Status.FAILED
    assert await balance(world) == 10
    assert {letter.raw for letter in await world.dead_letters.list(limit=5)} == {
        raw,
        b"\x00 not json",
    }


async def test_a_malformed_twin_does_not_harm_a_good_job(world: World) -> None:
    key = await world.sell(owner_id=USER)
    await world.intake.push(b'{"channel":"b2c","session_id":"%s"}' % key.session_id.encode())
    assert await world.run_all() == [Outcome.COMPLETED]
    assert (await world.row(key)).status is Status.COMPLETED


async def test_a_job_without_a_row_is_kept_for_a_person(world: World) -> None:
    key = await world.sell(owner_id=USER, push=False)
    ghost = type(key)(channel=Channel.B2C, session_id=str(uuid4()))
    await world.push(ghost, USER, "req")
    assert await world.run_all() == [Outcome.SETTLED]
    (letter,) = await world.dead_letters.list(limit=5)
    assert letter.session_id == ghost.session_id
    assert await balance(world) == 9


async def test_a_job_that_kills_its_workers_is_given_up(world: World) -> None:
    key = await world.sell(owner_id=USER)
    await world.take_all_in()
    for _ in range(world.settings.max_attempts):
        assert await world.runner().next_job() is not None  # and the worker dies
        await leases_run_out(world.redis)
        await world.recovery().wake_due()
    assert await world.run_one() is Outcome.SETTLED
    assert world.generator.paid == []
    assert await balance(world) == 10
    (letter,) = await world.dead_letters.list(limit=5)
    assert (letter.session_id, letter.attempts) == (key.session_id, 4)


async def test_an_open_row_without_a_job_is_settled_and_others_are_left_alone(
    world: World,
) -> None:
    orphan = await world.sell(owner_id=USER, push=False)
    waiting = await world.sell(owner_id=USER)
    recovery = world.recovery()
    assert await recovery.adopt_orphans(age_s=600) == 0
    assert await recovery.adopt_orphans(age_s=-1) == 1
    assert await recovery.adopt_orphans(age_s=-1) == 0
    assert await world.run_one() is Outcome.SETTLED
    assert (await world.row(orphan)).status is Status.FAILED
    assert (await world.row(waiting)).status is Status.QUEUED
    assert await world.run_all() == [Outcome.COMPLETED]
    assert await balance(world) == 9


async def test_a_cancelled_job_is_handed_back_with_its_row(world: World) -> None:
    key, job = await being_done(world)
    job.cancel()
    with pytest.raises(asyncio.CancelledError):
        await job
    assert (await world.row(key)).status is Status.QUEUED
    assert (await world.recovery().journal.recover(limit=5)).uncalled == 1


async def test_a_lease_is_renewed_while_its_job_is_done(
    redis: Client, redis_server: RedisServer, tmp_path: Path
) -> None:
    world = World(redis, redis_server.url, tmp_path, lease_renew_s=0.01)
    await world.ledger.add_user(USER, credits=10)
    key, job = await being_done(world)
    await leases_run_out(redis)

    async def renewed() -> bool:
        return float(await redis.hget(keys.job(key.session_id), "lease_until")) > 0

    await reached(renewed)
    job.cancel()
    await asyncio.wait([job])
    await world.aclose()


async def test_a_worker_that_lost_its_lease_writes_nothing_more(
    redis: Client, redis_server: RedisServer, tmp_path: Path
) -> None:
    world = World(redis, redis_server.url, tmp_path, lease_renew_s=0.01)
    await world.ledger.add_user(USER, credits=10)
    key, job = await being_done(world)
    await redis.hset(keys.job(key.session_id), "token", "of another worker")
    await asyncio.wait([job], timeout=LONGEST_S)
    assert job.done()
    assert job.result() is Outcome.DROPPED
    assert (await world.row(key)).status is Status.PROCESSING  # the other worker's to move
    assert await world.journal.is_open(key.session_id)
    await world.aclose()


class SilentFetcher(PlannedFetcher):
    """Records that it was asked, and never answers."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = asyncio.Event()

    async def fetch(self, url: str) -> bytes:
        self.asked.set()
        await asyncio.Event().wait()
        return await super().fetch(url)


async def being_done(world: World) -> tuple[SessionKey, asyncio.Task[Outcome]]:
    """A job that is being done, and never comes to its end."""
    key = await world.sell(owner_id=USER)
    await world.take_all_in()
    fetcher = world.fetcher = SilentFetcher()
    runner = world.runner()
    claim = await runner.next_job()
    assert claim is not None
    job = asyncio.create_task(runner.run(claim))
    await fetcher.asked.wait()
    return key, job
