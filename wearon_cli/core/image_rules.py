"""What an image model accepts: pictures, prompt, size and quality; and how it is priced."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from typing import Final

#: Limits of one request to OpenAI's API, for every model.
API_MAX_PICTURES: Final = 16


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
class PicturePrice:
    """USD for one try-on, whatever its size."""

    first: float  # the person and one garment
    each_further: float = 0.0  # garment


class PromptForm(StrEnum):
    """The text that is sent to a model with the pictures."""

    OURS = "ours"  # the job's prompt, or the default one
    NONE = "none"  # nothing: it does only this task
    ONE_SENTENCE = "one_sentence"  # as its provider prescribes: `core.prompt.try_on_sentence`


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenUse:
    """Tokens of one call, by kind. Cached tokens are included in their input figure."""

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
    provider: str = "openai"
    qualities: tuple[str, ...]
    takes_size: Callable[[str], bool]
    #: Sent as `input_fidelity`; None: the parameter must not be sent at all.
    input_fidelity: str | None = None
    min_pictures: int = 1
    max_pictures: int = API_MAX_PICTURES
    #: Further inputs are reproduced less faithfully.
    best_pictures: int = API_MAX_PICTURES
    price: Price | None = None
    picture_price: PicturePrice | None = None  # instead of tokens
    #: Output tokens of one 1024x1024 picture, by quality; other sizes in proportion to their area.
    output_tokens: Mapping[str, int] = field(default_factory=dict)
    shuts_down: date | None = None
    prompt_form: PromptForm = PromptForm.OURS
    is_sized: bool = True  # takes a size and a quality

    @property
    def key(self) -> str:
        """PROVIDER:MODEL."""
        return f"{self.provider}:{self.model_id}"

    def takes(self, pictures: int) -> bool:
        """False: a request with this many pictures is refused."""
        return self.min_pictures <= pictures <= self.max_pictures

    def faults(self, *, size: str, quality: str) -> list[str]:
        """Sentences about settings that this model refuses; empty when it accepts them."""
        rules = (
            (self.takes_size(size), f"{self.model_id} does not support size {size}"),
            (
                quality in self.qualities,
                f"{self.model_id} has no quality {quality}, only {', '.join(self.qualities)}",
            ),
        )
        return [sentence for holds, sentence in rules if not holds]


# ------------------------------------------------------------------------------ sizes

_WIDTH_X_HEIGHT: Final = re.compile(r"([1-9][0-9]{1,3})x([1-9][0-9]{1,3})")
#: The free sizes of gpt-image-2 and later.
_STEP_PX: Final = 16
_MAX_EDGE_PX: Final = 3840
_MAX_RATIO: Final = 3
_AREA_PX: Final = range(655_360, 8_294_400 + 1)


def fixed_size(size: str) -> bool:
    """True for the sizes of models before gpt-image-2."""
    return size in {"1024x1024", "1024x1536", "1536x1024", "auto"}


def free_size(size: str) -> bool:
    """True for WIDTHxHEIGHT that gpt-image-2 and later draw, and for auto."""
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
