"""Builds the image providers that are configured, and the order in which they are asked."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Final

from pydantic import SecretStr

from wearon_cli.adapters.providers.openai_edits import OpenAIImages, image_api_client
from wearon_cli.adapters.providers.openai_responses import OpenAIResponses
from wearon_cli.adapters.providers.preview import PreviewImages
from wearon_cli.adapters.providers.runware import Runware, runware_client
from wearon_cli.core.body.pose import PoseReader
from wearon_cli.core.cross_checks import SUBMIT_TIMEOUT_S
from wearon_cli.core.errors import ConfigError
from wearon_cli.core.image_models import (
    OPENAI,
    PREVIEW,
    RUNWARE,
    named_model,
    require_models,
)
from wearon_cli.core.image_rules import ImageModel
from wearon_cli.core.jobs.offers import Catalogue, Offer
from wearon_cli.core.pictures.ports import Fetcher
from wearon_cli.core.provider_settings import PROVIDER_KEYS
from wearon_cli.core.providers import Provider
from wearon_cli.core.settings import Settings
from wearon_cli.wiring.parts import open_pose_reader

#: Connections to a provider that needs none while a picture is generated.
SHORT_CALLS: Final = 32


async def open_catalogue(stack: AsyncExitStack, settings: Settings, fetcher: Fetcher) -> Catalogue:
    """
    Every configured provider. The stack closes them.

    Raises:
        ConfigError: A provider has no key, or a model cannot draw what is configured.
    """
    providers = open_providers(stack, settings, fetcher, settings.provider_names)
    return catalogue_of(providers, settings)


def open_providers(
    stack: AsyncExitStack, settings: Settings, fetcher: Fetcher, names: Iterable[str]
) -> Mapping[str, Provider]:
    """
    Providers by name, configured or not. The stack closes them. Sends no request yet.

    Raises:
        ConfigError: One has no key.
    """
    return {name: _provider(stack, name, settings, fetcher) for name in names}


def catalogue_of(providers: Mapping[str, Provider], settings: Settings) -> Catalogue:
    """
    These providers in the configured order.

    Raises:
        ConfigError: A model does not draw what is asked.
    """
    models = tuple(map(named_model, settings.model_names))
    require_models(models, size=settings.image_size, quality=settings.image_quality)
    per_store = {
        store: _offers(order, providers, models)
        for store, order in settings.store_providers.items()
    }
    return Catalogue(
        providers=providers,
        offers=_offers(settings.provider_order, providers, models),
        per_store=per_store,
    )


def _offers(
    order: Sequence[str], providers: Mapping[str, Provider], models: Sequence[ImageModel]
) -> tuple[Offer, ...]:
    return tuple(
        Offer(provider=providers[name], model=model)
        for name in order
        for model in models
        if model.provider == name
    )


def _provider(stack: AsyncExitStack, name: str, settings: Settings, fetcher: Fetcher) -> Provider:
    if name == PREVIEW:
        return _preview(stack, settings)
    return _runware(stack, settings, fetcher) if name == RUNWARE else _openai(stack, settings)


def _openai(stack: AsyncExitStack, settings: Settings) -> Provider:
    responses = settings.openai_api == "responses"
    http = image_api_client(
        base_url=settings.openai_base_url,
        api_key=_key(OPENAI, settings),
        connections=SHORT_CALLS if responses else settings.worker_concurrency,
    )
    stack.push_async_callback(http.aclose)
    size, quality = settings.image_size, settings.image_quality
    if responses:
        return OpenAIResponses(
            http,
            outer_model=settings.openai_outer_model,
            size=size,
            quality=quality,
            submit_timeout_s=SUBMIT_TIMEOUT_S,
        )
    return OpenAIImages(http, size=size, quality=quality, timeout_s=settings.openai_timeout_s)


def _runware(stack: AsyncExitStack, settings: Settings, fetcher: Fetcher) -> Provider:
    http = runware_client(
        base_url=settings.runware_base_url,
        api_key=_key(RUNWARE, settings),
        connections=SHORT_CALLS,
    )
    stack.push_async_callback(http.aclose)
    return Runware(
        http,
        fetcher,
        size=settings.image_size,
        quality=settings.image_quality,
        submit_timeout_s=SUBMIT_TIMEOUT_S,
    )


def _key(provider: str, settings: Settings) -> SecretStr:
    key = settings.provider_key(provider)
    if key is None:
        raise ConfigError(
            f"{PROVIDER_KEYS[provider]} is not set",
            hint=f"set it, or remove {provider}",
        )
    return key


def _preview(stack: AsyncExitStack, settings: Settings) -> Provider:
    def open_reader() -> PoseReader:
        reader = open_pose_reader(settings)
        stack.callback(reader.close)
        return reader

    return PreviewImages(open_reader)
