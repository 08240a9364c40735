"""The next offer is used when one is retired, halted, out of money or refuses; and this is
recorded.
"""

from datetime import timedelta
from functools import partial

import pytest

from devkit.accounts import CREDITS, STORE, USER
from devkit.world import MakeWorld, PaidProvider, World
from wearon_cli.adapters.redis.book import RedisPurchaseBook
from wearon_cli.core.contract import new_task
from wearon_cli.core.errors import (
    AccountBlocked,
    CallAmbiguous,
    GenerationRefused,
    GeneratorFault,
    ModelUnavailable,
    RequestRejected,
    WearonError,
)
from wearon_cli.core.events import observed_by
from wearon_cli.core.jobs.breakers import provider_breaker
from wearon_cli.core.jobs.journal import Ending, HandBack, Purchase
from wearon_cli.core.providers import Powers, Ticket
from wearon_cli.core.session import Channel, SessionKey, Status, utc_now
from wearon_cli.runtime.ops.metrics import Meters

pytestmark = pytest.mark.anyio

P_IMAGE = "prunaai:p-image@try-on"
OPENAI, RUNWARE = provider_breaker("openai"), provider_breaker("runware")


class NeverBought(PaidProvider):
    """Knows that no earlier purchase reached it."""

    powers = Powers(find=True)

    async def find(self, *, model: str, marker: str) -> Ticket | None:
        return None


@pytest.fixture
def make_world(make_world: MakeWorld) -> MakeWorld:
    """Makes a world in which OpenAI is asked first, then Runware."""
    offers = {"providers": ("openai", "runware"), "openai_image_models": ("gpt-image-2",)}
    return partial(make_world, **offers)


async def open_breakers(world: World) -> set[str]:
    return {halt.name for halt in await world.breakers.halts()}


async def assert_drawn_by_runware(world: World, key: SessionKey) -> None:
    """Row, timeline, record and book agree on who drew the picture, and on what it cost."""
    row = await world.row(key)
    assert row.status is Status.COMPLETED
    assert row.estimated_cost_usd == pytest.approx(0.015)
    timeline = await world.journal.timeline(key.session_id)
    (stored,) = [line for line in timeline if line["event"] == "picture_stored"]
    assert (stored["provider"], stored["model"]) == ("runware", P_IMAGE)
    started = [line for line in timeline if line["event"] == "purchase_started"]
    assert (started[-1]["provider"], started[-1]["model"]) == ("runware", P_IMAGE)
    record = await world.journal.record(key.session_id)
    assert record is not None
    assert (record.provider, record.model, record.purchases) == ("runware", P_IMAGE, 1)
    assert record.cost_usd == pytest.approx(0.015)
    today = utc_now().date()
    rows = await RedisPurchaseBook(world.redis).rows(today - timedelta(days=1), today)
    assert [(r.provider, r.model, r.outcome, r.count) for r in rows] == [
        ("runware", P_IMAGE, "kept", 1)
    ]


@pytest.mark.parametrize(
    ("failure", "opened"),
    [
        pytest.param(ModelUnavailable(), {OPENAI}, id="its only model is closed"),
        pytest.param(AccountBlocked(), {OPENAI}, id="out of money"),
    ],
)
async def test_the_next_provider_draws_and_only_the_first_is_halted(
    make_world: MakeWorld, failure: WearonError, opened: set[str]
) -> None:
    world = await make_world()
    key = await world.sell(owner_id=USER)
    world.generator.plan = [failure]
    meters = Meters()
    with observed_by(meters.count):
        assert await world.run_all() == [Ending.COMPLETED]
    assert world.generator.paid == []
    await assert_drawn_by_runware(world, key)
    assert await open_breakers(world) == opened
    shown = meters.registry.get_sample_value(
        "wearon_cost_usd_total", {"provider": "runware", "model": P_IMAGE}
    )
    assert shown == pytest.approx(0.015)


async def test_the_next_model_of_a_provider_draws_and_nothing_is_halted(
    make_world: MakeWorld,
) -> None:
    world = await make_world(openai_image_models=("gpt-image-1.5", "gpt-image-2"))
    key = await world.sell(owner_id=USER)
    world.generator.plan = [ModelUnavailable()]
    assert await world.run_all() == [Ending.COMPLETED]
    record = await world.journal.record(key.session_id)
    assert record is not None
    assert (record.provider, record.model) == ("openai", "gpt-image-2")
    assert await open_breakers(world) == set()
    assert world.second.paid == []


async def test_a_provider_is_halted_when_all_of_its_models_are_closed(
    make_world: MakeWorld,
) -> None:
    """Otherwise each waiting job asks all of them again, every few seconds."""
    world = await make_world(
        providers=("openai",), openai_image_models=("gpt-image-1.5", "gpt-image-2")
    )
    world.generator.plan = [ModelUnavailable(), ModelUnavailable()]
    await world.sell(owner_id=USER)
    assert await world.run_all() == [HandBack.WAITING]
    assert await open_breakers(world) == {OPENAI}


async def test_a_retired_model_that_alone_takes_this_many_pictures_halts_nothing_else(
    make_world: MakeWorld,
) -> None:
    world = await make_world(providers=("runware",), runware_models=(P_IMAGE, "bfl:flux@vto"))
    world.second.plan = [ModelUnavailable()]
    key = await world.sell(owner_id=USER, push=False)
    photos = tuple(f"https://a.test/{name}.jpg" for name in ("person", "shirt", "skirt"))
    task = new_task(key=key, owner_id=USER, image_urls=photos, prompt="", request_id="req-1")
    await world.intake.push(task.to_json())
    assert await world.run_all() == [HandBack.WAITING]
    assert await open_breakers(world) == set()
    await world.sell(owner_id=USER)
    assert await world.run_all() == [Ending.COMPLETED]


async def test_a_halted_provider_is_not_asked_until_its_probe(make_world: MakeWorld) -> None:
    world = await make_world()
    await world.breakers.trip(OPENAI, "account_blocked")
    key = await world.sell(owner_id=USER)
    assert await world.run_all() == [Ending.COMPLETED]
    assert world.generator.paid == []
    await assert_drawn_by_runware(world, key)
    assert await open_breakers(world) == {OPENAI}
    await world.let_probe()
    await world.sell(owner_id=USER)
    assert await world.run_all() == [Ending.COMPLETED]
    assert len(world.generator.paid) == 1
    assert await open_breakers(world) == set()


async def test_when_all_are_halted_the_job_waits_and_keeps_its_credit(
    make_world: MakeWorld,
) -> None:
    world = await make_world()
    await world.sell(owner_id=USER)
    world.generator.plan, world.second.plan = [AccountBlocked()], [AccountBlocked()]
    assert await world.run_all() == [HandBack.WAITING]
    assert await open_breakers(world) == {OPENAI, RUNWARE}
    assert await world.ledger.user_balance(USER) == CREDITS - 1


async def test_a_refusal_goes_to_the_next_provider_when_set(make_world: MakeWorld) -> None:
    world = await make_world(
        next_provider_on_refusal=True, openai_image_models=("gpt-image-2", "gpt-image-1.5")
    )
    key = await world.sell(owner_id=USER)
    world.generator.plan = [GenerationRefused()]
    assert await world.run_all() == [Ending.COMPLETED]
    await assert_drawn_by_runware(world, key)
    assert world.generator.paid == [], "no other model of the one that refused is asked"
    assert await open_breakers(world) == set()


async def test_a_refusal_ends_the_job_by_default(make_world: MakeWorld) -> None:
    world = await make_world()
    await world.sell(owner_id=USER)
    world.generator.plan = [GenerationRefused()]
    assert await world.run_all() == [Ending.FAILED]
    assert world.second.paid == []
    assert await world.ledger.user_balance(USER) == CREDITS


async def test_a_refusal_is_final_when_the_next_provider_is_halted(make_world: MakeWorld) -> None:
    """Otherwise the job would wait, and ask the refusing provider again."""
    world = await make_world(next_provider_on_refusal=True)
    await world.breakers.trip(RUNWARE, "account_blocked")
    key = await world.sell(owner_id=USER)
    world.generator.plan = [GenerationRefused()]
    assert await world.run_all() == [Ending.FAILED]
    row = await world.row(key)
    assert row.error_message == GenerationRefused.shopper_message


@pytest.mark.parametrize("failure", [GeneratorFault(), RequestRejected(), CallAmbiguous()])
async def test_other_failures_do_not_go_to_the_next_provider(
    make_world: MakeWorld, failure: WearonError
) -> None:
    world = await make_world()
    await world.sell(owner_id=USER)
    world.generator.plan = [failure]
    await world.take_all_in()
    await world.run_one()
    assert world.second.paid == []


async def test_a_store_is_served_by_its_own_provider_only(make_world: MakeWorld) -> None:
    world = await make_world(store_providers={STORE: ("runware",)})
    theirs = await world.sell(Channel.B2B, owner_id=STORE)
    assert await world.run_all() == [Ending.COMPLETED]
    await assert_drawn_by_runware(world, theirs)
    await world.sell(owner_id=USER)
    assert await world.run_all() == [Ending.COMPLETED]
    assert (len(world.generator.paid), len(world.second.paid)) == (1, 1)


async def test_a_provider_does_not_get_the_marker_of_another(make_world: MakeWorld) -> None:
    """To Runware a marker is the id of its task: the id of an OpenAI conversation is not."""
    world = await make_world()
    world.generator = NeverBought()
    await world.breakers.trip(OPENAI, "account_blocked")
    key = await world.sell(owner_id=USER)
    await world.take_all_in()
    await world.registry.register(world.worker)
    (job,) = (await world.dispatcher.release(limit=1)).jobs
    claim = await world.claim(job.session_id)
    assert claim is not None
    earlier = Purchase(
        number=1,
        provider="openai",
        model="gpt-image-2",
        started_at=utc_now(),
        expected_usd=0.05,
        marker="conv_1",
    )
    assert await world.journal.start_purchase(claim, earlier, pictures=2) == 0
    await world.kill_worker()
    assert await world.run_one() is Ending.COMPLETED
    assert world.second.prepared_after == [None]
    assert (await world.row(key)).status is Status.COMPLETED
