"""One picture bought outside any session: lost pictures are looked up, nothing is bought twice."""

from collections.abc import AsyncIterator

import pytest

from devkit.providers import ProviderUnderTest, open_provider, request
from devkit.servers.responses_api import ResponsesApi
from wearon_cli.adapters.pixels.processes import PixelProcesses
from wearon_cli.core.errors import (
    CallAmbiguous,
    GenerationRefused,
    ModelUnavailable,
    PictureUnusable,
    WearonError,
)
from wearon_cli.core.image_models import image_model
from wearon_cli.core.jobs.offers import Offer
from wearon_cli.core.operator.trials import Retrieval, Trial, Trials
from wearon_cli.core.pictures.marking import MarkedBy, Marking, SourceType
from wearon_cli.core.pictures.marks import Marks, read_marks

pytestmark = pytest.mark.anyio

KINDS = ("images", "responses", "runware")
ALL_WORKS = Retrieval(found_while_generated=True, found_after=True, fetched_again=True)


@pytest.fixture
async def trials() -> AsyncIterator[Trials]:
    pixels = PixelProcesses(1)
    yield Trials(pixels=pixels, marking=Marking(), within_s=20.0)
    await pixels.aclose()


async def tried(
    trials: Trials, one: ProviderUnderTest, *, look_again: bool = True, model: str | None = None
) -> Trial:
    rules = image_model(model or one.model, one.provider.name)
    offer = Offer(provider=one.provider, model=rules)
    return await trials.try_out(
        rules.key, offer, request(), expected_usd=0.015, look_again=look_again
    )


@pytest.mark.parametrize("kind", KINDS)
async def test_a_picture_has_its_price_and_marks_and_can_be_fetched_again(
    trials: Trials, kind: str
) -> None:
    async with open_provider(kind, latency="0.05") as one:
        trial = await tried(trials, one)
        assert trial.error is None
        assert trial.took_s > 0.04
        assert trial.jpeg[:2] == b"\xff\xd8"
        assert trial.cost_usd is not None
        assert trial.price_differs is (kind != "runware")
        assert trial.marks == Marks(has_c2pa=kind != "runware")
        assert trial.keeps_marks
        by_us = kind == "runware"  # its pictures come without a mark
        assert trial.marked_by is (MarkedBy.WORKER if by_us else MarkedBy.PROVIDER)
        source_type = SourceType.GENERATED if by_us else None
        assert read_marks(trial.jpeg) == Marks(has_c2pa=not by_us, source_type=source_type)
        assert trial.retrieval == (Retrieval() if kind == "images" else ALL_WORKS)
        assert list(one.purchases().values()) == [1]
        if isinstance(one.api, ResponsesApi):
            assert one.api.kept() == 0, "the photos are deleted"


@pytest.mark.parametrize("kind", ["responses", "runware"])
async def test_a_lost_answer_is_looked_up_and_nothing_is_bought_again(
    trials: Trials, kind: str
) -> None:
    async with open_provider(kind, faults="lose_submit:1:1") as one:
        trial = await tried(trials, one, look_again=False)
        assert trial.error is None
        assert list(one.purchases().values()) == [1]


async def test_a_lost_answer_without_powers_is_reported(trials: Trials) -> None:
    async with open_provider("images", faults="drop_after") as one:
        trial = await tried(trials, one)
        assert isinstance(trial.error, CallAmbiguous)
        assert list(one.purchases().values()) == [1]


async def test_where_conversations_are_refused_it_is_bought_without_one(trials: Trials) -> None:
    async with open_provider("responses", conversations="not_with_pictures") as one:
        trial = await tried(trials, one)
        assert trial.error is None
        assert trial.retrieval == Retrieval(fetched_again=True)
        assert list(one.purchases().values()) == [1]


@pytest.mark.parametrize(
    ("kind", "faults", "error"),
    [
        ("images", "moderation_input", GenerationRefused),
        ("responses", "refuse", GenerationRefused),
        ("runware", "refuse", GenerationRefused),
        ("runware", "spoilt", CallAmbiguous),
        ("images", "not_a_picture", PictureUnusable),
    ],
)
async def test_the_reason_for_a_missing_picture_is_reported(
    trials: Trials, kind: str, faults: str, error: type[WearonError]
) -> None:
    async with open_provider(kind, faults=faults) as one:
        trial = await tried(trials, one)
        assert isinstance(trial.error, error)
        assert trial.jpeg == b""
        assert trial.took_s > 0


async def test_a_retired_model_is_reported(trials: Trials) -> None:
    async with open_provider("images") as one:
        trial = await tried(trials, one, model="gpt-image-0")
        assert isinstance(trial.error, ModelUnavailable)
        assert one.purchases() == {}
