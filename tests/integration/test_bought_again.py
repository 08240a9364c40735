"""
A suspect picture is bought again, over the loopback APIs of providers that can be asked for a lost
purchase. Whatever becomes of the second picture, the first is delivered or kept.

The checks are scripted: the first picture of a session is suspect. tests/integration/test_checks.py
has the real ones.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from devkit.accounts import USER
from devkit.crashes import b2c, killed_at, let_others_finish, run_until_crash
from devkit.faults import Crash, Faulty
from devkit.providers import ProviderUnderTest, open_provider
from devkit.servers.background_drawings import BackgroundRule
from devkit.world import MakeWorld, World
from wearon_cli.adapters.pixels.processes import PixelProcesses
from wearon_cli.adapters.redis.book import RedisPurchaseBook
from wearon_cli.core.checks.findings import PictureFinding, Report
from wearon_cli.core.errors import StoreRefused, StoreUnavailable
from wearon_cli.core.jobs.breakers import provider_breaker
from wearon_cli.core.jobs.journal import Ending
from wearon_cli.core.ledger import Payer
from wearon_cli.core.pictures.ports import VerifiedPicture
from wearon_cli.core.session import SessionKey, Status, fail, utc_now

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

#: More steps to the outside than a job has that draws again.
MANY_STEPS = 90
WITH_POWERS = ("responses", "runware")
FIRST, SECOND = 1, 2
_CALL = re.compile(rb"call=(\d+)")


def call_of(jpeg: bytes) -> int:
    """Which order of the loopback API a picture came from."""
    found = _CALL.search(jpeg)
    assert found
    return int(found[1])


class FirstIsSuspect:
    """Implements `PictureChecks`: picture number one does not show the garment."""

    def __init__(self) -> None:
        self.when_suspect: Callable[[], None] = lambda: None  # before the second is bought
        self.error: Exception | None = None  # of the check of the second

    async def inputs(self, pictures: Sequence[bytes]) -> Report:
        del pictures
        return Report()

    async def result(
        self, drawn: bytes, *, person: bytes, garment: bytes | None, seen: Mapping[str, Any]
    ) -> Report:
        del person, garment, seen
        if call_of(drawn) != FIRST:
            if self.error is not None:
                raise self.error
            return Report()
        self.when_suspect()
        return Report(findings=(PictureFinding.NOT_APPLIED,))

    async def aclose(self) -> None:
        """Nothing was started."""


class WholePictures(PixelProcesses):
    """Makes no small copies: the checks of these tests read a comment of the file."""

    async def verify(self, data: bytes, *, with_small: bool = False) -> VerifiedPicture:
        del with_small
        return await super().verify(data)


@pytest.fixture(params=WITH_POWERS)
async def sold_by(request: pytest.FixtureRequest) -> AsyncIterator[ProviderUnderTest]:
    async with open_provider(request.param, latency="0.02") as one:
        yield one


async def with_scripted_checks(world: World) -> World:
    await world.checks.aclose()
    await world.pixels.aclose()
    world.pixels = WholePictures(1)
    world.checks = FirstIsSuspect()  # type: ignore[assignment]
    return world


@pytest.fixture
async def world(make_world: MakeWorld, sold_by: ProviderUnderTest) -> World:
    return await with_scripted_checks(await make_world(sold_by=sold_by, check_results="retry"))


@pytest.fixture
async def hurried(make_world: MakeWorld, sold_by: ProviderUnderTest) -> World:
    """It waits 2 s for a picture: a first one is generated in 0.02 s, also on a busy machine."""
    settings = {"check_results": "retry", "openai_timeout_s": 2.0}
    return await with_scripted_checks(await make_world(sold_by=sold_by, **settings))


def checks_of(world: World) -> FirstIsSuspect:
    assert isinstance(world.checks, FirstIsSuspect)
    return world.checks


async def start_afresh(world: World, sold_by: ProviderUnderTest) -> None:
    """An empty Redis, and a provider that has sold nothing."""
    await world.redis.flushall()
    sold_by.api.drawings.taken.clear()
    sold_by.api.drawings.orders = 0


async def outcomes(world: World) -> dict[str, int]:
    """The book of purchases: how many of each outcome."""
    today = utc_now().date()
    rows = await RedisPurchaseBook(world.redis).rows(today - timedelta(days=1), today)
    return {row.outcome: row.count for row in rows if row.count}


async def booked_usd(world: World) -> float:
    today = utc_now().date()
    rows = await RedisPurchaseBook(world.redis).rows(today - timedelta(days=1), today)
    return sum(row.cost_usd for row in rows)


async def shown(world: World, key: SessionKey) -> int:
    """Which picture is stored."""
    return call_of(await world.storage.get((await world.row(key)).result_path))


def kept_photos(sold_by: ProviderUnderTest) -> int:
    """Of customers, at the provider. Runware's go by themselves."""
    return int(sold_by.api.kept()) if sold_by.kind == "responses" else 0


def second_meets(world: World, sold_by: ProviderUnderTest, faults: str) -> None:
    """From the second order on, the API has these faults."""

    def set_rules() -> None:
        sold_by.api.drawings.rules = BackgroundRule.parse_all(faults)

    checks_of(world).when_suspect = set_rules


def killed_in(world: World, step: str, *, after: bool = False) -> None:
    """The worker dies in this step of the second purchase."""

    def set_fuse() -> None:
        world.fuse.crash_in, world.fuse.after = step, after

    checks_of(world).when_suspect = set_fuse


def sell(world: World, sold_by: ProviderUnderTest, **faults: Any) -> None:
    """Buy from a provider of which these methods fail."""
    faulty = Faulty(sold_by.provider, **faults)
    world.sold_by = replace(sold_by, provider=faulty)


# ------------------------------------------------------------------ the second purchase goes wrong


async def test_the_better_second_picture_is_delivered(
    world: World, sold_by: ProviderUnderTest
) -> None:
    key = await b2c(world)
    assert await world.run_all() == [Ending.COMPLETED]
    assert await shown(world, key) == SECOND
    assert await outcomes(world) == {"kept": 1, "replaced": 1}
    assert await booked_usd(world) == pytest.approx(sold_by.billed_usd(), abs=1e-4)
    assert kept_photos(sold_by) == 0


@pytest.mark.parametrize("bought", [False, True], ids=["not bought", "bought"])
async def test_an_unforeseen_error_in_the_second_purchase_costs_not_the_first(
    world: World, sold_by: ProviderUnderTest, bought: bool
) -> None:
    """It failed the job, and both pictures were thrown away."""

    async def submit(real: Any, *args: Any, **kwargs: Any) -> Any:
        is_second = bool(sold_by.api.drawings.taken)
        if is_second and not bought:
            raise ValueError("unforeseen")
        answer = await real(*args, **kwargs)
        if is_second:
            raise ValueError("unforeseen")
        return answer

    sell(world, sold_by, submit=submit)
    key = await b2c(world)
    assert await world.run_all() == [Ending.COMPLETED]
    assert await shown(world, key) == (SECOND if bought else FIRST)
    assert await outcomes(world) == ({"fetched": 1, "replaced": 1} if bought else {"kept": 1})
    assert sold_by.purchases() == {key.session_id: 2 if bought else 1}


async def test_an_unforeseen_error_in_the_check_of_the_second_costs_neither(
    world: World, sold_by: ProviderUnderTest
) -> None:
    key = await b2c(world)
    checks_of(world).error = ValueError("unforeseen")
    assert await world.run_all() == [Ending.COMPLETED]
    assert await shown(world, key) == SECOND
    assert sold_by.purchases() == {key.session_id: 2}


@pytest.mark.parametrize("is_killed", [False, True], ids=["unresolved", "killed and unresolved"])
async def test_a_second_picture_that_does_not_come_is_stopped_and_the_first_delivered(
    hurried: World, sold_by: ProviderUnderTest, is_killed: bool
) -> None:
    """It was called lost, and neither cancelled nor forgotten at its provider."""
    key = await b2c(hurried)

    def second() -> None:
        sold_by.api.drawings.rules = BackgroundRule.parse_all("hold")
        if is_killed:
            hurried.fuse.crash_in = "collect"

    checks_of(hurried).when_suspect = second
    assert await run_until_crash(hurried) is is_killed
    checks_of(hurried).when_suspect = lambda: None
    await let_others_finish(hurried)
    assert (await hurried.row(key)).status is Status.COMPLETED
    assert await shown(hurried, key) == FIRST
    assert await outcomes(hurried) == {"kept": 1, "lost": 1}
    assert await hurried.ledger.user_balance(USER) == 99
    if sold_by.kind == "responses":  # cancelled: not billed
        assert sold_by.purchases() == {key.session_id: 1}
    assert kept_photos(sold_by) == 0


async def test_a_second_picture_that_comes_at_the_last_moment_is_fetched(
    hurried: World, sold_by: ProviderUnderTest
) -> None:
    """Its provider is asked once more before it counts as lost."""

    async def cancel(real: Any, *args: Any, **kwargs: Any) -> Any:
        sold_by.api.drawings.release()
        return await real(*args, **kwargs)

    sell(hurried, sold_by, cancel=cancel)
    key = await b2c(hurried)
    second_meets(hurried, sold_by, "hold")
    assert await hurried.run_all() == [Ending.COMPLETED]
    assert await shown(hurried, key) == SECOND
    assert await outcomes(hurried) == {"fetched": 1, "replaced": 1}
    assert await booked_usd(hurried) == pytest.approx(sold_by.billed_usd(), abs=1e-4)
    assert kept_photos(sold_by) == 0


@pytest.mark.parametrize("fault", ["lose_submit", "hang_submit"])
async def test_a_second_purchase_without_an_answer_is_fetched(
    world: World, sold_by: ProviderUnderTest, fault: str
) -> None:
    key = await b2c(world)
    second_meets(world, sold_by, f"{fault}:1:1")
    assert await world.run_all() == [Ending.COMPLETED]
    assert await shown(world, key) == SECOND
    assert sold_by.purchases() == {key.session_id: 2}
    assert await outcomes(world) == {"fetched": 1, "replaced": 1}


# ------------------------------------------------------------------ the worker dies


@pytest.mark.parametrize("sold_by", ["images", *WITH_POWERS], indirect=True)
async def test_a_held_picture_waits_for_no_breaker(
    world: World, sold_by: ProviderUnderTest
) -> None:
    """Its job was held back, and failed after half an hour with the picture in Redis."""
    key = await b2c(world)
    killed_in(world, "start_purchase")
    assert await run_until_crash(world)
    world.fuse.crash_in = None
    await world.kill_worker()
    await world.breakers.trip(provider_breaker(sold_by.provider.name), "account_blocked")
    assert await world.run_all() == [Ending.COMPLETED]
    assert await shown(world, key) == FIRST
    assert await outcomes(world) == {"kept": 1}


async def test_a_second_picture_held_while_storage_is_away_is_booked_as_what_it_is(
    hurried: World, sold_by: ProviderUnderTest
) -> None:
    """It took the place of the first in Redis, and its purchase was then called lost."""
    tries = 0

    async def put(real: Any, *args: Any, **kwargs: Any) -> Any:
        nonlocal tries
        tries += 1
        raise StoreUnavailable("away") if tries == 1 else Crash

    key = await b2c(hurried)
    storage, hurried.storage = hurried.storage, Faulty(hurried.storage, put=put)  # type: ignore[assignment]
    assert await run_until_crash(hurried)
    hurried.storage = storage
    sold_by.api.drawings.rules = BackgroundRule.parse_all("lose_poll")  # it cannot be asked now
    await hurried.let_probe()
    await let_others_finish(hurried)
    assert (await hurried.row(key)).status is Status.COMPLETED
    assert await shown(hurried, key) == SECOND
    assert await outcomes(hurried) == {"kept": 1, "replaced": 1}
    assert await booked_usd(hurried) == pytest.approx(sold_by.billed_usd(), abs=1e-4)


@pytest.mark.parametrize("after", [False, True], ids=["before the step", "after the step"])
async def test_a_worker_killed_at_any_step_of_drawing_again_loses_nothing(
    world: World, sold_by: ProviderUnderTest, after: bool
) -> None:
    steps = []
    for step in range(1, MANY_STEPS):
        await start_afresh(world, sold_by)
        before = await world.ledger.user_balance(USER)
        key = await b2c(world)
        crashed = await killed_at(world, step, after=after)
        steps.append(world.fuse.burnt)
        where = f"{'after' if after else 'before'} step {step}, {world.fuse.burnt}"
        assert (await world.row(key)).status is Status.COMPLETED, where
        assert await world.is_at_rest(), where
        assert await world.ledger.user_balance(USER) == before - 1, where
        bought = sold_by.purchases()[key.session_id]
        assert await shown(world, key) == bought, where
        booked = await outcomes(world)
        assert sum(booked.values()) == bought <= 2, (where, booked)
        assert "lost" not in booked, where
        if not crashed:
            break
    assert steps.count("submit") == 2, steps
    assert {"buy_again", "keep_picture", "picture_stored", "complete", "close"} & {*steps}


async def platform_fails(world: World, key: SessionKey) -> None:
    """Its cron: it refunds first, and then fails every row that it had read as open."""
    if (await world.row(key)).status.is_final:
        return
    text = f"Stuck job recovery: session {key.session_id} timed out after 10 minutes"
    await world.ledger.refund(Payer(channel=key.channel, owner_id=USER), text)
    await world.sessions.apply(key, fail("The platform took it for stuck."))


@pytest.mark.parametrize("by_cron", [False, True], ids=["alone", "with the platform's cron"])
@pytest.mark.parametrize("after", [False, True], ids=["before the step", "after the step"])
async def test_a_worker_killed_at_any_step_of_failing_a_suspect_picture_refunds_once(
    make_world: MakeWorld, sold_by: ProviderUnderTest, after: bool, by_cron: bool
) -> None:
    world = await with_scripted_checks(await make_world(sold_by=sold_by, check_results="fail"))
    steps: list[str] = []
    for step in range(1, MANY_STEPS):
        await start_afresh(world, sold_by)
        before = await world.ledger.user_balance(USER)
        key = await b2c(world)
        world.fuse.steps, world.fuse.crash_at, world.fuse.after = 0, step, after
        crashed = await run_until_crash(world)
        steps.append(world.fuse.burnt)
        if crashed and by_cron:
            await platform_fails(world, key)
        await let_others_finish(world)
        where = f"{'after' if after else 'before'} step {step}, {world.fuse.burnt}"
        assert (await world.row(key)).status is Status.FAILED, where
        assert await world.is_at_rest(), where
        assert await world.ledger.user_balance(USER) == before, where
        bought = sold_by.purchases().get(key.session_id, 0)
        booked = await outcomes(world)
        assert bought <= sum(booked.values()) <= 1, (where, booked)  # one may be cancelled
        if world.fuse.burnt not in {"submit", "purchase_submitted"}:  # else its id is not known
            assert kept_photos(sold_by) == 0, where
        if not crashed:
            break
    assert {"intend", "close"} <= {*steps}


# ------------------------------------------------------------------ the session ends meanwhile


@pytest.mark.parametrize(
    ("step", "is_drawn", "kept", "booked"),
    [
        pytest.param("start_purchase", True, FIRST, {"unused": 1}, id="before the second"),
        pytest.param("collect", True, SECOND, {"unused": 2}, id="the second is there"),
        pytest.param("collect", False, FIRST, {"unused": 1, "lost": 1}, id="still being generated"),
    ],
)
async def test_of_a_session_that_ended_meanwhile_a_picture_is_kept_for_a_person(
    world: World,
    sold_by: ProviderUnderTest,
    step: str,
    is_drawn: bool,
    kept: int,
    booked: dict[str, int],
) -> None:
    """The held first picture was dropped."""
    key = await b2c(world)

    def second() -> None:
        world.fuse.crash_in = step
        if not is_drawn:
            sold_by.api.drawings.rules = BackgroundRule.parse_all("hold")

    checks_of(world).when_suspect = second
    assert await run_until_crash(world)
    await asyncio.sleep(0.05)  # longer than a drawing takes
    await world.sessions.apply(key, fail("The platform took it for stuck."))
    row = await world.row(key)
    await let_others_finish(world)
    assert await world.row(key) == row
    assert await shown(world, key) == kept
    assert "late_picture" in await world.events(key)
    assert await outcomes(world) == booked
    assert kept_photos(sold_by) == 0


async def test_a_picture_that_storage_refuses_is_not_left_at_its_provider(
    world: World, sold_by: ProviderUnderTest
) -> None:
    refused = StoreRefused("too large", vendor_code="413")
    world.storage = Faulty(world.storage, put=refused)  # type: ignore[assignment]
    key = await b2c(world)
    assert await world.run_all() == [Ending.FAILED]
    assert (await world.row(key)).status is Status.FAILED
    assert await world.ledger.user_balance(USER) == 100
    assert kept_photos(sold_by) == 0
