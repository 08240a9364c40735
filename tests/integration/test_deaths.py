"""A job whose workers die again and again: a picture that was paid for is delivered, or it ends."""

from collections.abc import Awaitable, Callable

import pytest

from devkit.accounts import CREDITS, USER, balances
from devkit.crashes import run_until_crash
from devkit.faults import Faulty
from devkit.operators import Operators
from devkit.world import PICTURE, MakeWorld, World
from wearon_cli.core.credits import CreditState
from wearon_cli.core.errors import GenerationRefused, StoreRefused, StoreUnavailable, UpstreamError
from wearon_cli.core.jobs.journal import Claim, Ending, Purchase
from wearon_cli.core.ledger import Payer
from wearon_cli.core.providers import HeldPicture, Usage
from wearon_cli.core.session import SessionKey, Status, fail, utc_now

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

USAGE = Usage(provider="openai", model="gpt-image-1.5", cost_usd=0.05)


async def claimed(world: World) -> Claim:
    await world.registry.register(world.worker)
    (job,) = (await world.dispatcher.release(limit=1)).jobs
    claim = await world.claim(job.session_id)
    assert claim is not None
    return claim


async def buy(world: World, claim: Claim, number: int) -> None:
    purchase = Purchase(number=number, provider="openai", model=USAGE.model, started_at=utc_now())
    assert await world.journal.start_purchase(claim, purchase, pictures=2) == 0.0


async def sold(world: World) -> tuple[SessionKey, Claim]:
    """A session whose job has a worker, which has bought a picture and holds it in Redis."""
    key = await world.sell(owner_id=USER)
    await world.take_all_in()
    claim = await claimed(world)
    await buy(world, claim, 1)
    assert await world.journal.keep_picture(claim, HeldPicture(jpeg=PICTURE, usage=USAGE, number=1))
    return key, claim


async def workers_die(world: World, *, times: int) -> None:
    """The first one has the job already."""
    await world.kill_worker()
    for _ in range(times - 1):
        await claimed(world)
        await world.kill_worker()


async def credits_of_user(world: World) -> int:
    return (await balances(world))[0]


async def outcomes(world: World) -> dict[str, int]:
    """The book of purchases: how many of each outcome."""
    return {row.outcome: row.count for row in await Operators(world).book() if row.count}


async def stored(world: World, key: SessionKey) -> bytes:
    return await world.storage.get((await world.row(key)).result_path)


async def test_a_held_picture_is_delivered_at_the_cap_of_deaths(world: World) -> None:
    """Seen: it was discarded and the credit returned, though the picture was paid for."""
    key, _ = await sold(world)
    await workers_die(world, times=world.settings.max_deaths)
    assert await world.run_all() == [Ending.COMPLETED]
    assert (await world.row(key)).status is Status.COMPLETED
    assert await stored(world, key) == PICTURE
    assert world.generator.paid == []
    assert await credits_of_user(world) == CREDITS - 1
    assert await world.dead_letters.list(limit=5) == []


async def test_a_stored_picture_is_delivered_at_the_cap_of_deaths(world: World) -> None:
    """Its worker died between the upload and the journal."""
    key = await world.sell(owner_id=USER)
    await world.take_all_in()
    await buy(world, await claimed(world), 1)
    path = (await world.row(key)).result_path
    await world.storage.put(path, PICTURE, content_type="image/jpeg")
    await workers_die(world, times=world.settings.max_deaths)
    assert await world.run_all() == [Ending.COMPLETED]
    assert world.generator.paid == []
    assert await credits_of_user(world) == CREDITS - 1


async def test_a_death_in_the_delivery_ends_the_job(world: World) -> None:
    key, _ = await sold(world)
    await workers_die(world, times=world.settings.max_deaths)
    world.fuse.crash_in = "put"
    assert await run_until_crash(world)
    world.fuse.crash_in = None
    await world.kill_worker()
    assert await world.run_all() == [Ending.FAILED]
    assert (await world.row(key)).status is Status.FAILED
    assert await credits_of_user(world) == CREDITS
    (letter,) = await world.dead_letters.list(limit=5)
    assert "6 worker processes died" in letter.reason


async def test_it_is_delivered_without_a_check_and_a_second_one_is_written_off(
    make_world: MakeWorld,
) -> None:
    """The check, or the second purchase, may be what its workers die of."""
    world = await make_world(check_results="retry")
    await world.checks.aclose()
    world.checks = None  # type: ignore[assignment]
    key, claim = await sold(world)
    await world.journal.buy_again(claim, USAGE, findings="not_applied")
    await buy(world, claim, 2)
    await workers_die(world, times=world.settings.max_deaths)
    world.checks = _NoCheck()  # type: ignore[assignment]
    assert await world.run_all() == [Ending.COMPLETED]
    assert await stored(world, key) == PICTURE
    record = await world.journal.record(key.session_id)
    assert record is not None
    assert (record.purchases, record.purchases_lost) == (2, 1)
    assert "picture_not_checked" in await world.events(key)


async def test_a_session_that_the_platform_ended_keeps_its_held_picture(world: World) -> None:
    key, _ = await sold(world)
    await workers_die(world, times=world.settings.max_deaths)
    await world.sessions.apply(key, fail("the platform's sentence"))
    before = await credits_of_user(world)
    assert await world.run_all() == [Ending.DROPPED]
    assert await stored(world, key) == PICTURE
    assert await credits_of_user(world) == before


async def test_an_outage_of_storage_in_the_delivery_is_waited_for(world: World) -> None:
    key, _ = await sold(world)
    await workers_die(world, times=world.settings.max_deaths)
    put, calls = world.storage.put, []

    async def away_once(path: str, data: bytes, *, content_type: str) -> None:
        calls.append(path)
        if len(calls) == 1:
            raise StoreUnavailable
        await put(path, data, content_type=content_type)

    world.storage.put = away_once  # type: ignore[method-assign]
    assert await world.run_all() == [Ending.COMPLETED]
    assert await stored(world, key) == PICTURE


@pytest.mark.parametrize("error", [StoreRefused("no"), StoreUnavailable()], ids=["no", "away"])
async def test_a_storage_that_never_takes_it_ends_the_job_with_one_refund(
    make_world: MakeWorld, error: UpstreamError
) -> None:
    """Also with a second purchase open: each purchase is in the book once, as what it is."""
    world = await make_world(check_results="retry", max_wait_s=0.3)
    key, claim = await sold(world)
    await world.journal.buy_again(claim, USAGE, findings="not_applied")
    await buy(world, claim, 2)
    await workers_die(world, times=world.settings.max_deaths)
    world.storage.put = Faulty(world.storage, put=error).put  # type: ignore[method-assign]
    assert await world.run_all() == [Ending.FAILED]
    assert (await world.row(key)).status is Status.FAILED
    assert await credits_of_user(world) == CREDITS
    assert await outcomes(world) == {"unused": 1, "lost": 1}
    assert await world.run_all() == []


async def test_a_session_that_the_platform_ends_during_the_delivery_keeps_its_one_refund(
    world: World,
) -> None:
    key, _ = await sold(world)
    await workers_die(world, times=world.settings.max_deaths)

    async def slow(put: Callable[..., Awaitable[None]], *args: object, **more: object) -> None:
        await put(*args, **more)
        text = f"Stuck job recovery: session {key.session_id} timed out after 10 minutes"
        await world.ledger.refund(Payer(channel=key.channel, owner_id=USER), text)
        await world.sessions.apply(key, fail("The platform took it for stuck."))

    world.storage.put = Faulty(world.storage, put=slow).put  # type: ignore[method-assign]
    assert await world.run_all() == [Ending.DROPPED]
    assert (await world.row(key)).status is Status.FAILED
    assert await credits_of_user(world) == CREDITS
    assert await outcomes(world) == {"unused": 1}


@pytest.mark.parametrize("has_picture", [False, True], ids=["no picture", "a held picture"])
async def test_a_replay_that_took_a_credit_gives_it_back_or_a_picture(
    world: World, has_picture: bool
) -> None:
    """Without one, its workers die before the journal has the charge, which the ledger has."""
    operators = Operators(world)
    world.generator.plan = [GenerationRefused()]
    key = await world.sell(owner_id=USER)
    assert await world.run_all() == [Ending.FAILED]
    plan = await operators.replay(key, charge=True)
    if has_picture:
        claim = await claimed(world)
        await world.settlement().charge(await world.row(key), plan.replay_id)
        await world.journal.charged(claim)
        await buy(world, claim, 1)
        await world.journal.keep_picture(claim, HeldPicture(jpeg=PICTURE, usage=USAGE, number=1))
        await workers_die(world, times=world.settings.max_deaths)
    else:
        world.fuse.crash_in = "charged"
        for _ in range(world.settings.max_deaths):
            assert await run_until_crash(world)
            await world.kill_worker()
        world.fuse.crash_in = None
    assert await credits_of_user(world) == CREDITS - 1
    assert await world.run_all() == [Ending.COMPLETED if has_picture else Ending.FAILED]
    assert await credits_of_user(world) == CREDITS - has_picture
    state = (await operators.report(key)).credit.state
    assert state is (CreditState.CHARGED if has_picture else CreditState.RETURNED)
    assert len(world.generator.paid) == 0


class _NoCheck:
    """Implements `PictureChecks`; none may be asked for."""

    async def inputs(self, pictures: object) -> object:
        raise AssertionError("the inputs were checked")

    async def result(self, drawn: bytes, **_: object) -> object:
        raise AssertionError("the picture was checked")

    async def aclose(self) -> None:
        """Nothing was started."""
