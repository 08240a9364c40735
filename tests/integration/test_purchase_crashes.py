"""
The worker dies at every step of a purchase that can be fetched, before and after it took effect.

Over the loopback APIs of the providers with powers. Others then finish the job: its picture was
bought once, our book agrees with the provider's, and it left nothing behind at the provider.
docs/providers.md has the table.
"""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from devkit.accounts import credits_left
from devkit.crashes import b2c, killed_at, let_others_finish, replay, run_until_crash
from devkit.providers import ProviderUnderTest, open_provider
from devkit.servers.background_drawings import TAKEN, BackgroundRule
from devkit.servers.image_api_faults import Latency
from devkit.waiting import reached
from devkit.world import MakeWorld, World
from wearon_cli.adapters.redis.book import RedisPurchaseBook
from wearon_cli.core.errors import ObjectNotFound
from wearon_cli.core.image_models import image_model
from wearon_cli.core.jobs.breakers import provider_breaker
from wearon_cli.core.jobs.journal import Ending, HandBack
from wearon_cli.core.jobs.offers import Catalogue, Offer
from wearon_cli.core.purchases import BookRow
from wearon_cli.core.session import Status, fail

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

#: No job makes more outside calls than this.
MANY = 60
WITH_POWERS = ("responses", "runware")
#: The step at which only the worker knows the ticket.
AFTER_SUBMIT = "purchase_submitted"
#: A conversation reports no usage: a picture found there is recorded at an estimate of this
#: accuracy.
ESTIMATE_USD = 0.02


@pytest.fixture(params=WITH_POWERS)
async def sold_by(request: pytest.FixtureRequest) -> AsyncIterator[ProviderUnderTest]:
    async with open_provider(request.param, latency="0.02") as one:
        yield one


@pytest.fixture
async def world(make_world: MakeWorld, sold_by: ProviderUnderTest) -> World:
    return await make_world(sold_by=sold_by)


async def book(world: World) -> list[BookRow]:
    today = datetime.now(UTC).date()
    return [*await RedisPurchaseBook(world.redis).rows(today - timedelta(days=1), today)]


async def assert_books_agree(
    world: World, sold_by: ProviderUnderTest, where: str, *, is_estimate: bool = False
) -> None:
    """One picture in our book, at the billed cost."""
    (row,) = await book(world)
    assert (row.count, row.outcome) in {(1, "kept"), (1, "fetched")}, where
    billed = sum(each.cost_usd for each in sold_by.api.drawings.taken.values() if each.billed)
    if is_estimate:
        assert row.cost_usd == pytest.approx(billed, abs=ESTIMATE_USD), where
    else:
        assert row.cost_usd == pytest.approx(billed, abs=1e-6), where


def kept_photos(sold_by: ProviderUnderTest) -> int:
    """Customer data at the provider. Runware's expires by itself."""
    return int(sold_by.api.kept()) if sold_by.kind == "responses" else 0


def let_go_of_photos(sold_by: ProviderUnderTest) -> None:
    if sold_by.kind == "responses":
        sold_by.api.conversations.clear()
        sold_by.api.orphaned_items.clear()


@pytest.mark.parametrize("after", [False, True], ids=["before the step", "after the step"])
async def test_a_picture_is_bought_once_whatever_step_the_worker_dies_at(
    world: World, sold_by: ProviderUnderTest, after: bool
) -> None:
    steps = []
    for step in range(1, MANY):
        await world.redis.flushall()
        sold_by.api.drawings.taken.clear()
        key = await b2c(world)
        crashed = await killed_at(world, step, after=after)
        steps.append(world.fuse.burnt)
        where = f"{'after' if after else 'before'} step {step}, {world.fuse.burnt}"
        id_is_lost = sold_by.kind == "responses" and steps[-1] == (
            "submit" if after else AFTER_SUBMIT
        )
        assert (await world.row(key)).status is Status.COMPLETED, where
        assert await world.is_at_rest(), where
        assert sold_by.purchases() == {key.session_id: 1}, where
        await assert_books_agree(world, sold_by, where, is_estimate=id_is_lost)
        assert kept_photos(sold_by) == int(id_is_lost), where
        if not crashed:
            break
        let_go_of_photos(sold_by)
    assert {"prepare", "submit", AFTER_SUBMIT, "collect", "put", "picture_stored", "close"} <= {
        *steps
    }


async def killed_in(world: World, step: str, *, after: bool = False) -> None:
    """The worker died in this step, and its job is ready again."""
    world.fuse.crash_in, world.fuse.after = step, after
    assert await run_until_crash(world)
    world.fuse.crash_in = None
    await world.kill_worker()


async def drawn(sold_by: ProviderUnderTest) -> None:
    await reached(lambda: all(each.is_done for each in sold_by.api.drawings.taken.values()))


# ------------------------------------------------------------------------ answers that are lost


@pytest.mark.parametrize(
    "fault",
    ["lose_request", "lose_submit", "hang_submit", "lose_result"],
)
async def test_a_picture_is_bought_once_whatever_answer_is_lost(
    world: World, sold_by: ProviderUnderTest, fault: str
) -> None:
    key = await b2c(world)
    sold_by.api.drawings.rules = BackgroundRule.parse_all(f"{fault}:1:1")
    await let_others_finish(world)
    assert (await world.row(key)).status is Status.COMPLETED
    assert sold_by.purchases() == {key.session_id: 1}
    is_estimate = sold_by.kind == "responses" and fault in TAKEN
    await assert_books_agree(world, sold_by, fault, is_estimate=is_estimate)
    record = await world.journal.record(key.session_id)
    assert record is not None
    assert (record.purchases, record.purchases_lost) == (1, 0)


async def test_a_purchase_that_never_happened_is_not_counted_and_its_id_is_reused(
    world: World, sold_by: ProviderUnderTest
) -> None:
    key = await b2c(world)
    for _ in range(world.settings.max_purchases + 1):  # more often than may be bought
        await world.take_all_in()
        await world.pass_time()
        await killed_in(world, "submit")
    entry = await world.journal.entry(key.session_id)
    assert entry is not None
    assert entry.purchase is not None
    assert (entry.purchase.number, entry.purchases) == (1, 1)
    await let_others_finish(world)
    assert (await world.row(key)).status is Status.COMPLETED
    if sold_by.kind == "runware":
        (task,) = sold_by.api.drawings.taken.values()
        assert task.marker == entry.purchase.marker


async def test_the_id_of_a_lost_purchase_is_not_reused(
    world: World, sold_by: ProviderUnderTest
) -> None:
    key = await b2c(world)
    sold_by.api.drawings.rules = BackgroundRule.parse_all("empty:1:1")
    await world.take_all_in()
    await killed_in(world, "collect")
    await let_others_finish(world)
    assert (await world.row(key)).status is Status.COMPLETED
    first, second = sold_by.api.drawings.taken.values()
    assert first.marker != second.marker
    assert {row.outcome: row.count for row in await book(world)} == {"lost": 1, "kept": 1}


async def test_another_provider_does_not_get_the_id_of_an_unmade_purchase(
    world: World, sold_by: ProviderUnderTest
) -> None:
    key = await b2c(world)
    await killed_in(world, "submit")
    (other,) = set(WITH_POWERS) - {sold_by.kind}
    async with open_provider(other) as next_one:
        offer = Offer(
            provider=next_one.provider, model=image_model(next_one.model, next_one.provider.name)
        )
        providers = {each.provider.name: each.provider for each in (sold_by, next_one)}
        world.catalogue = Catalogue(providers=providers, offers=(offer,))
        await let_others_finish(world)
        assert (await world.row(key)).status is Status.COMPLETED
        assert (sold_by.purchases(), next_one.purchases()) == ({}, {key.session_id: 1})


async def test_an_open_breaker_does_not_delay_a_bought_picture(
    world: World, sold_by: ProviderUnderTest
) -> None:
    key = await b2c(world)
    await killed_in(world, "collect")
    await world.breakers.trip(provider_breaker(sold_by.provider.name), "account_blocked")
    assert await world.run_all() == [Ending.COMPLETED]
    assert (await world.row(key)).status is Status.COMPLETED
    assert sold_by.purchases() == {key.session_id: 1}


async def test_a_picture_is_bought_again_for_a_redraw(
    world: World, sold_by: ProviderUnderTest
) -> None:
    key = await b2c(world)
    await let_others_finish(world)
    await replay(world, key, fresh=True)
    await killed_in(world, "submit", after=True)
    await let_others_finish(world)
    assert sold_by.purchases() == {key.session_id: 2}
    assert {r.outcome: r.count for r in await book(world)} == {"replaced": 1, "fetched": 1}


# ------------------------------------------------------------------- sessions that ended meanwhile


async def test_a_picture_of_a_session_that_ended_meanwhile_is_kept_for_a_person(
    world: World, sold_by: ProviderUnderTest
) -> None:
    key = await b2c(world)
    await killed_in(world, "collect")
    await drawn(sold_by)
    await world.sessions.apply(key, fail("The platform took it for stuck."))
    row, credits = await world.row(key), await credits_left(world)
    await let_others_finish(world)
    assert await world.row(key) == row
    assert await credits_left(world) == credits
    assert (await world.storage.get(row.result_path))[:2] == b"\xff\xd8"
    assert "late_picture" in await world.events(key)
    (booked,) = await book(world)
    assert (booked.outcome, booked.count) == ("unused", 1)
    assert booked.cost_usd == pytest.approx(sold_by.billed_usd(), abs=1e-4)
    assert kept_photos(sold_by) == 0


async def test_a_drawing_for_a_session_that_ended_meanwhile_is_stopped_or_awaited(
    world: World, sold_by: ProviderUnderTest
) -> None:
    key = await b2c(world)
    sold_by.api.drawings.latency = Latency("0.5")
    await killed_in(world, "collect")
    await world.sessions.apply(key, fail("The platform took it for stuck."))
    row = await world.row(key)
    await let_others_finish(world)
    assert await world.row(key) == row
    (booked,) = await book(world)
    if sold_by.kind == "responses":  # cancelled; whether that is billed is not known
        assert (booked.outcome, sold_by.purchases()) == ("lost", {})
        with pytest.raises(ObjectNotFound):
            await world.storage.get(row.result_path)
    else:
        assert (booked.outcome, sold_by.purchases()) == ("unused", {key.session_id: 1})
        assert await world.storage.get(row.result_path)
    assert kept_photos(sold_by) == 0


async def test_a_purchase_left_at_the_end_of_a_job_is_cancelled_and_lost(
    world: World, sold_by: ProviderUnderTest
) -> None:
    key = await b2c(world)
    for _ in range(world.settings.max_deaths):
        await killed_in(world, "collect")
    await let_others_finish(world)
    assert (await world.row(key)).status is Status.FAILED
    (booked,) = await book(world)
    assert (booked.outcome, booked.count) == ("lost", 1)
    assert sold_by.purchases() == {key.session_id: 1}
    told = await world.events(key)
    assert told.index("purchase_ended") < told.index("settling")


async def test_a_late_picture_replaces_no_other(world: World, sold_by: ProviderUnderTest) -> None:
    key = await b2c(world)
    await killed_in(world, "collect")
    await drawn(sold_by)
    row = await world.row(key)
    await world.storage.put(row.result_path, b"another picture", content_type="image/jpeg")
    await world.sessions.apply(key, fail("The platform took it for stuck."))
    await let_others_finish(world)
    assert await world.storage.get(row.result_path) == b"another picture"
    (booked,) = await book(world)
    assert (booked.outcome, booked.count) == ("unused", 1)


# ---------------------------------------------------------------- purchases that stay unresolved


async def test_a_purchase_that_stays_unresolved_is_lost_before_the_job_is_settled(
    make_world: MakeWorld, sold_by: ProviderUnderTest
) -> None:
    limits = {"max_wait_s": 0.3, "openai_timeout_s": 0.1}
    world = await make_world(sold_by=sold_by, **limits)
    before = await credits_left(world)
    key = await b2c(world)
    sold_by.api.drawings.rules = BackgroundRule.parse_all("hold")
    await killed_in(world, "submit", after=True)
    outcomes = await world.run_all()
    await asyncio.sleep(limits["max_wait_s"])
    await world.pass_time()
    outcomes += await world.run_all()
    told = await world.events(key)
    assert outcomes == [HandBack.WAITING, Ending.FAILED]
    assert (await world.row(key)).status is Status.FAILED
    assert await credits_left(world) == before
    (booked,) = await book(world)
    assert (booked.outcome, booked.count) == ("lost", 1)
    assert told.index("purchase_ended") < told.index("settling")
    (letter,) = await world.dead_letters.list(limit=10)
    assert letter.error_code == "purchase_unresolved"
    assert sold_by.provider.name in letter.reason


async def test_a_purchase_of_the_attempt_that_gives_up_is_stopped_at_its_provider(
    make_world: MakeWorld, sold_by: ProviderUnderTest
) -> None:
    """Only one that an earlier attempt had left was cancelled: this one was drawn, and billed."""
    limits = {"max_wait_s": 0.3, "openai_timeout_s": 0.1}
    world = await make_world(sold_by=sold_by, **limits)
    key = await b2c(world)
    sold_by.api.drawings.rules = BackgroundRule.parse_all("rate_limited:1:1,hold")
    outcomes = await world.run_all()
    await asyncio.sleep(limits["max_wait_s"])
    await world.pass_time()
    outcomes += await world.run_all()
    assert outcomes == [HandBack.WAITING, Ending.FAILED]
    assert (await world.row(key)).status is Status.FAILED
    (booked,) = await book(world)
    assert (booked.outcome, booked.count) == ("lost", 1)
    if sold_by.kind == "responses":
        (drawing,) = sold_by.api.drawings.taken.values()
        assert drawing.cancelled
