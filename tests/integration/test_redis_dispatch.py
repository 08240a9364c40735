"""The release, workers' leases and recovery on a real Redis, with several of each at once."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from devkit.servers.redis_server import RedisServer
from wearon_cli.adapters.redis import breakers as redis_breakers
from wearon_cli.adapters.redis import dispatcher as redis_dispatcher
from wearon_cli.adapters.redis import keys
from wearon_cli.adapters.redis.breakers import RedisBreakers
from wearon_cli.adapters.redis.client import Client
from wearon_cli.adapters.redis.dispatcher import RedisDispatcher
from wearon_cli.adapters.redis.ending_counts import RedisEndingCounts
from wearon_cli.adapters.redis.entries import RELEASED, RUNNING
from wearon_cli.adapters.redis.journal import RedisJournal
from wearon_cli.adapters.redis.queue_stats import RedisQueueStats
from wearon_cli.adapters.redis.workers import RedisWorkers
from wearon_cli.adapters.redis.workforce import RedisWorkforce
from wearon_cli.core.errors import LeaseLost
from wearon_cli.core.jobs.breakers import STORAGE, provider_breaker
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
    Recovered,
    SettlementIntent,
)
from wearon_cli.core.jobs.workers import Worker
from wearon_cli.core.operator.minutes import in_steps
from wearon_cli.core.providers import Usage
from wearon_cli.core.session import Channel, SessionKey, utc_now

pytestmark = pytest.mark.anyio

FIRST, SECOND = provider_breaker("first"), provider_breaker("second")
INTENT = SettlementIntent(error_code="x", shopper_message="Sorry.", detail="d")
COMPLETED = Closing(ending=Ending.COMPLETED)


class Queue:
    """One consumer and one worker, `w`, with the number of slots that a test needs."""

    def __init__(
        self,
        redis: Client,
        url: str,
        *,
        requests: int = 60_000,
        pictures: int | None = None,
        unclaimed: int = 1000,
    ) -> None:
        self.redis = redis
        self.journal = RedisJournal(
            redis, requests_per_minute=requests, pictures_per_minute=pictures
        )
        self.dispatcher = RedisDispatcher(
            redis,
            url=url,
            providers=(FIRST, SECOND),
            requests_per_minute=requests,
            pictures_per_minute=pictures,
            most_unclaimed=unclaimed,
        )
        self.workers = RedisWorkers(redis, lease_s=15)
        self.breakers = RedisBreakers(redis)
        self.stats = RedisQueueStats(redis, heartbeat_s=10)

    async def register(self, worker_id: str = "w", *, slots: int = 1000) -> None:
        await self.workers.register(Worker(worker_id=worker_id, slots=slots, host="h", pid=1))

    async def open(self, *ids: str, owner: str = "o", lane: Lane = Lane.PAID) -> None:
        for session_id in ids:
            assert await self.journal.open(a_job(session_id, owner=owner, lane=lane))

    async def release(self, *, limit: int = 500) -> list[str]:
        return [job.session_id for job in (await self.dispatcher.release(limit=limit)).jobs]

    async def claim(self, session_id: str, *, worker: str = "w", token: str = "t") -> Claim:
        claim = await self.journal.claim(session_id, worker_id=worker, token=token)
        assert claim is not None
        return claim

    async def running(self, *ids: str, worker: str = "w") -> list[Claim]:
        """Claims of newly opened jobs."""
        await self.open(*ids)
        assert set(await self.release()) == set(ids)
        return [await self.claim(session_id, worker=worker) for session_id in ids]

    async def state(self, session_id: str) -> JobState | None:
        entry = await self.journal.entry(session_id)
        return entry.state if entry else None

    async def let_lease_run_out(self, worker_id: str = "w") -> None:
        await self.redis.delete(keys.worker(worker_id))

    async def recover(self, *, limit: int = 500) -> Recovered:
        return await self.dispatcher.recover(limit=limit, max_wait_s=1800)

    async def let_pass(self, seconds: float) -> None:
        """Move rate limit, deadlines, due times and probes forward by this time."""
        next_at = float(await self.redis.hget(keys.DISPATCH, "next_at") or 0)
        await self.redis.hset(keys.DISPATCH, "next_at", next_at - seconds)
        for member, score in await self.redis.zrange(keys.JOBS, 0, -1, withscores=True):
            if score < 2 * RELEASED / 10 or 1e9 <= score < RUNNING:
                await self.redis.zadd(keys.JOBS, {member: score - seconds})


def a_job(session_id: str, *, owner: str = "o", lane: Lane = Lane.PAID) -> NewJob:
    return NewJob(
        key=SessionKey(channel=Channel.B2C, session_id=session_id),
        payload=b"job",
        owner_id=owner,
        pictures=2,
        lane=lane,
        request_id=f"req_{session_id}",
    )


@pytest.fixture
async def queue(redis: Client, redis_server: RedisServer) -> AsyncIterator[Queue]:
    """A queue with a high rate limit and a worker with free slots."""
    made = Queue(redis, redis_server.url)
    await made.register()
    yield made
    await made.dispatcher.aclose()


@pytest.fixture
async def narrow(redis: Client, redis_server: RedisServer) -> AsyncIterator[Queue]:
    """A queue at 600 requests a minute: six at once, then one every 61/600 s."""
    made = Queue(redis, redis_server.url, requests=600)
    await made.register()
    yield made
    await made.dispatcher.aclose()


# ---------------------------------------------------------------------- release


async def test_a_released_job_names_its_session_channel_and_request(queue: Queue) -> None:
    await queue.open("a")
    (job,) = (await queue.dispatcher.release(limit=16)).jobs
    assert (job.session_id, job.channel, job.number) == ("a", Channel.B2C, 1)
    assert job.request_id == "req_a"
    assert await queue.state("a") is JobState.RELEASED


async def test_an_empty_queue_waits_for_an_event(queue: Queue) -> None:
    release = await queue.dispatcher.release(limit=16)
    assert (list(release.jobs), release.wait_s) == ([], None)


async def test_each_job_is_released_by_one_of_eight_consumers(queue: Queue) -> None:
    await queue.open(*(f"{n:02}" for n in range(40)))
    passes = await asyncio.gather(*(queue.release(limit=16) for _ in range(8)))
    found = Counter(session_id for one in passes for session_id in one)
    assert set(found.values()) == {1}
    assert len(found) == 40


async def test_a_release_takes_no_more_than_its_limit(queue: Queue) -> None:
    await queue.open(*(f"{n:02}" for n in range(20)))
    release = await queue.dispatcher.release(limit=16)
    assert (len(release.jobs), release.wait_s) == (16, 0)


async def test_nothing_is_released_without_a_worker(
    redis: Client, redis_server: RedisServer
) -> None:
    queue = Queue(redis, redis_server.url)
    await queue.open("a")
    release = await queue.dispatcher.release(limit=16)
    assert (list(release.jobs), release.wait_s) == ([], None)
    await queue.register()
    assert await queue.release() == ["a"]
    await queue.dispatcher.aclose()


async def test_no_more_is_released_than_workers_have_slots(queue: Queue) -> None:
    await queue.register("w", slots=2)
    await queue.register("v", slots=1)
    await queue.open(*"abcde")
    await queue.open("f", lane=Lane.FREE)
    assert await queue.release() == ["f", "a", "b"]
    claims = [await queue.claim("f"), await queue.claim("a", worker="v")]
    assert await queue.release() == []
    await queue.journal.close(claims[0], COMPLETED)
    assert await queue.release() == ["c"]
    await queue.journal.hand_back(claims[1], after_s=60, why=HandBack.WAITING, error="e")
    assert await queue.release() == ["d"]


async def test_few_released_jobs_are_unclaimed_at_once(
    redis: Client, redis_server: RedisServer
) -> None:
    queue = Queue(redis, redis_server.url, unclaimed=3)
    await queue.register()
    await queue.open(*"abcde")
    release = await queue.dispatcher.release(limit=16)
    assert [job.session_id for job in release.jobs] == ["a", "b", "c"]
    assert release.wait_s == 0.2
    await queue.claim("b")
    assert await queue.release() == ["d"]
    await queue.dispatcher.aclose()


async def test_free_jobs_go_first_without_the_rate_limit(narrow: Queue) -> None:
    await narrow.open(*(f"p{n}" for n in range(8)))
    assert len(await narrow.release()) == 6
    await narrow.let_pass(-100)
    await narrow.open("f1", "f2", lane=Lane.FREE)
    assert await narrow.release() == ["f1", "f2"]


async def test_paid_jobs_go_at_the_rate_limit(narrow: Queue) -> None:
    await narrow.open(*(f"{n:02}" for n in range(10)))
    release = await narrow.dispatcher.release(limit=16)
    assert len(release.jobs) == 6  # a hundredth of a minute's permits at once
    assert release.wait_s is not None
    assert 0 < release.wait_s < 4 * 61 / 600  # then three in each pass
    await narrow.let_pass(-100)
    assert await narrow.release() == []
    await narrow.let_pass(100 + 2 * 61 / 600)
    assert len(await narrow.release()) >= 2


async def test_jobs_with_many_pictures_go_at_the_picture_limit(
    redis: Client, redis_server: RedisServer
) -> None:
    queue = Queue(redis, redis_server.url, requests=100, pictures=2)
    await queue.register()
    await queue.open("a", "b")
    release = await queue.dispatcher.release(limit=16)
    assert [job.session_id for job in release.jobs] == ["a"]
    assert release.wait_s == 10  # the deadline of this one comes first
    await queue.claim("a")
    wait_s = (await queue.dispatcher.release(limit=16)).wait_s
    assert wait_s is not None
    assert 30 < wait_s <= 61  # two pictures are a minute's share
    await queue.dispatcher.aclose()


async def test_a_job_that_a_consumer_opens_is_released_in_the_same_step(queue: Queue) -> None:
    await queue.release()
    opened = await queue.dispatcher.open(a_job("a"), limit=16)
    assert opened.is_new
    assert opened.release is not None
    assert [job.session_id for job in opened.release.jobs] == ["a"]
    again = await queue.dispatcher.open(a_job("a"), limit=16)
    assert (again.is_new, again.release) == (False, None)


async def test_a_job_opened_behind_others_waits_for_its_turn(queue: Queue) -> None:
    await queue.register("w", slots=1)
    await queue.open("a", "b")
    assert await queue.release() == ["a"]
    opened = await queue.dispatcher.open(a_job("c"), limit=16)
    assert (opened.is_new, opened.release) == (True, None)


# ---------------------------------------------------------------------- fairness


async def test_a_burst_of_one_owner_does_not_hold_up_another(queue: Queue) -> None:
    await queue.open(*(f"a{n}" for n in range(6)), owner="a")
    await queue.open("b0", "b1", owner="b")
    await queue.open("c0", owner="c")
    assert await queue.release() == ["a0", "b0", "c0", "a1", "b1", "a2", "a3", "a4", "a5"]


async def test_a_single_job_passes_a_burst_of_five_hundred(narrow: Queue) -> None:
    await narrow.open(*(f"a{n:03}" for n in range(500)), owner="a")
    assert len(await narrow.release(limit=6)) == 6
    await narrow.open("b0", owner="b")
    await narrow.let_pass(1)
    assert "b0" in await narrow.release(limit=2)


async def test_a_returning_owner_has_neither_credit_nor_debt(queue: Queue, redis: Client) -> None:
    await queue.open(*(f"a{n}" for n in range(70)), owner="a")
    assert len(await queue.release()) == 70
    owners = [name for name in await redis.hkeys(keys.DISPATCH) if name.startswith(b"owner:")]
    assert owners == []  # removed meanwhile
    await queue.open("b0", owner="b")
    await queue.open("a99", owner="a")
    await queue.open("b1", owner="b")
    assert await queue.release() == ["a99", "b0", "b1"]  # they share the round: ids decide in it


# ---------------------------------------------------------------------- deadline and due time


async def test_a_job_nobody_claimed_is_released_again_from_the_head(queue: Queue) -> None:
    await queue.register("w", slots=1)
    await queue.open("a", "b")
    assert await queue.release() == ["a"]
    assert await queue.release() == []
    await queue.let_pass(11)
    release = await queue.dispatcher.release(limit=16)
    assert [(job.session_id, job.number) for job in release.jobs] == [("a", 2)]
    assert release.unclaimed == 1


async def test_a_late_message_claims_a_job_that_is_ready_again(queue: Queue) -> None:
    await queue.register("w", slots=1)
    await queue.open("a", "b")
    await queue.release()
    await queue.register("w", slots=0)
    await queue.let_pass(11)
    assert await queue.release() == []
    assert await queue.state("a") is JobState.READY
    await queue.claim("a")
    await queue.register("w", slots=2)
    assert await queue.release() == ["b"]  # not a: it runs
    assert await queue.journal.claim("a", worker_id="w", token="second message") is None


async def test_a_job_handed_back_is_released_with_a_higher_number(queue: Queue) -> None:
    (claim,) = await queue.running("a")
    await queue.journal.hand_back(claim, after_s=0, why=HandBack.FAULT, error="e")
    (job,) = (await queue.dispatcher.release(limit=16)).jobs
    assert job.number == 2
    await queue.let_pass(11)
    (job,) = (await queue.dispatcher.release(limit=16)).jobs
    assert job.number == 3


async def test_a_job_handed_back_at_once_goes_to_the_head_of_its_lane(queue: Queue) -> None:
    (claim,) = await queue.running("z")
    await queue.open("a", "b", owner="other")
    await queue.journal.hand_back(claim, after_s=0, why=HandBack.STOPPING, error="")
    assert await queue.release() == ["z", "a", "b"]


async def test_a_job_being_settled_comes_back_in_the_free_lane(narrow: Queue) -> None:
    (claim,) = await narrow.running("z")
    await narrow.open(*(f"p{n}" for n in range(8)))
    await narrow.release()
    await narrow.let_pass(-100)
    await narrow.journal.intend(claim, INTENT)
    await narrow.journal.hand_back(claim, after_s=0, why=HandBack.WAITING, error="e")
    assert await narrow.release() == ["z"]


async def test_a_job_that_waits_is_released_when_it_is_due(queue: Queue) -> None:
    (claim,) = await queue.running("a")
    await queue.journal.hand_back(claim, after_s=100, why=HandBack.WAITING, error="e")
    release = await queue.dispatcher.release(limit=16)
    assert list(release.jobs) == []
    assert release.wait_s is not None
    assert 40 < release.wait_s <= 100
    await queue.let_pass(101)
    release = await queue.dispatcher.release(limit=16)
    assert [job.session_id for job in release.jobs] == ["a"]
    assert release.due == 1


async def test_a_due_job_is_found_in_a_long_queue(queue: Queue) -> None:
    (claim,) = await queue.running("due")
    await queue.journal.hand_back(claim, after_s=100, why=HandBack.WAITING, error="e")
    await queue.open(*(f"{n:04}" for n in range(1100)))
    await queue.let_pass(101)
    assert (await queue.release(limit=16))[0] == "due"


# ---------------------------------------------------------------------- signals


async def signalled(queue: Queue) -> bool:
    """Take a signal; returns whether there was one."""
    return bool(await queue.redis.delete(keys.SIGNAL))


async def test_a_job_for_an_empty_queue_is_signalled_once(queue: Queue) -> None:
    await queue.release()
    await signalled(queue)  # the registration
    await queue.open("a", "b")
    assert await signalled(queue)
    assert not await signalled(queue)


async def test_a_slot_is_signalled_only_when_one_is_lacking(queue: Queue) -> None:
    await queue.register("w", slots=2)
    (first,) = await queue.running("a")
    await signalled(queue)
    await queue.journal.close(first, COMPLETED)
    assert not await signalled(queue)
    first, second = await queue.running("b", "c")
    await queue.open("d")
    assert await queue.release() == []
    await signalled(queue)
    await queue.journal.close(first, COMPLETED)
    assert await signalled(queue)
    await queue.journal.hand_back(second, after_s=60, why=HandBack.WAITING, error="e")
    assert not await signalled(queue)


async def test_only_a_free_job_is_signalled_while_the_rate_limit_is_reached(narrow: Queue) -> None:
    await narrow.open(*(f"{n}" for n in range(8)))
    await narrow.release()
    await narrow.let_pass(-100)
    await signalled(narrow)
    await narrow.open("paid")
    assert not await signalled(narrow)
    await narrow.open("free", lane=Lane.FREE)
    assert await signalled(narrow)


async def test_a_wait_is_woken_by_a_signal_that_comes_during_it(queue: Queue) -> None:
    await signalled(queue)
    await queue.release()
    waiting = asyncio.create_task(queue.dispatcher.wait(60))
    await asyncio.sleep(0)
    await queue.open("a")
    assert await waiting


async def test_a_signal_that_came_after_a_short_wait_is_not_lost(queue: Queue) -> None:
    await signalled(queue)
    await queue.release()
    assert not await queue.dispatcher.wait(0.01)
    await queue.open("a")
    await asyncio.sleep(0.1)  # its blocking read goes on, and takes the signal
    assert await queue.dispatcher.wait(60)


async def test_a_wait_ends_when_a_job_released_meanwhile_may_be_unclaimed(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_dispatcher, "DEADLINE_S", 0.2)
    await signalled(queue)
    await queue.release()
    waiting = asyncio.create_task(queue.dispatcher.wait(60))
    await asyncio.sleep(0)
    await queue.dispatcher.open(a_job("a"), limit=16)
    assert not await waiting
    assert (await queue.dispatcher.release(limit=16)).unclaimed == 1


async def test_signals_do_not_pile_up(queue: Queue, redis: Client) -> None:
    for n in range(5):
        await queue.register(f"w{n}")
    assert await redis.llen(keys.SIGNAL) == 1


# ---------------------------------------------------------------------- leases and recovery


async def test_a_lease_that_is_renewed_keeps_its_jobs(queue: Queue) -> None:
    await queue.running("a")
    assert await queue.workers.renew("w")
    assert await queue.recover() == Recovered()
    assert await queue.state("a") is JobState.RUNNING


async def test_a_lease_renewed_late_keeps_its_jobs_if_nobody_took_them(queue: Queue) -> None:
    (claim,) = await queue.running("a")
    await queue.let_lease_run_out()
    assert await queue.workers.renew("w")
    assert await queue.recover() == Recovered()
    await queue.journal.close(claim, COMPLETED)


async def test_the_jobs_of_a_dead_worker_are_ready_at_once_and_not_blamed(
    queue: Queue,
) -> None:
    ids = [f"{n:02}" for n in range(40)]
    late = await queue.running(*ids)
    await queue.register("v")
    (other,) = await queue.running("other", worker="v")
    await queue.let_lease_run_out()
    found = await asyncio.gather(*(queue.recover() for _ in range(8)))
    assert sum(one.orphaned for one in found) == 40
    assert sum(one.workers_lost for one in found) == 1
    assert await queue.workers.renew("w") is False
    assert set(await queue.release()) == set(ids)
    successor = await queue.claim("07", worker="v", token="t2")
    assert (successor.deaths, successor.attempt) == (1, 2)
    with pytest.raises(LeaseLost):
        await queue.journal.close(late[7], COMPLETED)
    await queue.journal.close(other, COMPLETED)
    assert "worker_lost" in [line["event"] for line in await queue.journal.timeline("07")]


async def test_recovered_jobs_go_before_new_ones(queue: Queue) -> None:
    await queue.running("x", "y")
    await queue.open("new", owner="other")
    await queue.register("v")
    await queue.let_lease_run_out()
    await queue.recover()
    assert await queue.release() == ["x", "y", "new"]


async def test_the_slots_of_a_dead_worker_are_not_used(queue: Queue) -> None:
    await queue.register("v", slots=1)
    await queue.let_lease_run_out()
    await queue.recover()
    await queue.open("a", "b")
    assert await queue.release() == ["a"]


async def test_a_dead_worker_loses_all_its_jobs_in_one_pass(queue: Queue) -> None:
    """Of ten, six were given to others, and it could still renew its lease for all of them."""
    await queue.running(*(f"{n:02}" for n in range(10)))
    await queue.let_lease_run_out()
    found = await queue.recover(limit=6)
    assert await queue.workers.renew("w") is False
    assert (found.orphaned, found.workers_lost) == (10, 1)


async def test_many_dead_workers_are_recovered_in_several_passes(queue: Queue) -> None:
    await queue.register("v")
    await queue.running(*(f"v{n}" for n in range(4)), worker="v")
    await queue.running(*(f"w{n}" for n in range(4)))
    await queue.let_lease_run_out("v")
    await queue.let_lease_run_out()
    passes = [await queue.recover(limit=3) for _ in range(3)]
    assert [(each.orphaned, each.workers_lost) for each in passes] == [(4, 1), (4, 1), (0, 0)]


async def test_a_worker_that_leaves_returns_its_jobs_without_a_death(queue: Queue) -> None:
    await queue.running("a")
    await queue.register("v")
    await queue.workers.leave("w")
    await queue.workers.leave("w")
    assert await queue.workers.renew("w") is False
    assert await queue.release() == ["a"]
    successor = await queue.claim("a", worker="v", token="t2")
    assert (successor.deaths, successor.attempt) == (0, 2)


async def test_a_worker_that_registers_twice_keeps_its_jobs_and_its_slots(queue: Queue) -> None:
    await queue.register("w", slots=2)
    await queue.running("a")
    await queue.register("w", slots=2)
    await queue.open("b", "c")
    assert await queue.release() == ["b"]
    await queue.let_lease_run_out()
    assert (await queue.recover()).orphaned == 1


async def test_a_worker_that_died_and_came_back_has_another_number(queue: Queue) -> None:
    await queue.running("a")
    await queue.let_lease_run_out()
    await queue.recover()
    await queue.register("w")
    assert (await queue.recover()).orphaned == 0
    assert await queue.release() == ["a"]


# ---------------------------------------------------------------------- open breakers


async def test_one_provider_that_works_is_enough(queue: Queue) -> None:
    await queue.breakers.trip(FIRST, "account_blocked")
    await queue.open("a")
    assert await queue.release() == ["a"]


@pytest.mark.parametrize("names", [(FIRST, SECOND), (STORAGE,)])
async def test_while_nothing_can_be_bought_or_stored_only_free_jobs_go(
    queue: Queue, names: tuple[str, ...]
) -> None:
    for name in names:
        await queue.breakers.trip(name, "account_blocked", retry_after_s=100)
    await queue.open("paid")
    await queue.open("free", lane=Lane.FREE)
    assert await queue.release() == ["free"]
    await queue.claim("free")
    wait_s = (await queue.dispatcher.release(limit=16)).wait_s
    assert wait_s is not None
    assert 40 < wait_s <= 100
    for name in names:
        await queue.breakers.reset(name)
    assert await queue.release() == ["paid"]


async def test_one_job_goes_for_each_due_probe(queue: Queue) -> None:
    await queue.breakers.trip(STORAGE, "store_unavailable", retry_after_s=0.001)
    await queue.open(*"abcd")
    await asyncio.sleep(0.01)
    passes = await asyncio.gather(*(queue.release() for _ in range(4)))
    assert sorted(passes) == [[], [], [], ["a"]]
    assert (await queue.breakers.admit(STORAGE)).is_probe
    assert (await queue.breakers.admit(STORAGE)).wait_s > 0
    assert await queue.release() == []


async def test_a_breaker_that_closes_is_signalled(queue: Queue) -> None:
    await queue.breakers.trip(STORAGE, "store_unavailable")
    await queue.open("a")
    await queue.release()
    await signalled(queue)
    await queue.breakers.reset(STORAGE)
    assert await signalled(queue)


async def test_jobs_held_back_for_too_long_go_to_the_free_lane(queue: Queue, redis: Client) -> None:
    await queue.open("old", "older", "new")
    for session_id in ("old", "older"):
        await redis.hset(keys.job(session_id), "opened_at", 1)
    await queue.breakers.trip(STORAGE, "store_unavailable", retry_after_s=1000)
    assert (await queue.recover()).expired == 0  # it has not been open for long
    text = (await redis.hget(keys.BREAKERS, STORAGE)).decode()
    since = str((await queue.breakers.halts())[0].since.timestamp())[:10]
    await redis.hset(keys.BREAKERS, STORAGE, text.replace(since, "1"))
    assert (await queue.recover()).expired == 2
    assert (await queue.recover()).expired == 0
    assert sorted(await queue.release()) == ["old", "older"]
    assert (await queue.claim("old")).expired == "store_unavailable"


# ---------------------------------------------------------------------- figures


async def test_the_queue_as_a_whole(queue: Queue) -> None:
    await queue.register("w", slots=3)
    running, waiting = await queue.running("a", "b")
    await queue.journal.hand_back(waiting, after_s=60, why=HandBack.WAITING, error="e")
    purchase = Purchase(number=1, provider="p", model="m", started_at=utc_now())
    await queue.journal.start_purchase(running, purchase, pictures=1)
    await queue.open("c", "d", "e")
    await queue.release()
    await queue.breakers.trip(STORAGE, "store_unavailable")
    now = await queue.stats.look()
    assert (now.ready, now.released, now.running, now.waiting) == (1, 2, 1, 1)
    assert (now.workers, now.slots, now.permits_used, now.overdue) == (1, 3, 1, 0)
    assert [halt.name for halt in now.halts] == [STORAGE]
    assert now.waiting_since is not None
    await queue.let_pass(100)
    assert (await queue.stats.look()).overdue == 3


async def test_jobs_that_end_are_counted_in_their_minute_with_the_cause(
    queue: Queue, redis: Client
) -> None:
    begun = utc_now() - timedelta(minutes=1)
    good, bad, parked, dropped = await queue.running("a", "b", "c", "d")
    for claim, closing in (
        (good, COMPLETED),
        (good, COMPLETED),  # sent twice
        (bad, Closing(ending=Ending.FAILED, error_code="rate_limited")),
        (parked, Closing(ending=Ending.PARKED, error_code="refund_refused")),
        (dropped, Closing(ending=Ending.DROPPED)),
    ):
        await queue.journal.close(claim, closing)
    until = utc_now() + timedelta(minutes=1)
    minutes = await RedisEndingCounts(redis).minutes(begun, until)
    assert sum(each.completed for each in minutes) == 1
    (total,) = in_steps(minutes, since=begun, until=until, step=timedelta(hours=1))
    assert (total.completed, total.failed) == (1, 2)
    assert total.failures == {"rate_limited": 1, "refund_refused": 1}
    later = begun + timedelta(hours=2)
    assert await RedisEndingCounts(redis).minutes(later, later) == []


async def test_workers_are_listed_with_their_jobs(queue: Queue, redis: Client) -> None:
    await queue.register("w", slots=3)
    await queue.running("a", "b")
    (view,) = await RedisWorkforce(redis).look()
    assert (view.worker_id, view.slots, view.jobs) == ("w", 3, 2)
    assert sorted(view.session_ids) == ["a", "b"]


async def test_a_plain_job_costs_few_commands(
    queue: Queue, redis: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Including those inside scripts; the intake's two and Celery's own come in addition."""
    monkeypatch.setattr(redis_breakers, "LOOK_LASTS_S", 1000)  # however slow this machine is

    async def plain(session_id: str) -> None:
        opened = await queue.dispatcher.open(a_job(session_id), limit=16)
        assert opened.release is not None
        claim = await queue.claim(session_id)
        await queue.breakers.admit(STORAGE)
        await queue.breakers.admit(FIRST)
        purchase = Purchase(number=1, provider="p", model="m", started_at=utc_now())
        await queue.journal.start_purchase(claim, purchase, pictures=2)
        await queue.journal.picture_stored(
            claim, Usage(model="m", cost_usd=0.05), PurchaseOutcome.KEPT
        )
        await queue.journal.close(claim, COMPLETED)

    await queue.release()
    await plain("warm")  # loads the scripts, and makes the day's book
    queue.breakers = RedisBreakers(redis)  # which has not polled yet
    before = await commands(redis)
    await plain("a")
    spent = {name: n - before.get(name, 0) for name, n in (await commands(redis)).items()}
    # One more if a minute began meanwhile: its counter gets an expiry.
    assert sum(spent.values()) <= 37 + (spent.get("expire", 0) > 0), spent


async def test_an_idle_pass_costs_few_commands(queue: Queue, redis: Client) -> None:
    async def idle() -> None:
        await queue.release()
        await queue.recover()
        await queue.workers.renew("w")

    await idle()
    before = await commands(redis)
    await idle()
    spent = {name: n - before.get(name, 0) for name, n in (await commands(redis)).items()}
    assert sum(spent.values()) <= 9, spent


async def commands(redis: Client) -> dict[str, int]:
    """Calls of each command so far, including those inside scripts."""
    found = await redis.info("commandstats")
    return {
        name.removeprefix("cmdstat_"): int(facts["calls"])
        for name, facts in found.items()
        if name != "cmdstat_info"
    }
