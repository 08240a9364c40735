"""The table of image models: valid requests, and their cost."""

from datetime import date

import pytest

from wearon_cli.core.errors import ConfigError
from wearon_cli.core.image_models import (
    cost_usd,
    image_model,
    is_known,
    read_model_name,
)
from wearon_cli.core.image_prices import SUCCESSORS, closing, try_on_usd
from wearon_cli.core.image_rules import TokenUse
from wearon_cli.core.settings import Settings

#: One 1024x1536 picture, in output tokens; the prices are the published ones per picture.
LOW, MEDIUM, HIGH = 408, 1584, 6240

FAMILIES = {
    "gpt-image-1.5": ("high", 5, date(2026, 12, 1)),
    "gpt-image-1.5-2025-12-16": ("high", 5, date(2026, 12, 1)),
    "gpt-image-1-mini": (None, 5, date(2026, 12, 1)),
    "gpt-image-2": (None, 16, None),
    "gpt-image-2-2026-04-21": (None, 16, None),
    "gpt-image-2.5-sunburst": (None, 16, None),
    "gpt-image-2.5-flare-2026-09-08": (None, 16, None),
    "gpt-image-2.6-flare": (None, 16, None),
    "gpt-image-2.6-sunburst": (None, 16, None),
    "gpt-image-3-unheard-of": (None, 16, None),
}


@pytest.mark.parametrize("model_id", FAMILIES)
def test_fidelity_is_sent_only_where_it_is_allowed(model_id: str) -> None:
    model = image_model(model_id)
    assert (model.input_fidelity, model.best_pictures, model.shuts_down) == FAMILIES[model_id]
    assert model.model_id == model_id


@pytest.mark.parametrize(
    ("size", "older", "newer"),
    [
        ("1024x1536", True, True),
        ("1536x1024", True, True),
        ("1024x1024", True, True),
        ("auto", True, True),
        ("1024x1792", False, True),
        ("2160x3840", False, True),
        ("1024x1000", False, False),  # not a multiple of 16
        ("768x768", False, False),  # fewer than 655,360 pixels
        ("640x1024", False, True),  # exactly 655,360
        ("3840x3840", False, False),  # more than 8,294,400
        ("512x2048", False, False),  # longer than 3:1
        ("736x2208", False, True),  # exactly 3:1
        ("4096x2048", False, False),  # an edge over 3840
        ("0x1024", False, False),
        ("1024", False, False),
        ("1024X1536", False, False),
        ("", False, False),
    ],
)
def test_each_model_has_its_sizes(size: str, older: bool, newer: bool) -> None:
    assert image_model("gpt-image-1.5").takes_size(size) is older
    assert image_model("gpt-image-2").takes_size(size) is newer
    assert image_model("gpt-image-2.6-flare").takes_size(size) is newer


@pytest.mark.parametrize(
    ("quality", "takers"),
    [
        ("medium", {"gpt-image-1.5", "gpt-image-2", "gpt-image-2.6-flare"}),
        ("xhigh", {"gpt-image-2.6-flare"}),
        ("max", {"gpt-image-2.6-flare"}),
        ("standard", set[str]()),
    ],
)
def test_each_model_has_its_qualities(quality: str, takers: set[str]) -> None:
    for model_id in ("gpt-image-1.5", "gpt-image-2", "gpt-image-2.6-flare"):
        faults = image_model(model_id).faults(size="1024x1536", quality=quality)
        assert (faults == []) is (model_id in takers)
        assert all(model_id in sentence for sentence in faults)


def test_the_default_settings_suit_all_default_models() -> None:
    settings = Settings()
    for model_id in settings.openai_image_models:
        model = image_model(model_id)
        assert model.faults(size=settings.image_size, quality=settings.image_quality) == []
        assert is_known(model_id)


@pytest.mark.parametrize(
    ("model_id", "use", "usd"),
    [
        # Published price of one 1024x1536 picture, to its three decimals.
        pytest.param("gpt-image-1.5", TokenUse(image_out=LOW), 0.013, id="1.5 low"),
        pytest.param("gpt-image-1.5", TokenUse(image_out=MEDIUM), 0.051, id="1.5 medium"),
        pytest.param("gpt-image-1.5", TokenUse(image_out=HIGH), 0.200, id="1.5 high"),
        # 1000 tokens of one sort, by the price list.
        pytest.param("gpt-image-1.5", TokenUse(text_in=1000), 0.005, id="1.5 text in"),
        pytest.param("gpt-image-1.5", TokenUse(image_in=1000), 0.008, id="1.5 pictures in"),
        pytest.param("gpt-image-1.5", TokenUse(text_out=1000), 0.010, id="1.5 text out"),
        pytest.param("gpt-image-2", TokenUse(image_out=1000), 0.030, id="2 out"),
        pytest.param("gpt-image-2.6-flare", TokenUse(image_out=1000), 0.030, id="2.6 out"),
        pytest.param("gpt-image-1-mini", TokenUse(image_out=1000), 0.008, id="mini out"),
        pytest.param(
            "gpt-image-2",
            TokenUse(image_in=1000, image_in_cached=400, text_in=100, text_in_cached=100),
            600 * 8e-6 + 400 * 2e-6 + 100 * 1.25e-6,
            id="cached tokens are part of the input",
        ),
    ],
)
def test_a_call_costs_what_the_price_list_says(model_id: str, use: TokenUse, usd: float) -> None:
    assert cost_usd(model_id, use) == pytest.approx(usd, abs=5e-4)


def test_an_unknown_model_has_no_price() -> None:
    assert not is_known("gpt-image-3")
    assert cost_usd("gpt-image-3", TokenUse(image_out=1000)) is None


# ----------------------------------------------------------------- providers and successors


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("gpt-image-2", "openai:gpt-image-2"),
        ("openai:gpt-image-2.6-flare", "openai:gpt-image-2.6-flare"),
        ("runware:p-image", "runware:prunaai:p-image@try-on"),
        ("runware:prunaai:p-image@try-on", "runware:prunaai:p-image@try-on"),
        ("runware:flux-vto", "runware:bfl:flux@vto"),
        ("runware:gpt-image-2.5-flare", "runware:openai:gpt-image@2.5-flare"),
        (" preview:preview ", "preview:preview"),
        ("preview", "preview:preview"),
    ],
)
def test_a_model_is_named_with_its_provider(text: str, key: str) -> None:
    name = read_model_name(text)
    assert image_model(name.model_id, name.provider).key == key or name.provider == "preview"
    assert f"{name.provider}:{name.model_id}" == key


@pytest.mark.parametrize("text", ["", "runware:", "fashn:tryon-v1.6", ":x", "openai:"])
def test_an_unknown_model_name_is_reported(text: str) -> None:
    with pytest.raises(ConfigError, match="is not an image model"):
        read_model_name(text)


@pytest.mark.parametrize(
    ("name", "usd"),
    [
        # Medium, 1024x1536, two pictures in: published or reported price of the output, and 2000
        # picture and 300 text tokens in at 8 and 5 USD a million.
        ("gpt-image-1.5", 0.0505 + 0.0175),
        ("gpt-image-2", 0.041 + 0.0175),
        ("gpt-image-2.6-flare", 0.0198 + 0.0175),
        ("runware:p-image", 0.015),
        ("runware:flux-vto", 0.04),
    ],
)
def test_a_try_on_costs_about_the_reported_price(name: str, usd: float) -> None:
    read = read_model_name(name)
    model = image_model(read.model_id, read.provider)
    assert try_on_usd(model, size="1024x1536", quality="medium") == pytest.approx(usd, abs=1e-3)
    assert try_on_usd(model, size="auto", quality="auto") == pytest.approx(usd, abs=1e-3)


def test_each_further_garment_has_its_price() -> None:
    model = image_model("prunaai:p-image@try-on", "runware")
    assert try_on_usd(model, size="auto", quality="auto", pictures=4) == pytest.approx(0.031)


def test_a_model_without_a_price_has_no_estimate() -> None:
    assert try_on_usd(image_model("gpt-image-9"), size="auto", quality="medium") is None


def test_every_successor_is_available_known_and_cheaper() -> None:
    old = try_on_usd(image_model("gpt-image-1.5"), size="1024x1536", quality="medium")
    assert old is not None
    for successor in SUCCESSORS:
        name = read_model_name(successor.name)
        model = image_model(name.model_id, name.provider)
        assert is_known(name.model_id, name.provider)
        assert model.shuts_down is None
        usd = try_on_usd(model, size="1024x1536", quality="medium")
        assert usd is not None
        assert usd < old
        assert successor.reason


@pytest.mark.parametrize(("today", "days_left"), [(date(2026, 11, 30), 1), (date(2026, 12, 2), -1)])
@pytest.mark.parametrize("then", ["openai:gpt-image-2", None])
def test_a_retirement_reports_the_replacement_and_the_costs(
    today: date, days_left: int, then: str | None
) -> None:
    told = closing(
        image_model("gpt-image-1.5"),
        closes=date(2026, 12, 1),
        today=today,
        size="1024x1536",
        quality="medium",
        then=then,
    )
    assert told.days_left == days_left
    assert told.successor == (then or "openai:gpt-image-2.6-flare")
    assert (told.reason == "") is (then is not None)
    assert told.usd is not None
    assert told.successor_usd is not None
    assert told.successor_usd < told.usd


def test_the_first_default_model_is_not_retiring() -> None:
    first, *_, last = Settings().openai_image_models
    assert image_model(first).shuts_down is None
    assert image_model(last).shuts_down == date(2026, 12, 1)
