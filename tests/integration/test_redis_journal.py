"""The journal on a real Redis: one worker at a time, every write fenced, nothing left behind."""

import asyncio

import pytest

from devkit.redis_time import due_times_come, leases_run_out
from wearon_cli.adapters.redis import keys
from wearon_cli.adapters.redis.client import Client
from wearon_cli.adapters.redis.journal import RedisJournal
from wearon_cli.core.errors import LeaseLost
from wearon_cli.core.generator import Usage
from wearon_cli.core.jobs.journal import Claim, HandBack, NoSlotYet, RecoveryPass, SettlementIntent
from wearon_cli.core.session import Channel, SessionKey

pytestmark = pytest.mark.anyio

KEY = SessionKey(channel=Channel.B2C, session_id="0193a1c0-7b1e-7c4a-9f00-3f2c6f0a9d02")
ID = KEY.session_id
LEASE_S = 60.0  # longer than any test: it runs out only where the test says so


@pytest.fixture
def journal(redis: Client) -> RedisJournal:
    return RedisJournal(redis, lease_s=LEASE_S, requests_per_minute=6000, pictures_per_minute=None)


async def opened(journal: RedisJournal, session_id: str = ID, *, owner_id: str = "o") -> bool:
    key = SessionKey(channel=Channel.B2C, session_id=session_id)
    return await journal.open(key, b"job", owner_id=owner_id, pictures=2)


async def claim_order(journal: RedisJournal) -> list[str]:
    """Ids of all waiting jobs, in the order in which they are claimed."""
    ids = []
    while (claim := await journal.claim()) is not None:
        if isinstance(claim, NoSlotYet):
            await asyncio.sleep(claim.wait_s)
        else:
            ids.append(claim.session_id)
    return ids


async def claimed(journal: RedisJournal) -> Claim:
    claim = await journal.claim()
    assert isinstance(claim, Claim)
    return claim


async def expired(journal: RedisJournal, redis: Client) -> None:
    """Let the lease run out and the job become ready again."""
    await leases_run_out(redis)
    assert (await journal.recover(limit=10)).moved == 1


async def test_a_session_has_one_open_entry_and_keeps_its_first_payload(
    journal: RedisJournal,
) -> None:
    assert await journal.open(KEY, b"first", owner_id="o", pictures=2)
    assert not await journal.open(KEY, b"second", owner_id="o", pictures=2)
    assert (await claimed(journal)).payload == b"first"


async def test_sixteen_claims_at_once_give_one_lease(journal: RedisJournal) -> None:
    await opened(journal)
    answers = await asyncio.gather(*(journal.claim() for _ in range(16)))
    assert sum(isinstance(answer, Claim) for answer in answers) == 1
    assert answers.count(None) == 15


async def test_without_jobs_there_is_no_claim(journal: RedisJournal) -> None:
    assert await journal.claim() is None


async def test_a_burst_of_one_owner_does_not_delay_another(journal: RedisJournal) -> None:
    for n in range(6):
        await opened(journal, f"a{n}", owner_id="a")
    await opened(journal, "b0", owner_id="b")
    await opened(journal, "b1", owner_id="b")
    await opened(journal, "c0", owner_id="c")
    assert await claim_order(journal) == ["a0", "b0", "c0", "a1", "b1", "a2", "a3", "a4", "a5"]


async def test_an_owner_who_comes_back_starts_at_the_current_round(
    journal: RedisJournal, redis: Client
) -> None:
    for n in range(3):
        await opened(journal, f"a{n}", owner_id="a")
    await claim_order(journal)
    assert await redis.zcard(keys.OWNERS) == 0
    await opened(journal, "b0", owner_id="b")
    await opened(journal, "a3", owner_id="a")
    await opened(journal, "b1", owner_id="b")
    assert await claim_order(journal) == ["a3", "b0", "b1"]  # the round is shared, ids decide in it


@pytest.mark.parametrize(
    ("requests", "pictures", "at_once", "gap_s"),
    [
        pytest.param(1, None, 1, 61.0, id="requests"),
        # A hundredth of a minute's permits at once; two pictures each.
        pytest.param(600, 2, 6, 61.0, id="pictures"),
    ],
)
async def test_claims_are_granted_at_the_pace_of_the_rate_limit(
    redis: Client, requests: int, pictures: int | None, at_once: int, gap_s: float
) -> None:
    journal = RedisJournal(
        redis, lease_s=LEASE_S, requests_per_minute=requests, pictures_per_minute=pictures
    )
    for n in range(at_once + 1):
        await opened(journal, f"{n:02}")
    for _ in range(at_once):
        assert isinstance(await journal.claim(), Claim)
    claim = await journal.claim()
    assert isinstance(claim, NoSlotYet)
    assert 0 < claim.wait_s <= gap_s


async def test_an_expired_lease_is_taken_over_and_the_late_worker_is_fenced_off(
    journal: RedisJournal,
    redis: Client,
) -> None:
    await opened(journal)
    late = await claimed(journal)
    await expired(journal, redis)
    successor = await claimed(journal)
    assert successor.attempts == 2
    with pytest.raises(LeaseLost):
        await journal.renew(late)
    with pytest.raises(LeaseLost):
        await journal.call_started(late, "m")
    with pytest.raises(LeaseLost):
        await journal.call_lost(late)
    with pytest.raises(LeaseLost):
        await journal.hand_back(late, after_s=0, why=HandBack.NO_SLOT)
    with pytest.raises(LeaseLost):
        await journal.close(late)
    await journal.close(successor)


async def test_a_renewal_is_a_whole_lease_from_now(journal: RedisJournal, redis: Client) -> None:
    await opened(journal)
    claim = await claimed(journal)
    lives = [await redis.zscore(keys.WAKE, ID)]
    for _ in range(3):
        await journal.renew(claim)
        lives.append(await redis.zscore(keys.WAKE, ID))
    now, _ = await redis.time()
    assert lives == sorted(set(lives))
    assert lives[-1] <= now + 1 + LEASE_S


async def test_a_lease_can_be_renewed_after_an_outage_if_no_worker_took_the_job(
    journal: RedisJournal,
    redis: Client,
) -> None:
    await opened(journal)
    claim = await claimed(journal)
    await leases_run_out(redis)
    await journal.renew(claim)
    assert await journal.recover(limit=10) == RecoveryPass(moved=0, uncalled=0)


async def test_a_lease_renewed_after_its_job_became_ready_again_is_not_stolen(
    journal: RedisJournal,
    redis: Client,
) -> None:
    """An outage outlasted the lease, and recovery was back before the worker."""
    await opened(journal)
    claim = await claimed(journal)
    await expired(journal, redis)
    await journal.renew(claim)
    assert await journal.claim() is None
    await journal.close(claim)


async def test_a_job_handed_back_for_later_is_not_left_ready_by_an_outage(
    journal: RedisJournal,
    redis: Client,
) -> None:
    await opened(journal)
    claim = await claimed(journal)
    await expired(journal, redis)
    await journal.hand_back(claim, after_s=60, why=HandBack.WAITING)
    assert await journal.claim() is None


async def test_what_a_worker_wrote_down_is_there_for_the_next(
    journal: RedisJournal, redis: Client
) -> None:
    await opened(journal)
    first = await claimed(journal)
    intent = SettlementIntent(error_code="x", shopper_message="Sorry.", detail="d")
    await journal.call_started(first, "gpt-image-2.6-flare")
    await journal.intend(first, intent)
    await expired(journal, redis)
    second = await claimed(journal)
    assert second.intent == intent
    assert second.open_call is not None
    assert second.open_call.model == "gpt-image-2.6-flare"
    assert await journal.call_lost(second) == 1
    assert await journal.call_lost(second) == 1  # reported twice, counted once
    usage = Usage(model="m", input_tokens=1, output_tokens=2, cost_usd=0.05)
    await journal.picture_stored(second, usage)
    await expired(journal, redis)
    third = await claimed(journal)
    assert (third.open_call, third.ambiguous, third.stored, third.usage) == (None, 1, True, usage)


@pytest.mark.parametrize(
    ("why", "faults", "waits"),
    [
        pytest.param(HandBack.FAULT, 1, False, id="a fault is counted"),
        pytest.param(HandBack.WAITING, 0, True, id="waiting starts the job's max wait"),
        pytest.param(HandBack.NO_SLOT, 0, False, id="no slot counts nothing"),
    ],
)
async def test_a_job_handed_back_is_not_an_attempt(
    journal: RedisJournal, why: HandBack, faults: int, waits: bool
) -> None:
    await opened(journal)
    await journal.hand_back(await claimed(journal), after_s=0, why=why)
    again = await claimed(journal)
    assert (again.attempts, again.faults) == (1, faults)
    assert (again.waiting_since is not None) == waits


async def test_a_job_is_not_claimed_before_its_due_time(
    journal: RedisJournal, redis: Client
) -> None:
    await opened(journal)
    await journal.hand_back(await claimed(journal), after_s=60, why=HandBack.WAITING)
    assert await journal.recover(limit=10) == RecoveryPass(moved=0, uncalled=0)
    assert await journal.claim() is None
    await due_times_come(redis)
    assert await journal.recover(limit=10) == RecoveryPass(moved=1, uncalled=1)
    assert isinstance(await journal.claim(), Claim)


async def test_a_job_handed_back_is_claimed_before_all_others(journal: RedisJournal) -> None:
    for n in range(3):
        await opened(journal, f"a{n}")
    first = await claimed(journal)
    await journal.hand_back(first, after_s=0, why=HandBack.NO_SLOT)
    assert await claim_order(journal) == ["a0", "a1", "a2"]


async def test_an_expired_lease_is_found_by_one_of_eight_recoverers(
    journal: RedisJournal, redis: Client
) -> None:
    await opened(journal)
    await claimed(journal)
    await leases_run_out(redis)
    found = await asyncio.gather(*(journal.recover(limit=10) for _ in range(8)))
    assert sum(one.moved for one in found) == 1


async def test_a_lost_celery_message_is_noticed(journal: RedisJournal, redis: Client) -> None:
    await opened(journal, "a")
    await opened(journal, "b")
    await redis.lpush(keys.CELERY_QUEUE, b"the call for one of them")
    assert await journal.recover(limit=10) == RecoveryPass(moved=0, uncalled=1)


async def test_a_closed_job_leaves_only_its_timeline(journal: RedisJournal, redis: Client) -> None:
    await opened(journal)
    await journal.close(await claimed(journal))
    names = {name.decode() for name in await redis.keys("*") if b":claim:" not in name}
    assert names == {keys.timeline(ID), keys.CLOCK, keys.PACE}
    assert await redis.ttl(keys.timeline(ID)) > 0
    events = [line["event"] for line in await journal.timeline(ID)]
    assert events == ["taken", "claimed", "closed"]
