"""
The image models: what each accepts, what it costs, and when it closes. One table, by model id.

Sources, read 2026-11-23: OpenAI's API specification (github.com/openai/openai-openapi, 2026-08-21)
with the newer types of its Python SDK 3.54.0; the pricing, model and deprecation pages of
developers.openai.com. A model id that is not in the table gets the rules of the newest family,
which every later family has kept so far, and no price.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Final

#: What the API takes in one request, whatever the model.
API_MAX_PICTURES: Final = 16
MAX_PROMPT_CHARS: Final = 32_000

_PER_TOKEN: Final = 1e-6  # prices are per million


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """USD per million tokens."""

    text_in: float
    text_in_cached: float
    image_in: float
    image_in_cached: float
    image_out: float
    text_out: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenUse:
    """Tokens of one call, by what they stood for. Cached ones are part of their input figure."""

    text_in: int = 0
    image_in: int = 0
    image_out: int = 0
    text_out: int = 0
    text_in_cached: int = 0
    image_in_cached: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageModel:
    """The rules of one model."""

    model_id: str
    qualities: tuple[str, ...]
    takes_size: Callable[[str], bool]
    #: Sent as `input_fidelity`; None: the parameter must not be sent at all.
    input_fidelity: str | None
    #: Inputs beyond these lose their likeness; the API itself takes `API_MAX_PICTURES`.
    max_pictures: int = API_MAX_PICTURES
    price: Price | None = None
    shuts_down: date | None = None

    def faults(self, *, size: str, quality: str) -> list[str]:
        """Sentences about settings this model refuses; empty when it takes them."""
        rules = (
            (self.takes_size(size), f"{self.model_id} does not draw pictures of size {size}"),
            (
                quality in self.qualities,
                f"{self.model_id} has no quality {quality}, only {', '.join(self.qualities)}",
            ),
        )
        return [sentence for holds, sentence in rules if not holds]


def image_model(model_id: str) -> ImageModel:
    """The rules for a model id, exact or dated; an unknown one gets the newest family's."""
    for pattern, make in _FAMILIES:
        if pattern.fullmatch(model_id):
            return make(model_id)
    return _newest(model_id, price=None)


def is_known(model_id: str) -> bool:
    """True when the table has this model, or the family it is a dated snapshot of."""
    return any(pattern.fullmatch(model_id) for pattern, _ in _FAMILIES)


def cost_usd(model_id: str, use: TokenUse) -> float | None:
    """
    What a call cost, in USD; None when this model has no price here.

    Raises nothing: a vendor's figures that do not add up only make the result wrong.
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


# ------------------------------------------------------------------------------ sizes

_WIDTH_X_HEIGHT: Final = re.compile(r"([1-9][0-9]{1,3})x([1-9][0-9]{1,3})")
#: The free sizes of gpt-image-2 and later.
_STEP_PX: Final = 16
_MAX_EDGE_PX: Final = 3840
_MAX_RATIO: Final = 3
_AREA_PX: Final = range(655_360, 8_294_400 + 1)


def _fixed_size(size: str) -> bool:
    return size in {"1024x1024", "1024x1536", "1536x1024", "auto"}


def _free_size(size: str) -> bool:
    if size == "auto":
        return True
    match = _WIDTH_X_HEIGHT.fullmatch(size)
    if match is None:
        return False
    short, long = sorted(map(int, match.groups()))
    return (
        short % _STEP_PX == long % _STEP_PX == 0
        and long <= _MAX_EDGE_PX
        and long <= _MAX_RATIO * short
        and short * long in _AREA_PX
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


def _gpt_image_1_5(model_id: str) -> ImageModel:
    return ImageModel(
        model_id=model_id,
        qualities=_QUALITIES,
        takes_size=_fixed_size,
        input_fidelity="high",  # its default is low, which loses faces
        max_pictures=5,
        price=_PRICE_1_5,
        shuts_down=_LAST_DAY_OF_1_5,
    )


def _gpt_image_1_mini(model_id: str) -> ImageModel:
    return ImageModel(
        model_id=model_id,
        qualities=_QUALITIES,
        takes_size=_fixed_size,
        input_fidelity=None,  # knows low only, which is its default
        max_pictures=5,
        price=_PRICE_1_MINI,
        shuts_down=_LAST_DAY_OF_1_5,
    )


def _gpt_image_2(model_id: str) -> ImageModel:
    return ImageModel(
        model_id=model_id,
        qualities=_QUALITIES,
        takes_size=_free_size,
        input_fidelity=None,  # always high; naming it is an error
        price=_PRICE_2,
    )


def _newest(model_id: str, price: Price | None = _PRICE_2) -> ImageModel:
    return ImageModel(
        model_id=model_id,
        qualities=_MORE_QUALITIES,
        takes_size=_free_size,
        input_fidelity=None,
        price=price,
    )


_DATED: Final = r"(-\d{4}-\d{2}-\d{2})?"
_FAMILIES: Final[tuple[tuple[re.Pattern[str], Callable[[str], ImageModel]], ...]] = (
    (re.compile(r"gpt-image-1\.5" + _DATED), _gpt_image_1_5),
    (re.compile(r"gpt-image-1-mini" + _DATED), _gpt_image_1_mini),
    (re.compile(r"gpt-image-2" + _DATED), _gpt_image_2),
    (re.compile(r"gpt-image-2\.[56](-[a-z]+)?" + _DATED), _newest),
)
