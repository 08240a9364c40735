"""Bulk replays as shown: the total before, each end while they run, the causes afterwards."""

import asyncio

import pytest

from devkit.crashes import b2c
from devkit.operators import Operators
from devkit.world import World
from wearon_cli.cli.bulk_replaying import replay_many
from wearon_cli.cli.output import emit
from wearon_cli.cli.replay_screen import progress_table
from wearon_cli.cli.replaying import Replaying, replay_one
from wearon_cli.core.errors import (
    ConsentMissing,
    GenerationRefused,
    InputError,
    Interrupted,
    RequestRejected,
    TryOnFailed,
    WearonError,
)
from wearon_cli.core.operator.bulk import BulkProgress
from wearon_cli.core.operator.chances import Chance, Outcomes, replay_chance
from wearon_cli.core.operator.replay_plan import Plan, ReplayOptions

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


async def failed(world: World, *errors: WearonError, model: str | None = None) -> list[Plan]:
    """Sessions that failed by these, planned to run again."""
    keys = [await b2c(world) for _ in errors]
    world.generator.plan = list(errors)
    await world.run_all()
    world.generator.plan = []
    operators = Operators(world)
    return [await operators.plan(key, model=model) for key in keys]


def how(**more: object) -> Replaying:
    values: dict[str, object] = {"options": ReplayOptions(), "yes": True, "timeout_s": 30.0}
    return Replaying(**values | more)  # type: ignore[arg-type]


async def work(world: World) -> None:
    while True:
        await world.run_all()
        await asyncio.sleep(0.01)


async def run(
    world: World, plans: list[Plan], asked: Replaying, *, dry_run: bool = False
) -> object:
    worker = asyncio.create_task(work(world))
    try:
        return await replay_many(
            plans,
            [("0193a1c0-7b1e-7c4a-9f00-3f2c6f0a9d01", "session_running")],
            asked,
            Operators(world).tools,
            world.settings,
            dry_run=dry_run,
            verbose=False,
        )
    finally:
        worker.cancel()


async def test_each_end_is_shown_and_the_causes_at_the_end(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    plans = await failed(world, GenerationRefused(), RequestRejected(), GenerationRefused())
    world.generator.plan = [GenerationRefused()]
    result = await run(world, plans, how())
    lines = capsys.readouterr().err.splitlines()
    (head,) = [line for line in lines if line.startswith("3 sessions to replay: ")]
    assert "3 buy a picture, about $" in head
    assert head.endswith("1 skipped")
    assert any("2 failed by generation_refused: chance low" in line for line in lines)
    assert sum(line.startswith(f"{n} of 3  ") for line in lines for n in (1, 2, 3)) == 3
    assert isinstance(result.error, TryOnFailed)  # type: ignore[attr-defined]
    emit(result, command="replay-task", as_json=False)  # type: ignore[arg-type]
    printed = capsys.readouterr().out
    assert "3 replayed: 2 completed, 1 failed, $0.10" in printed
    assert "failed again: generation_refused (1)" in printed
    assert "1 skipped: session_running" in printed


async def test_a_dry_run_sums_up_and_does_nothing(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    plans = await failed(world, GenerationRefused(), GenerationRefused())
    result = await run(world, plans, how(), dry_run=True)
    assert await world.open_jobs() == 0
    data = result.data  # type: ignore[attr-defined]
    assert (data["buys"], len(data["plans"])) == (2, 2)
    assert 0 < data["expected_usd"] < data["most_usd"]
    capsys.readouterr()
    emit(result, command="replay-task", as_json=False)  # type: ignore[arg-type]
    printed = capsys.readouterr().out
    assert "2 sessions can be replayed: 2 buy a picture" in printed
    assert "nothing was changed (--dry-run)" in printed
    assert plans[0].session.session_id not in printed


async def test_without_a_yes_nothing_is_opened(world: World) -> None:
    plans = await failed(world, GenerationRefused())
    with pytest.raises(ConsentMissing):
        await run(world, plans, how(yes=False))
    assert await world.open_jobs() == 0


async def test_a_model_without_a_price_cannot_have_a_cost_limit(world: World) -> None:
    plans = await failed(world, GenerationRefused(), model="some-model-9")
    with pytest.raises(InputError, match="no price"):
        await run(world, plans, how(max_cost_usd=1.0))


async def test_the_cost_limit_applies_to_one_session_too(world: World) -> None:
    """Seen: the limit was applied to bulk replays only; a single session was bought at any
    price.
    """
    (plan,) = await failed(world, GenerationRefused())
    tools = Operators(world).tools
    with pytest.raises(InputError, match="more than --max-cost"):
        await replay_one(plan, how(max_cost_usd=0.01), tools, world.settings, dry_run=False)
    assert await world.open_jobs() == 0


async def test_an_operators_prompt_and_model_go_with_every_job(world: World) -> None:
    keys = [await b2c(world) for _ in range(2)]
    world.generator.plan = [GenerationRefused(), GenerationRefused()]
    await world.run_all()
    world.generator.plan = []
    operators = Operators(world)
    for key in keys:
        plan = await operators.plan(key, prompt="Keep the hat.", model="gpt-image-2")
        assert (plan.task.prompt, plan.task.replay and plan.task.replay.model) == (
            "Keep the hat.",
            "gpt-image-2",
        )


async def test_when_interrupted_it_says_what_continues_and_how_to_resume(world: World) -> None:
    plans = await failed(world, GenerationRefused(), GenerationRefused())
    asked = replay_many(
        plans, [], how(), Operators(world).tools, world.settings, dry_run=False, verbose=False
    )
    running = asyncio.create_task(asked)
    while await world.open_jobs() < 2:  # noqa: ASYNC110 - another process would open them
        await asyncio.sleep(0.01)
    running.cancel()
    with pytest.raises(Interrupted, match="2 were started, 0 of them have ended") as told:
        await running
    assert "the others continue" in str(told.value)
    assert "same command" in told.value.hint
    await world.run_all()
    for plan in plans:
        assert (await world.row(plan.session.key)).status == "completed"


async def test_the_live_table_shows_the_progress(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    plans = await failed(world, GenerationRefused(), GenerationRefused())
    now = BulkProgress(
        waiting=plans[1:], open={plans[0].session.session_id: plans[0]}, by_limit=True
    )
    table = progress_table(now, 2)
    texts = [str(cell) for column in table.columns for cell in column.cells]
    assert "0 of 2 ended, 1 running, 1 held back by --max-cost" in texts
    assert any(text.startswith("$0.00 so far, at most $") for text in texts)


def test_a_chance_comes_from_past_replays_or_a_rule() -> None:
    assert replay_chance("generation_refused").chance is Chance.LOW
    assert replay_chance("queue_unavailable").chance is Chance.HIGH
    assert replay_chance("no such code").chance is Chance.EVEN
    known = Outcomes.none()
    for _ in range(5):
        known.add("generation_refused", succeeded=True)
    told = replay_chance("generation_refused", known)
    assert (told.chance, told.reason) == (Chance.HIGH, "5 of 5 recent replays succeeded")
