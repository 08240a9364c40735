"""Which providers and models are asked, in which order, and for whom."""

from dataclasses import replace
from typing import Any

import pytest

from wearon_cli.core.errors import ConfigError, RequestRejected
from wearon_cli.core.jobs.offers import Catalogue, Offer, expected_usd
from wearon_cli.core.providers import OneShot
from wearon_cli.core.settings import Settings
from wearon_cli.wiring.providers import catalogue_of

STORE = "0b0f6f0e-3f6b-4c5e-9a52-0c7f4f1f7a10"
P_IMAGE = "runware:prunaai:p-image@try-on"


class Named(OneShot):
    """A provider with a name."""

    def __init__(self, name: str) -> None:
        self.name = name


def catalogue(**changes: Any) -> Catalogue:
    settings = Settings(
        **{"providers": ("openai", "runware"), "openai_image_models": ("gpt-image-2",)} | changes
    )
    named: Any = {name: Named(name) for name in settings.provider_names}
    return catalogue_of(named, settings)


def keys(found: Catalogue, *, owner: str = "u", pictures: int = 2) -> list[str]:
    return [offer.model.key for offer in found.offers_for(owner, pictures=pictures)]


def offer(found: Catalogue, key: str) -> Offer:
    return next(each for each in found.offers if each.model.key == key)


def test_providers_come_in_order_and_models_in_order_within_each() -> None:
    found = catalogue(
        providers=("runware", "openai"), openai_image_models=("gpt-image-2", "gpt-image-1.5")
    )
    assert keys(found) == [P_IMAGE, "openai:gpt-image-2", "openai:gpt-image-1.5"]
    assert all(each.provider.name == each.model.provider for each in found.offers)


def test_a_store_has_an_order_of_its_own() -> None:
    found = catalogue(providers=("openai",), store_providers={STORE: ("runware",)})
    assert keys(found, owner=STORE) == [P_IMAGE]
    assert keys(found, owner="another") == ["openai:gpt-image-2"]


def test_an_unavailable_model_is_skipped_for_a_while() -> None:
    found = catalogue()
    found.pass_over(offer(found, "openai:gpt-image-2"))
    assert keys(found) == [P_IMAGE]
    later = replace(found, gone_for_s=0.0)
    later.pass_over(offer(later, "openai:gpt-image-2"))
    assert keys(later) == ["openai:gpt-image-2", P_IMAGE]


def test_when_all_are_unavailable_all_are_asked_again() -> None:
    found = catalogue()
    for each in found.offers:
        found.pass_over(each)
    assert keys(found) == ["openai:gpt-image-2", P_IMAGE]


def test_a_model_that_draws_some_pictures_less_faithfully_is_asked_last() -> None:
    found = catalogue(openai_image_models=("gpt-image-1.5", "gpt-image-2"))
    assert keys(found, pictures=5)[0] == "openai:gpt-image-1.5"
    assert keys(found, pictures=6) == ["openai:gpt-image-2", P_IMAGE, "openai:gpt-image-1.5"]


@pytest.mark.parametrize(
    ("pictures", "asked"),
    [(1, ["openai:gpt-image-2"]), (2, ["runware:bfl:flux@vto", "openai:gpt-image-2"])],
)
def test_a_model_that_refuses_this_many_pictures_is_not_asked(
    pictures: int, asked: list[str]
) -> None:
    """It would be asked while the others are halted, and its refusal would fail the job."""
    found = catalogue(providers=("runware", "openai"), runware_models=("flux-vto",))
    assert keys(found, pictures=pictures) == asked
    found.pass_over(offer(found, "openai:gpt-image-2"))
    assert keys(found, pictures=3) == ["openai:gpt-image-2"]


def test_if_no_model_takes_this_many_pictures_the_first_one_refuses() -> None:
    found = catalogue(providers=("runware",))
    assert keys(found, pictures=1) == [P_IMAGE]


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("gpt-image-1.5", "openai:gpt-image-1.5"),
        ("openai:gpt-image-2.6-flare", "openai:gpt-image-2.6-flare"),
        ("runware:flux-vto", "runware:bfl:flux@vto"),
    ],
)
def test_an_operator_may_name_a_model_that_is_in_no_order(name: str, key: str) -> None:
    wished = catalogue().wished(name)
    assert wished.model.key == key
    assert wished.provider.name == wished.model.provider


@pytest.mark.parametrize("name", ["fashn:tryon", "runware:p-imag", "preview:preview"])
def test_an_unknown_offer_is_refused(name: str) -> None:
    with pytest.raises(RequestRejected):
        catalogue().wished(name)


def test_a_lost_purchase_is_recorded_at_its_expected_price() -> None:
    found = catalogue()
    runware = offer(found, P_IMAGE)
    assert expected_usd(runware, size="auto", quality="auto", pictures=3) == pytest.approx(0.023)
    unknown = found.wished("gpt-image-9")
    assert expected_usd(unknown, size="auto", quality="medium", pictures=2) == 0


def test_an_unsupported_size_is_reported_at_start() -> None:
    with pytest.raises(ConfigError, match=r"gpt-image@2 does not support size 100x100"):
        catalogue(providers=("runware",), runware_models=("gpt-image-2",), image_size="100x100")
