"""What `wearon doctor` says about models that retire, are unavailable, or cannot be checked."""

from datetime import date

import pytest

from wearon_cli.core.image_models import named_model
from wearon_cli.core.operator.checks import Finding
from wearon_cli.core.operator.model_checks import (
    ModelLook,
    Shape,
    model_findings,
    order_findings,
)

SHAPE = Shape(size="1024x1536", quality="medium")
OLD, NEW, P_IMAGE = "openai:gpt-image-1.5", "openai:gpt-image-2.6-flare", "runware:p-image"
BEFORE, AFTER = date(2026, 11, 30), date(2026, 12, 2)


def look(name: str, is_there: bool | None = True, closes: date | None = None) -> ModelLook:
    return ModelLook(name=name, model=named_model(name), is_there=is_there, closes=closes)


def found(*looks: ModelLook, today: date = BEFORE) -> list[Finding]:
    return model_findings(looks, shape=SHAPE, today=today)


def test_the_day_and_the_difference_in_cost_are_reported_before_a_retirement() -> None:
    old, new = found(look(OLD), look(NEW))
    assert (old.ok, old.warning) == (True, True)
    # 0.068 and 0.037 USD: test_image_models.py says where they are from.
    assert old.detail == (
        "closes on 2026-12-01, in 1 day; about $0.068 a try-on. "
        "Then openai:gpt-image-2.6-flare, about $0.037: $0.031 less"
    )
    assert old.hint == "add openai:gpt-image-2.6-flare before it"
    assert (new.warning, new.detail) == (False, "can be used; about $0.037 a try-on")


def test_a_retiring_model_after_its_successor_needs_no_action() -> None:
    _, old = found(look(NEW), look(OLD))
    assert (old.warning, old.hint) == (False, "")
    assert "closes on 2026-12-01" in old.detail
    _, old = found(look(NEW), look(OLD, is_there=False), today=AFTER)
    assert (old.ok, old.warning) == (True, False)
    assert old.detail == "closed on 2026-12-01; openai:gpt-image-2.6-flare is used"


def test_a_model_retired_without_notice_is_a_warning() -> None:
    _, gone = found(look(NEW), look("openai:gpt-image-2", is_there=False))
    assert (gone.ok, gone.warning) == (True, True)
    assert gone.detail.startswith("does not exist, or is not available to this account; ")


def test_for_a_retiring_model_alone_a_successor_is_suggested() -> None:
    (old,) = found(look(OLD))
    assert old.hint.startswith("add openai:gpt-image-2.6-flare before it: OpenAI's recommended")


def test_the_providers_date_wins() -> None:
    new, _ = found(look(NEW, closes=date(2026, 12, 24)), look(P_IMAGE, None))
    assert new.detail.startswith("closes on 2026-12-24, in 24 days; ")
    assert "Then runware:p-image, about $0.015: $0.022 less" in new.detail


def test_a_distant_date_is_not_reported() -> None:
    (old,) = found(look(OLD), today=date(2026, 9, 1))
    assert not old.warning


@pytest.mark.parametrize("next_one", [look(NEW), look(P_IMAGE, None)])
def test_a_retired_model_is_a_warning_while_another_serves(next_one: ModelLook) -> None:
    old, _ = found(look(OLD, is_there=False), next_one, today=AFTER)
    assert (old.ok, old.warning) == (True, True)
    assert old.detail == f"closed on 2026-12-01; {next_one.name} is used"
    assert old.hint == "remove it from OPENAI_IMAGE_MODELS"


def test_a_retired_model_is_a_failure_when_nothing_else_serves() -> None:
    looks = [look(OLD, is_there=False)]
    (old,) = found(*looks, today=AFTER)
    assert not old.ok
    (order,) = order_findings({"WEARON_PROVIDERS": ["openai"]}, looks)
    assert not order.ok
    assert order.detail == "WEARON_PROVIDERS: none of the models is available"


def test_a_store_whose_own_order_has_no_model_left_is_named() -> None:
    looks = [look(OLD, is_there=False), look(P_IMAGE, None)]
    orders = {"WEARON_PROVIDERS": ["openai", "runware"], "store s1": ["openai"]}
    (order,) = order_findings(orders, looks)
    assert order.detail.startswith("store s1: ")


def test_a_provider_without_a_free_check_is_reported_as_unchecked() -> None:
    (one,) = found(look(P_IMAGE, None))
    assert one.ok
    assert one.detail == "whether it works can only be tested by a purchase; about $0.015 a try-on"


def test_a_model_without_a_price_is_a_warning() -> None:
    (one,) = found(look("openai:gpt-image-9"))
    assert (one.ok, one.warning) == (True, True)
