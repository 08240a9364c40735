"""Settings of image providers: an error is one sentence, and only used keys are required."""

import pytest
from pydantic import SecretStr

from wearon_cli.core.errors import ConfigError
from wearon_cli.core.settings import Settings, load_settings

STORE = "0b0f6f0e-3f6b-4c5e-9a52-0c7f4f1f7a10"


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        (
            "WEARON_PROVIDERS",
            "fashn",
            "there is no image provider 'fashn'; available: openai and runw",
        ),
        ("WEARON_PROVIDERS", "preview", "there is no image provider 'preview'"),
        ("WEARON_PROVIDERS", ",", "no image provider is set"),
        (
            "WEARON_RUNWARE_MODELS",
            "flux-vto,p-imag",
            "name 2 is not a Runware model; allowed: p-image, ",
        ),
        ("WEARON_STORE_PROVIDERS", "{runware", "not a JSON object such as"),
        ("WEARON_STORE_PROVIDERS", "[" * 100_000, "not a JSON object such as"),
        ("WEARON_STORE_PROVIDERS", '["runware"]', "not a JSON object such as"),
        ("WEARON_STORE_PROVIDERS", '{"s": "runware"}', "not a JSON object such as"),
        ("WEARON_STORE_PROVIDERS", '{"s": ["fashn"]}', "store s: there is no image provider"),
        ("WEARON_STORE_PROVIDERS", '{"s": []}', "store s: no image provider is set"),
        ("WEARON_NEXT_PROVIDER_ON_REFUSAL", "maybe", "valid boolean"),
        ("WEARON_OPENAI_API", "chat", "'images' or 'responses'"),
        ("RUNWARE_BASE_URL", "api.runware.ai/v1", "not an address that begins with https://"),
        ("OPENAI_BASE_URL", "https://", "not an address that begins with https://"),
    ],
)
def test_a_wrong_value_is_reported_with_its_variable(
    name: str, value: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError) as failure:
        load_settings()
    assert str(failure.value).startswith(f"{name}: ")
    assert told in str(failure.value)
    assert "\n" not in str(failure.value)


def test_orders_and_models_are_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEARON_PROVIDERS", "runware, openai,runware")
    monkeypatch.setenv("WEARON_RUNWARE_MODELS", "flux-vto,bytedance:5@0")
    monkeypatch.setenv("OPENAI_IMAGE_MODELS", "gpt-image-2")
    monkeypatch.setenv("WEARON_STORE_PROVIDERS", f'{{"{STORE}": ["openai"]}}')
    settings = load_settings()
    assert settings.provider_order == ("runware", "openai")
    assert settings.store_providers == {STORE: ("openai",)}
    assert settings.model_names == (
        "runware:flux-vto",
        "runware:bytedance:5@0",
        "openai:gpt-image-2",
    )


COMPLETE = Settings(
    redis_url=SecretStr("redis://h"),
    supabase_url="https://h",
    supabase_service_role_key=SecretStr("k"),
)
OPENAI_KEY = {"openai_api_key": SecretStr("k")}
RUNWARE_KEY = {"runware_api_key": SecretStr("k")}


@pytest.mark.parametrize(
    ("changes", "missing"),
    [
        pytest.param({}, ["OPENAI_API_KEY"], id="openai by default"),
        pytest.param(OPENAI_KEY, [], id="openai with its key"),
        pytest.param(
            {"providers": ("runware",)}, ["RUNWARE_API_KEY"], id="runware alone needs no other key"
        ),
        pytest.param({"providers": ("runware",)} | RUNWARE_KEY, [], id="runware with its key"),
        pytest.param(
            {"providers": ("runware", "openai")} | RUNWARE_KEY, ["OPENAI_API_KEY"], id="both"
        ),
        pytest.param(
            {"store_providers": {STORE: ("runware",)}} | OPENAI_KEY,
            ["RUNWARE_API_KEY"],
            id="a provider of one store only",
        ),
    ],
)
def test_production_needs_the_keys_of_the_configured_providers_only(
    changes: dict[str, object], missing: list[str]
) -> None:
    settings = COMPLETE.model_copy(update=changes)
    assert set(missing) <= set(settings.production_names)
    if not missing:
        settings.require_production()
        return
    with pytest.raises(ConfigError) as failure:
        settings.require_production()
    assert str(failure.value) == f"missing settings: {', '.join(missing)}"


def test_a_key_pasted_as_a_provider_is_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEARON_PROVIDERS", "sk-proj-0123456789abcdefghij")
    with pytest.raises(ConfigError, match="there is no image provider of that name") as refused:
        load_settings()
    assert "0123456789" not in str(refused.value)
