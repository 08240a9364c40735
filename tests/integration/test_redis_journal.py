"""The journal on a real Redis: one worker at a time, every write fenced, every call repeatable."""

import asyncio
from dataclasses import replace

import pytest

from wearon_cli.adapters.redis import keys
from wearon_cli.adapters.redis.client import Client
from wearon_cli.adapters.redis.entries import open_arguments
from wearon_cli.adapters.redis.job_scripts import JobScripts
from wearon_cli.adapters.redis.journal import MOST_HELD_PICTURES, RedisJournal
from wearon_cli.adapters.redis.workers import RedisWorkers
from wearon_cli.core.errors import LeaseLost
from wearon_cli.core.jobs.journal import (
    Claim,
    Closing,
    Ending,
    HandBack,
    JobState,
    Lane,
    NewJob,
    Purchase,
    PurchaseOutcome,
    SessionRecord,
    SettlementIntent,
)
from wearon_cli.core.jobs.workers import Worker
from wearon_cli.core.providers import HeldPicture, Usage
from wearon_cli.core.session import Channel, SessionKey, utc_now

pytestmark = pytest.mark.anyio

ID = "0193a1c0-7b1e-7c4a-9f00-3f2c6f0a9d02"
USAGE = Usage(model="gpt-image-9", input_tokens=1, output_tokens=2, cost_usd=0.05)
HELD = HeldPicture(jpeg=b"jpeg", usage=USAGE, number=1)
INTENT = SettlementIntent(error_code="x", shopper_message="Sorry.", detail="d")
COMPLETED = Closing(ending=Ending.COMPLETED)
FAILED = Closing(ending=Ending.FAILED, error_code="picture_unusable")


@pytest.fixture
async def journal(redis: Client) -> RedisJournal:
    """A journal with one registered worker, `w`."""
    await RedisWorkers(redis, lease_s=15).register(worker("w"))
    return make_journal(redis)


def make_journal(
    redis: Client, *, requests: int = 6000, pictures: int | None = None
) -> RedisJournal:
    return RedisJournal(redis, requests_per_minute=requests, pictures_per_minute=pictures)


def worker(worker_id: str, *, slots: int = 8) -> Worker:
    return Worker(worker_id=worker_id, slots=slots, host="here", pid=1)


def new_job(session_id: str = ID, *, event: str = "taken", lane: Lane = Lane.PAID) -> NewJob:
    return NewJob(
        key=SessionKey(channel=Channel.B2B, session_id=session_id),
        payload=b"job",
        owner_id="store-1",
        pictures=2,
        lane=lane,
        event=event,
        input_paths=("in/1.jpg",),
    )


def purchase(number: int = 1, *, marker: str | None = None) -> Purchase:
    return Purchase(
        number=number,
        provider="openai",
        model="gpt-image-8",
        started_at=utc_now(),
        expected_usd=0.04,
        marker=marker,
    )


async def opened(journal: RedisJournal, session_id: str = ID, *, event: str = "taken") -> Claim:
    """The claim of a newly opened job."""
    assert await journal.open(new_job(session_id, event=event))
    return await claimed(journal, session_id)


async def claimed(journal: RedisJournal, session_id: str = ID, *, token: str = "t1") -> Claim:
    claim = await journal.claim(session_id, worker_id="w", token=token)
    assert claim is not None
    return claim


async def bought(journal: RedisJournal, claim: Claim, *, number: int = 1) -> None:
    assert await journal.start_purchase(claim, purchase(number), pictures=2) == 0.0


async def events(journal: RedisJournal) -> list[object]:
    return [line["event"] for line in await journal.timeline(ID)]


async def taken_over(journal: RedisJournal, claim: Claim) -> Claim:
    """The claim of another attempt, after this one was handed back."""
    await journal.hand_back(claim, after_s=0, why=HandBack.STOPPING, error="")
    return await claimed(journal, token="t2")


# ---------------------------------------------------------------------- open and claim


async def test_a_session_has_one_open_job_and_keeps_its_first_payload(
    journal: RedisJournal,
) -> None:
    assert await journal.open(new_job())
    assert not await journal.open(replace(new_job(), payload=b"second"))
    assert (await claimed(journal)).payload == b"job"


async def test_an_open_sent_twice_is_new_both_times(journal: RedisJournal, redis: Client) -> None:
    sent = open_arguments(new_job(), releases=False)
    scripts = JobScripts(redis)
    assert [await scripts.run("open", *sent) for _ in range(2)] == [[1], [1]]
    assert await events(journal) == ["taken"]


async def test_sixteen_claims_of_one_job_at_once_give_one(journal: RedisJournal) -> None:
    await journal.open(new_job())
    answers = await asyncio.gather(
        *(journal.claim(ID, worker_id="w", token=f"t{n}") for n in range(16))
    )
    assert sum(answer is not None for answer in answers) == 1


async def test_a_claim_sent_twice_gets_the_same_claim(journal: RedisJournal) -> None:
    await journal.open(new_job())
    first = await claimed(journal)
    assert await journal.claim(ID, worker_id="w", token=first.token) == first


async def test_a_claim_knows_the_times_of_redis(journal: RedisJournal, redis: Client) -> None:
    claim = await opened(journal)
    seconds, _ = await redis.time()
    assert claim.opened_at <= claim.started_at == claim.claimed_at
    assert abs(claim.claimed_at.timestamp() - seconds) < 60
    again = await taken_over(journal, claim)
    assert again.started_at == claim.started_at < again.claimed_at


async def test_a_worker_that_is_not_registered_claims_nothing(journal: RedisJournal) -> None:
    await journal.open(new_job())
    assert await journal.claim(ID, worker_id="stranger", token="t") is None


async def test_a_closed_job_is_not_claimed(journal: RedisJournal) -> None:
    await journal.close(await opened(journal), COMPLETED)
    assert await journal.claim(ID, worker_id="w", token="t2") is None


async def test_a_job_is_not_claimed_before_its_due_time(
    journal: RedisJournal, redis: Client
) -> None:
    await journal.hand_back(
        await opened(journal), after_s=3600, why=HandBack.WAITING, error="rate_limited"
    )
    entry = await journal.entry(ID)
    assert entry is not None
    assert entry.state is JobState.WAITING
    assert entry.due_at is not None
    assert await journal.claim(ID, worker_id="w", token="t2") is None
    await redis.hset(keys.job(ID), "due_at", 1)
    assert await journal.claim(ID, worker_id="w", token="t2") is not None


# ---------------------------------------------------------------------- hand back and fences


@pytest.mark.parametrize(
    ("why", "attempt", "faults", "waits"),
    [
        pytest.param(HandBack.FAULT, 2, 1, False, id="a fault is counted"),
        pytest.param(HandBack.WAITING, 2, 0, True, id="waiting starts the longest wait"),
        pytest.param(HandBack.STOPPING, 2, 0, False, id="stopping counts nothing but the attempt"),
    ],
)
async def test_each_reason_of_a_hand_back_has_its_counters(
    journal: RedisJournal, why: HandBack, attempt: int, faults: int, waits: bool
) -> None:
    await journal.hand_back(await opened(journal), after_s=0, why=why, error="e")
    again = await claimed(journal, token="t2")
    assert (again.attempt, again.faults) == (attempt, faults)
    assert (again.waiting_since is not None) == waits


async def test_the_longest_wait_runs_from_the_first_time(journal: RedisJournal) -> None:
    await journal.hand_back(await opened(journal), after_s=0, why=HandBack.WAITING, error="e")
    second = await claimed(journal, token="t2")
    await journal.hand_back(second, after_s=0, why=HandBack.WAITING, error="e")
    assert (await claimed(journal, token="t3")).waiting_since == second.waiting_since


async def test_every_write_of_a_late_worker_is_refused(journal: RedisJournal) -> None:
    late = await opened(journal)
    await journal.hand_back(late, after_s=0, why=HandBack.STOPPING, error="")
    successor = await claimed(journal, token="t2")
    writes = (
        lambda: journal.start_purchase(late, purchase(), pictures=1),
        lambda: journal.purchase_submitted(late, "ticket"),
        lambda: journal.end_purchase(late, PurchaseOutcome.LOST),
        lambda: journal.picture_stored(late, USAGE, PurchaseOutcome.KEPT),
        lambda: journal.previous_kept(late),
        lambda: journal.charged(late),
        lambda: journal.keep_picture(late, HELD),
        lambda: journal.open_purchase(late),
        lambda: journal.intend(late, INTENT),
        lambda: journal.close(late, COMPLETED),
    )
    before = await journal.timeline(ID)
    for write in writes:
        with pytest.raises(LeaseLost):
            await write()
    assert await journal.timeline(ID) == before
    await journal.close(successor, COMPLETED)


async def test_a_repeated_hand_back_does_not_take_the_job_from_the_next_worker(
    journal: RedisJournal,
) -> None:
    first = await opened(journal)
    await journal.hand_back(first, after_s=0, why=HandBack.FAULT, error="e")
    await claimed(journal, token="t2")
    await journal.hand_back(first, after_s=60, why=HandBack.FAULT, error="e")
    entry = await journal.entry(ID)
    assert entry is not None
    assert entry.state is JobState.RUNNING
    third = await journal.claim(ID, worker_id="w", token="t2")
    assert third is not None
    assert third.faults == 1


async def test_repeating_a_call_that_arrived_changes_nothing(journal: RedisJournal) -> None:
    claim = await opened(journal)
    for _ in range(2):
        await bought(journal, claim)
        await journal.purchase_submitted(claim, "ticket-1")
    for _ in range(2):
        await journal.picture_stored(claim, USAGE, PurchaseOutcome.KEPT)
        await journal.previous_kept(claim)
        await journal.charged(claim)
        await journal.intend(claim, INTENT)
    told = await events(journal)
    assert len(told) == len(set(told))
    for _ in range(2):
        await journal.close(claim, COMPLETED)
    record = await journal.record(ID)
    assert record is not None
    assert (record.purchases, record.cost_usd) == (1, 0.05)


async def test_the_next_worker_reads_what_the_last_one_recorded(journal: RedisJournal) -> None:
    first = await opened(journal)
    await journal.start_purchase(first, purchase(marker="mark"), pictures=2)
    await journal.purchase_submitted(first, "ticket-1")
    await journal.previous_kept(first)
    await journal.charged(first)
    await journal.intend(first, INTENT)
    second = await taken_over(journal, first)
    assert second.purchase is not None
    assert (second.purchase.marker, second.purchase.ticket) == ("mark", "ticket-1")
    assert (second.purchase.provider, second.purchase.expected_usd) == ("openai", 0.04)
    assert (second.previous_kept, second.charged, second.intent) == (True, True, INTENT)
    await journal.picture_stored(second, USAGE, PurchaseOutcome.FETCHED)
    await journal.hand_back(second, after_s=0, why=HandBack.STOPPING, error="")
    third = await claimed(journal, token="t3")
    assert (third.purchase, third.purchases, third.stored, third.usage) == (None, 1, True, USAGE)


# ---------------------------------------------------------------------- permits


async def test_no_more_permits_than_the_limit_over_two_processes(
    journal: RedisJournal, redis: Client
) -> None:
    journals = [make_journal(redis, requests=5) for _ in range(2)]
    claims = [await opened(journal, f"s{n}") for n in range(12)]
    waits = await asyncio.gather(
        *(
            journals[n % 2].start_purchase(claim, purchase(), pictures=2)
            for n, claim in enumerate(claims)
        )
    )
    assert waits.count(0.0) == 5
    assert all(0 < wait_s <= 61 for wait_s in waits if wait_s)


async def test_a_refused_permit_records_nothing(journal: RedisJournal, redis: Client) -> None:
    narrow = make_journal(redis, requests=1)
    await bought(narrow, await opened(journal, "other"))
    claim = await opened(journal)
    assert await narrow.start_purchase(claim, purchase(), pictures=2) > 0
    assert await events(journal) == ["taken", "claimed"]
    entry = await journal.entry(ID)
    assert entry is not None
    assert (entry.purchase, entry.purchases) == (None, 0)


async def test_a_permit_is_free_when_the_oldest_has_left_the_window(
    journal: RedisJournal, redis: Client
) -> None:
    narrow = make_journal(redis, requests=2)
    claims = [await opened(journal, f"s{n}") for n in range(4)]
    for claim in claims[:2]:
        await bought(narrow, claim)
    await shift_permits(redis, keys.REQUESTS, back_s=30)
    wait_s = await narrow.start_purchase(claims[2], purchase(), pictures=1)
    assert 20 < wait_s <= 31
    await shift_permits(redis, keys.REQUESTS, back_s=wait_s + 1)
    await bought(narrow, claims[2])
    await bought(narrow, claims[3])
    assert await redis.ttl(keys.REQUESTS) > 61


async def shift_permits(redis: Client, key: str, *, back_s: float) -> None:
    """Make the permits in a log older."""
    log = (await redis.get(key)).decode()
    moments = [int(log[i : i + 13]) - round(back_s * 1000) for i in range(0, len(log), 13)]
    await redis.set(key, "".join(f"{at_ms:013}" for at_ms in moments), keepttl=True)


async def test_input_pictures_are_counted_too(journal: RedisJournal, redis: Client) -> None:
    narrow = make_journal(redis, requests=100, pictures=7)
    claims = [await opened(journal, f"s{n}") for n in range(3)]
    waits = [await narrow.start_purchase(claim, purchase(), pictures=3) for claim in claims]
    assert [wait_s > 0 for wait_s in waits] == [False, False, True]


async def test_a_request_larger_than_the_picture_limit_goes_when_it_is_alone(
    journal: RedisJournal, redis: Client
) -> None:
    narrow = make_journal(redis, requests=100, pictures=2)
    claims = [await opened(journal, f"s{n}") for n in range(2)]
    assert await narrow.start_purchase(claims[0], purchase(), pictures=5) == 0
    assert await narrow.start_purchase(claims[1], purchase(), pictures=1) > 0


async def test_a_purchase_sent_twice_takes_one_permit(journal: RedisJournal, redis: Client) -> None:
    narrow = make_journal(redis, requests=2)
    claim = await opened(journal)
    await bought(narrow, claim)
    await bought(narrow, claim)
    await bought(narrow, await opened(journal, "other"))


# ---------------------------------------------------------------------- held pictures


async def test_a_held_picture_is_there_for_another_worker_until_the_job_ends(
    journal: RedisJournal, redis: Client
) -> None:
    claim = await opened(journal)
    jpeg = b"\xff\xd8\n\x00not text"
    held = HeldPicture(jpeg=jpeg, usage=USAGE, number=2)
    assert await journal.keep_picture(claim, held)
    assert await journal.kept_picture(ID) == held
    assert 0 < await redis.ttl(keys.held_picture(ID)) <= 3600
    await journal.close(claim, COMPLETED)
    assert await journal.kept_picture(ID) is None
    assert await redis.zcard(keys.HELD_PICTURES) == 0


async def test_a_purchase_begun_since_the_claim_is_known_with_its_ticket(
    journal: RedisJournal,
) -> None:
    claim = await opened(journal)
    assert await journal.open_purchase(claim) is None
    await journal.start_purchase(claim, purchase(), pictures=1)
    await journal.purchase_submitted(claim, "ticket")
    found = await journal.open_purchase(claim)
    assert found is not None
    assert (found.number, found.provider, found.ticket) == (1, purchase().provider, "ticket")


async def test_few_pictures_are_held_at_once(journal: RedisJournal, redis: Client) -> None:
    far = 4e9
    others = {f"s{n}": far for n in range(MOST_HELD_PICTURES)}
    await redis.zadd(keys.HELD_PICTURES, others)
    claim = await opened(journal)
    await journal.keep_picture(claim, HELD)
    assert await journal.kept_picture(ID) is None
    await redis.zadd(keys.HELD_PICTURES, {"s0": 1})  # expired
    await journal.keep_picture(claim, HELD)
    assert await journal.kept_picture(ID) == HELD


# ---------------------------------------------------------------------- what remains


async def test_a_closed_job_leaves_only_keys_that_expire(
    journal: RedisJournal, redis: Client
) -> None:
    claim = await opened(journal)
    await bought(journal, claim)
    await journal.picture_stored(claim, USAGE, PurchaseOutcome.KEPT)
    await journal.close(claim, COMPLETED)
    names = {name.decode() for name in await redis.keys("*")}
    lasting = {name for name in names if await redis.ttl(name) < 0}
    assert lasting == {keys.DISPATCH, keys.WORKERS, keys.SIGNAL}
    assert names - lasting == {
        keys.timeline(ID),
        keys.record(ID),
        keys.REQUESTS,
        keys.worker("w"),
        *(name for name in names if name.startswith((keys.book(""), keys.minutes("")))),
    }


async def test_the_timeline_is_complete_during_and_after_the_job(
    journal: RedisJournal,
) -> None:
    claim = await opened(journal)
    await bought(journal, claim)
    await journal.picture_stored(claim, USAGE, PurchaseOutcome.KEPT)
    await journal.note(ID, "looked_at", by="ops")
    while_open = await journal.timeline(ID)
    await journal.close(claim, Closing(ending=Ending.COMPLETED, credit="spent", cost_usd=0.05))
    await journal.note(ID, "reconciled")
    after = await journal.timeline(ID)
    assert after[: len(while_open)] == while_open
    assert [line["event"] for line in after] == [
        "taken",
        "claimed",
        "purchase_started",
        "picture_stored",
        "looked_at",
        "closed",
        "reconciled",
    ]
    assert after[1].items() >= {"worker": "w", "attempt": 1}.items()
    assert after[2].items() >= {"purchase": 1, "model": "gpt-image-8"}.items()
    assert after[5].items() >= {"ending": "completed", "credit": "spent"}.items()


async def test_a_timeline_keeps_its_newest_lines(journal: RedisJournal, redis: Client) -> None:
    claim = await opened(journal)
    for n in range(300):
        await journal.note(ID, "noted", n=n)
    assert await redis.hstrlen(keys.job(ID), "lines") < 20_000
    await journal.close(claim, COMPLETED)
    for n in range(2):
        await journal.note(ID, "noted", n=1000 + n)
    lines = await journal.timeline(ID)
    assert len(lines) == keys.TIMELINE_ENTRIES
    assert lines[-1]["n"] == 1001
    assert 0 < await redis.ttl(keys.timeline(ID)) <= keys.TIMELINE_LIFE_S


async def test_a_replay_continues_timeline_and_record(journal: RedisJournal) -> None:
    claim = await opened(journal)
    await bought(journal, claim)
    await journal.end_purchase(claim, PurchaseOutcome.LOST)
    await journal.intend(claim, replace(INTENT, swapped=True))
    assert (await recorded(journal)).failed_by_us
    await journal.close(claim, FAILED)
    first = await recorded(journal)
    assert (first.error_code, first.failed_by_us, first.replays) == ("picture_unusable", True, 0)
    assert (first.purchases, first.purchases_lost, first.cost_usd) == (1, 1, 0.04)
    assert first.input_paths == ("in/1.jpg",)
    assert first.provider is None

    again = await opened(journal, event="replayed")
    assert (await recorded(journal)).replays == 1
    assert again.purchases == 0
    await bought(journal, again)
    await journal.picture_stored(again, USAGE, PurchaseOutcome.KEPT)
    await journal.close(again, COMPLETED)
    second = await recorded(journal)
    assert (second.purchases, second.purchases_lost, second.replays) == (2, 1, 1)
    assert second.cost_usd == pytest.approx(0.09)
    assert (second.provider, second.model) == ("openai", "gpt-image-9")
    told = await events(journal)
    assert told[0] == "taken"
    assert "replayed" in told


INTENT = SettlementIntent(error_code="x", shopper_message="Sorry.", detail="d")


async def recorded(journal: RedisJournal) -> SessionRecord:
    record = await journal.record(ID)
    assert record is not None
    return record


async def test_a_refused_refund_is_remembered_until_it_is_settled(journal: RedisJournal) -> None:
    parked = Closing(ending=Ending.PARKED, error_code="refund_refused")
    await journal.close(await opened(journal), parked)
    assert (await recorded(journal)).parked
    await journal.close(await opened(journal), Closing(ending=Ending.DROPPED))
    assert (await recorded(journal)).parked
    await journal.close(await opened(journal), FAILED)
    assert not (await recorded(journal)).parked


async def test_an_unknown_session_has_neither_job_nor_record(journal: RedisJournal) -> None:
    assert await journal.entry(ID) is None
    assert await journal.record(ID) is None
    assert await journal.timeline(ID) == []
