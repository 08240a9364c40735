"""A payload with more pictures than a model takes is generated from the first ones."""

from typing import Any

import pytest

from devkit.accounts import USER
from devkit.world import MakeWorld
from wearon_cli.core.image_rules import API_MAX_PICTURES
from wearon_cli.core.jobs.journal import Ending
from wearon_cli.core.prompt import default_prompt

pytestmark = pytest.mark.anyio

RUNWARE = {"providers": ("runware",), "runware_models": ("flux-vto",)}


@pytest.mark.parametrize(
    ("settings", "accessories", "sent"),
    [
        pytest.param({}, 10, 12, id="more than ten are legal for b2c"),
        pytest.param({}, 20, API_MAX_PICTURES, id="more than the API takes"),
        pytest.param(RUNWARE, 2, 2, id="a model of two pictures"),
        pytest.param(RUNWARE, 0, 2, id="all that there are"),
    ],
)
async def test_person_garment_and_the_first_accessories_are_drawn(
    make_world: MakeWorld, settings: dict[str, Any], accessories: int, sent: int
) -> None:
    """Seen: such jobs were dead letters, or were refused by the model at every attempt."""
    world = await make_world(**settings)
    key = await world.sell(owner_id=USER, push=False)
    await world.push(key, USER, "req", accessories=accessories)
    assert await world.run_all() == [Ending.COMPLETED]
    (asked,) = world.generator.asked + world.second.asked
    assert len(asked.pictures) == sent
    assert asked.prompt == default_prompt(sent)
    told = [
        (line["given"], line["sent"])
        for line in await world.journal.timeline(key.session_id)
        if line["event"] == "pictures_left_out"
    ]
    given = 2 + accessories
    assert told == ([(given, sent)] if given > sent else [])


async def test_a_model_that_takes_them_all_draws_them_all(make_world: MakeWorld) -> None:
    world = await make_world(
        providers=("runware", "openai"),
        runware_models=("flux-vto",),
        openai_image_models=("gpt-image-2",),
    )
    key = await world.sell(owner_id=USER, push=False)
    await world.push(key, USER, "req", accessories=4)
    assert await world.run_all() == [Ending.COMPLETED]
    (asked,) = world.generator.asked
    assert len(asked.pictures) == 6
    assert "pictures_left_out" not in await world.events(key)
