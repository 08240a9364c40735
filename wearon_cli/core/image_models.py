"""
The image models: what each accepts and costs, when it is retired, and what its provider can do.

One table, keyed by provider and model. It is written PROVIDER:MODEL in settings and commands, as in
`runware:p-image`; without a provider OpenAI is meant.

Sources, read 2026-11-23: OpenAI's API specification (github.com/openai/openai-openapi, 2026-08-21)
with the newer types of its Python SDK 3.54.0; the pricing, model and deprecation pages of
developers.openai.com. Runware: the types of its Python SDK 1.8.0 and its price list. A model of
OpenAI's that is not in the table gets the rules of the newest family, which every later family has
kept so far, and no price.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final

from wearon_cli.core.errors import ConfigError
from wearon_cli.core.image_rules import (
    ImageModel,
    PicturePrice,
    Price,
    PromptForm,
    TokenUse,
    fixed_size,
    free_size,
)
from wearon_cli.core.provider_names import OPENAI as OPENAI
from wearon_cli.core.provider_names import PREVIEW as PREVIEW
from wearon_cli.core.provider_names import RUNWARE as RUNWARE
from wearon_cli.core.providers import NO_POWERS, Powers

#: By provider and, where it offers the same models through two APIs, by API.
POWERS: Final[Mapping[str, Powers]] = {
    "openai images": NO_POWERS,
    "openai responses": Powers(fetch=True, find=True),
    RUNWARE: Powers(own_id=True, fetch=True, find=True),
    PREVIEW: NO_POWERS,
}

MAX_PROMPT_CHARS: Final = 32_000

_PER_TOKEN: Final = 1e-6  # prices are per million


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelName:
    """A model of a provider."""

    provider: str
    model_id: str


def read_model_name(text: str) -> ModelName:
    """
    Read PROVIDER:MODEL, or a model of OpenAI's alone, or `preview`.

    Raises:
        ConfigError: There is no such provider, or no model is named.
    """
    provider, colon, model_id = text.strip().partition(":")
    if not colon:
        provider, model_id = (PREVIEW if provider == PREVIEW else OPENAI), provider
    if provider not in {OPENAI, RUNWARE, PREVIEW} or not model_id:
        raise ConfigError(
            f"{text!r} is not an image model",
            hint="use openai:MODEL or runware:MODEL, such as runware:p-image",
        )
    if provider == RUNWARE:
        model_id = _RUNWARE_SHORT.get(model_id, model_id)
        if not _RUNWARE_ID.fullmatch(model_id):
            raise ConfigError(
                f"there is no Runware model {model_id!r}",
                hint=f"{', '.join(_RUNWARE_SHORT)}, or MAKER:MODEL@VERSION",
            )
    return ModelName(provider=provider, model_id=model_id)


def image_model(model_id: str, provider: str = OPENAI) -> ImageModel:
    """The rules for a model id, exact or dated; an unknown one gets the newest family's."""
    if provider == RUNWARE:
        return _RUNWARE_MODELS.get(model_id) or _runware_openai(model_id)
    if provider == PREVIEW:
        return _PREVIEW
    for pattern, make in _FAMILIES:
        if pattern.fullmatch(model_id):
            return make(model_id)
    return _newest(model_id, price=None, output_tokens={})


def named_model(text: str) -> ImageModel:
    """
    The rules for a model written as PROVIDER:MODEL.

    Raises:
        ConfigError: As `read_model_name`.
    """
    name = read_model_name(text)
    return image_model(name.model_id, name.provider)


def is_known(model_id: str, provider: str = OPENAI) -> bool:
    """True when the table has this model, or the family it is a dated snapshot of."""
    if provider == RUNWARE:
        return model_id in _RUNWARE_MODELS
    if provider == PREVIEW:
        return model_id == PREVIEW
    return any(pattern.fullmatch(model_id) for pattern, _ in _FAMILIES)


def require_models(models: Iterable[ImageModel], *, size: str, quality: str) -> None:
    """
    Check that every model accepts the settings.

    Raises:
        ConfigError: The message names those that do not.
    """
    if faults := [fault for m in models for fault in m.faults(size=size, quality=quality)]:
        raise ConfigError("; ".join(faults), hint="WEARON_IMAGE_SIZE, WEARON_IMAGE_QUALITY")


def cost_usd(model_id: str, use: TokenUse) -> float | None:
    """
    What a call cost, in USD; None when this model has no price here.

    Raises nothing: inconsistent figures from a vendor only make the result wrong.
    """
    price = image_model(model_id).price
    if price is None:
        return None
    return _PER_TOKEN * (
        (use.text_in - use.text_in_cached) * price.text_in
        + use.text_in_cached * price.text_in_cached
        + (use.image_in - use.image_in_cached) * price.image_in
        + use.image_in_cached * price.image_in_cached
        + use.image_out * price.image_out
        + use.text_out * price.text_out
    )


# ------------------------------------------------------------------------------ table

_QUALITIES: Final = ("low", "medium", "high", "auto")
_MORE_QUALITIES: Final = ("low", "medium", "high", "xhigh", "max", "auto")

_PRICE_1_5: Final = Price(
    text_in=5, text_in_cached=1.25, text_out=10, image_in=8, image_in_cached=2, image_out=32
)
_PRICE_1_MINI: Final = Price(
    text_in=2, text_in_cached=0.20, image_in=2.5, image_in_cached=0.25, image_out=8
)
#: gpt-image-2, 2.5 and 2.6 alike.
_PRICE_2: Final = Price(text_in=5, text_in_cached=1.25, image_in=8, image_in_cached=2, image_out=30)
_LAST_DAY_OF_1_5: Final = date(2026, 12, 1)

# Output tokens of one 1024x1024 picture. 1.5 and 2: from the published prices of 1024x1536, which
# are 0.013, 0.050, 0.200 and 0.005, 0.041, 0.165 USD. 2.5: as reported by its users. 2.6: nothing
# was published; taken to be as 2.5.
_TOKENS_1_5: Final = {"low": 272, "medium": 1056, "high": 4160}
_TOKENS_2: Final = {"low": 111, "medium": 911, "high": 3667}
_TOKENS_2_5: Final = {"low": 196, "medium": 439, "high": 1756, "xhigh": 3122, "max": 7024}


def _gpt_image_1_5(model_id: str) -> ImageModel:
    return ImageModel(
        model_id=model_id,
        qualities=_QUALITIES,
        takes_size=fixed_size,
        input_fidelity="high",  # its default is low, which loses faces
        best_pictures=5,
        price=_PRICE_1_5,
        output_tokens=_TOKENS_1_5,
        shuts_down=_LAST_DAY_OF_1_5,
    )


def _gpt_image_1_mini(model_id: str) -> ImageModel:
    return ImageModel(
        model_id=model_id,
        qualities=_QUALITIES,
        takes_size=fixed_size,
        input_fidelity=None,  # only low, which is its default
        best_pictures=5,
        price=_PRICE_1_MINI,
        output_tokens=_TOKENS_1_5,
        shuts_down=_LAST_DAY_OF_1_5,
    )


def _gpt_image_2(model_id: str) -> ImageModel:
    return ImageModel(
        model_id=model_id,
        qualities=_QUALITIES,
        takes_size=free_size,
        input_fidelity=None,  # always high; naming it is an error
        price=_PRICE_2,
        output_tokens=_TOKENS_2,
    )


def _newest(
    model_id: str,
    price: Price | None = _PRICE_2,
    output_tokens: Mapping[str, int] = _TOKENS_2_5,
) -> ImageModel:
    return ImageModel(
        model_id=model_id,
        qualities=_MORE_QUALITIES,
        takes_size=free_size,
        input_fidelity=None,
        price=price,
        output_tokens=output_tokens,
    )


_DATED: Final = r"(-\d{4}-\d{2}-\d{2})?"
_FAMILIES: Final[tuple[tuple[re.Pattern[str], Callable[[str], ImageModel]], ...]] = (
    (re.compile(r"gpt-image-1\.5" + _DATED), _gpt_image_1_5),
    (re.compile(r"gpt-image-1-mini" + _DATED), _gpt_image_1_mini),
    (re.compile(r"gpt-image-2" + _DATED), _gpt_image_2),
    (re.compile(r"gpt-image-2\.[56](-[a-z]+)?" + _DATED), _newest),
)


# ---------------------------------------------------------------------------- Runware

#: How Runware names its models.
_RUNWARE_ID: Final = re.compile(r"[\w.-]+:[\w.-]+@[\w.-]+")
#: Short names for settings and commands.
_RUNWARE_SHORT: Final = {
    "p-image": "prunaai:p-image@try-on",
    "flux-vto": "bfl:flux@vto",
    "gpt-image-2": "openai:gpt-image@2",
    "gpt-image-2.5-flare": "openai:gpt-image@2.5-flare",
    "gpt-image-2.5-sunburst": "openai:gpt-image@2.5-sunburst",
}


def _any_size(size: str) -> bool:
    """The picture has the size of the person's photo, whatever is requested."""
    del size
    return True


#: A composite made on this machine, from the person and the first garment.
_PREVIEW: Final = ImageModel(
    model_id=PREVIEW,
    provider=PREVIEW,
    qualities=_MORE_QUALITIES,
    takes_size=_any_size,
    min_pictures=2,
    picture_price=PicturePrice(first=0.0),
    prompt_form=PromptForm.NONE,
    is_sized=False,
)


def _runware_openai(model_id: str) -> ImageModel:
    """OpenAI's models through Runware, and any other that takes a prompt and pictures."""
    return ImageModel(
        model_id=model_id,
        provider=RUNWARE,
        qualities=_QUALITIES if model_id == "openai:gpt-image@2" else _MORE_QUALITIES,
        takes_size=free_size,
    )


_RUNWARE_MODELS: Final[Mapping[str, ImageModel]] = {
    "prunaai:p-image@try-on": ImageModel(
        model_id="prunaai:p-image@try-on",
        provider=RUNWARE,
        qualities=_MORE_QUALITIES,
        takes_size=_any_size,
        min_pictures=2,
        max_pictures=12,  # one person, 1 to 11 garments
        picture_price=PicturePrice(first=0.015, each_further=0.008),
        prompt_form=PromptForm.NONE,
        is_sized=False,
    ),
    "bfl:flux@vto": ImageModel(
        model_id="bfl:flux@vto",
        provider=RUNWARE,
        qualities=_MORE_QUALITIES,
        takes_size=_any_size,
        min_pictures=2,
        max_pictures=2,
        picture_price=PicturePrice(first=0.04),
        prompt_form=PromptForm.ONE_SENTENCE,
        is_sized=False,
    ),
    **{
        model_id: _runware_openai(model_id)
        for model_id in _RUNWARE_SHORT.values()
        if model_id.startswith("openai:")
    },
}
