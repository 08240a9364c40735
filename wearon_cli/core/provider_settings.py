"""The image provider settings: parsed, and checked by name."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from wearon_cli.core.errors import ConfigError
from wearon_cli.core.provider_names import OPENAI, RUNWARE

#: Every provider that may be configured, and the environment name of its key.
PROVIDER_KEYS: Final[Mapping[str, str]] = {
    OPENAI: "OPENAI_API_KEY",
    RUNWARE: "RUNWARE_API_KEY",
}
#: Successors first, with the approximate cost of a try-on of two pictures at 1024x1536, medium:
#: gpt-image-2.6-flare, 0.037 USD: the replacement of 1.5 that OpenAI names, and the fast one;
#: gpt-image-2.5-flare, 0.037: for an account, or an image tool of Responses, that lacks 2.6;
#: gpt-image-1.5, 0.068: for an account that has neither. It is retired on 2026-12-01; after that
#: day it is asked only when the other two are unavailable, and `wearon doctor` says to remove it.
OPENAI_MODELS: Final = ("gpt-image-2.6-flare", "gpt-image-2.5-flare", "gpt-image-1.5")
_NAMES: Final = " and ".join(PROVIDER_KEYS)
#: A longer value may be a key pasted in the wrong place, and is not repeated in the error.
LONGEST_SHOWN: Final = 16


def read_list(value: Any) -> Any:
    """A comma separated text as a list; anything else as it is."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def read_order(names: Sequence[str]) -> tuple[str, ...]:
    """
    Check an order of providers; a repeated name counts at its first position.

    Raises:
        ValueError: None is named, or one that does not exist.
    """
    if not names:
        raise ValueError(f"no image provider is set; available: {_NAMES}")
    for name in names:
        if name not in PROVIDER_KEYS:
            shown = repr(name) if len(name) <= LONGEST_SHOWN else "of that name"
            raise ValueError(f"there is no image provider {shown}; available: {_NAMES}")
    return tuple(dict.fromkeys(names))


def read_store_orders(value: Any) -> Mapping[str, tuple[str, ...]]:
    """
    Read the orders of stores that have their own: a mapping, or a JSON object as text.

    Raises:
        ValueError: It is not such an object, or a store's order is wrong.
    """
    try:
        orders = json.loads(value) if isinstance(value, str) else value
    except (ValueError, RecursionError) as exc:
        raise ValueError(_WANTED) from exc
    if not isinstance(orders, Mapping):
        raise ValueError(_WANTED)
    return {str(store): _store_order(store, order) for store, order in orders.items()}


def _store_order(store: Any, order: Any) -> tuple[str, ...]:
    if not isinstance(order, list | tuple) or not all(isinstance(name, str) for name in order):
        raise ValueError(_WANTED)
    try:
        return read_order(order)
    except ValueError as exc:
        raise ValueError(f"store {store}: {exc}") from exc


_WANTED: Final = 'not a JSON object such as {"STORE_ID": ["runware", "openai"]}'


def read_runware_models(names: tuple[str, ...]) -> tuple[str, ...]:
    """
    Check the names of Runware's models.

    Raises:
        ValueError: One cannot be the name of a model.
    """
    from wearon_cli.core.image_models import read_model_name

    for number, name in enumerate(names, start=1):
        try:
            read_model_name(f"{RUNWARE}:{name}")
        except ConfigError as exc:  # not repeated: it may be a key pasted in the wrong place
            raise ValueError(f"name {number} is not a Runware model; allowed: {exc.hint}") from None
    return names


def read_address(value: str) -> str:
    """
    Check the address of an API.

    Raises:
        ValueError: It has no http or https scheme, or no host.
    """
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("not an address that begins with https://")
    return value
