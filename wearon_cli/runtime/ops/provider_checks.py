"""The part of `wearon doctor` about image providers: their keys, their models, and whether each
order has one left.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from pydantic import SecretStr

from wearon_cli.core.errors import (
    AccountBlocked,
    GeneratorError,
    GeneratorUnreachable,
    ModelUnavailable,
    WearonError,
)
from wearon_cli.core.image_models import OPENAI, RUNWARE, named_model
from wearon_cli.core.image_rules import ImageModel
from wearon_cli.core.operator.checks import Finding
from wearon_cli.core.operator.model_checks import (
    ModelLook,
    Shape,
    model_findings,
    order_findings,
)
from wearon_cli.core.provider_settings import PROVIDER_KEYS
from wearon_cli.core.settings import Settings

_TITLES: Final = {OPENAI: "OpenAI", RUNWARE: "Runware"}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """The answers of one provider."""

    finding: Finding  # about the key
    looks: Sequence[ModelLook] = ()  # empty when the key, or the provider, does not work


async def check_providers(settings: Settings, *, today: date) -> list[Finding]:
    """Keys of all configured providers, then their models, then orders without any model left."""
    if settings.draws_previews:
        return [Finding(name="image API", ok=True, detail="no key: pictures are previews")]
    names = settings.provider_names
    asked = dict(
        zip(names, await asyncio.gather(*(_ask(name, settings) for name in names)), strict=True)
    )
    looks = [look for each in asked.values() for look in each.looks]
    shape = Shape(size=settings.image_size, quality=settings.image_quality)
    return [
        *(each.finding for each in asked.values()),
        *model_findings(looks, shape=shape, today=today),
        *order_findings(_orders(settings, asked), looks),
    ]


def _orders(settings: Settings, asked: Mapping[str, _Asked]) -> dict[str, Sequence[str]]:
    """Every order of providers, limited to those that answered; the others are reported as failures
    themselves.
    """
    orders = {"WEARON_PROVIDERS": settings.provider_order} | {
        f"store {store}": order for store, order in settings.store_providers.items()
    }
    return {whose: [n for n in order if asked[n].looks] for whose, order in orders.items()}


async def _ask(name: str, settings: Settings) -> _Asked:
    key = settings.provider_key(name)
    variable, title = PROVIDER_KEYS[name], _TITLES[name]
    if key is None:
        hint = f"set it, or remove {name} from WEARON_PROVIDERS"
        return _Asked(finding=_fault(f"{title} key", f"{variable} is not set", hint))
    try:
        looks = await _ASK[name](settings, key)
    except AccountBlocked:
        return _Asked(
            finding=_fault(f"{title} key", "is rejected", f"set {variable} to a valid key")
        )
    except GeneratorUnreachable as exc:
        hint = f"check the network and {title.upper()}_BASE_URL"
        return _Asked(finding=_fault(title, f"does not answer: {exc}", hint))
    except GeneratorError as exc:
        hint = f"check {title.upper()}_BASE_URL and the status of {title}"
        return _Asked(finding=_fault(title, f"gives an unexpected answer: {exc}", hint))
    except WearonError as exc:
        return _Asked(finding=_fault(f"{title} key", str(exc), exc.hint))
    return _Asked(finding=Finding(name=f"{title} key", ok=True, detail="is accepted"), looks=looks)


def _fault(name: str, detail: str, hint: str) -> Finding:
    return Finding(name=name, ok=False, detail=detail, hint=hint)


async def _ask_openai(settings: Settings, key: SecretStr) -> list[ModelLook]:
    from wearon_cli.adapters.providers.openai_checks import model_info
    from wearon_cli.adapters.providers.openai_edits import image_api_client

    looks = []
    base_url = settings.openai_base_url
    async with image_api_client(base_url=base_url, api_key=key, connections=2) as http:
        for name, model in _configured(settings, OPENAI):
            try:
                told = await model_info(http, model.model_id)
            except ModelUnavailable:
                looks.append(ModelLook(name=name, model=model, is_there=False))
            else:
                looks.append(
                    ModelLook(name=name, model=model, is_there=True, closes=told.shuts_down)
                )
    return looks


async def _ask_runware(settings: Settings, key: SecretStr) -> list[ModelLook]:
    from wearon_cli.adapters.providers.runware import runware_client
    from wearon_cli.adapters.providers.runware_checks import require_key

    base_url = settings.runware_base_url
    async with runware_client(base_url=base_url, api_key=key, connections=2) as http:
        await require_key(http)
    return [
        ModelLook(name=name, model=model, is_there=None)
        for name, model in _configured(settings, RUNWARE)
    ]


def _configured(settings: Settings, provider: str) -> list[tuple[str, ImageModel]]:
    """The models of one provider, with their names in settings."""
    pairs = [(name, named_model(name)) for name in settings.model_names]
    return [(name, model) for name, model in pairs if model.provider == provider]


_ASK: Final[Mapping[str, Callable[[Settings, SecretStr], Awaitable[list[ModelLook]]]]] = {
    OPENAI: _ask_openai,
    RUNWARE: _ask_runware,
}
