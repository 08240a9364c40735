"""
Estimates what a try-on costs with each model, and lists the successors of gpt-image-1.5.

The estimates serve to choose a model, and for purchases whose cost was not reported; a reported
cost wins.
"""

import re
from dataclasses import dataclass
from datetime import date
from typing import Final

from wearon_cli.core.image_models import cost_usd, named_model
from wearon_cli.core.image_rules import ImageModel, TokenUse

#: Input tokens of one picture of 1024 px. No source: OpenAI publishes none for these models.
TOKENS_PER_PICTURE: Final = 1000
#: Tokens of the default prompt. Four characters per token is OpenAI's rule of thumb.
TOKENS_PER_PROMPT: Final = 300

#: The size taken for auto: the shape of a photo of a person.
_AUTO_PX: Final = (1024, 1536)

#: The model around the image tool of OpenAI's Responses: USD per million tokens in and out.
#: Source: the pricing page of developers.openai.com, read 2026-11-24.
OUTER_PRICES: Final = {"gpt-6-luna": (0.10, 0.50)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Successor:
    """A model to use instead of a retiring one, and why."""

    name: str  # PROVIDER:MODEL
    reason: str


#: After gpt-image-1.5, in this order. `wearon doctor` names the first when no configured model
#: remains.
SUCCESSORS: Final = (
    Successor(
        name="openai:gpt-image-2.6-flare",
        reason="OpenAI's recommended replacement; fast, so 200 jobs in flight are enough",
    ),
    Successor(
        name="openai:gpt-image-2.6-sunburst",
        reason="also recommended by OpenAI: more exact edits at the same token price",
    ),
    Successor(
        name="openai:gpt-image-2.5-flare",
        reason="works in Responses, where the documentation is contradictory about 2.6",
    ),
    Successor(
        name="runware:p-image",
        reason="made for try-on, by another company: not affected by an outage or refusal at "
        "OpenAI",
    ),
)


def try_on_usd(model: ImageModel, *, size: str, quality: str, pictures: int = 2) -> float | None:
    """
    The approximate cost of one try-on in USD; None when this model has no price here.

    Args:
        model: From `image_model`.
        size: WIDTHxHEIGHT; auto counts as 1024x1536.
        quality: auto counts as medium.
        pictures: Input pictures, the person's included.
    """
    if model.picture_price is not None:
        further = max(0, pictures - model.min_pictures)
        return model.picture_price.first + further * model.picture_price.each_further
    use = estimated_use(model, size=size, quality=quality, pictures=pictures)
    return None if use is None else cost_usd(model.model_id, use)


def estimated_use(model: ImageModel, *, size: str, quality: str, pictures: int) -> TokenUse | None:
    """The approximate tokens of one try-on; None when this model's are unknown."""
    tokens = model.output_tokens.get("medium" if quality == "auto" else quality)
    if tokens is None:
        return None
    return TokenUse(
        text_in=TOKENS_PER_PROMPT,
        image_in=TOKENS_PER_PICTURE * pictures,
        image_out=round(tokens * _megapixels(size)),
    )


def outer_usd(outer_model: str, *, tokens_in: int, tokens_out: int) -> float | None:
    """What the model around the image tool cost, in USD; None when it has no price here."""
    price = OUTER_PRICES.get(outer_model)
    return None if price is None else (tokens_in * price[0] + tokens_out * price[1]) / 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelClosing:
    """A retiring model and its replacement, as `wearon doctor` reports them."""

    days_left: int  # negative: retired that long ago
    usd: float | None  # cost of a try-on now
    successor: str  # PROVIDER:MODEL
    successor_usd: float | None
    reason: str  # why that one; empty for a configured model


def closing(
    model: ImageModel, *, closes: date, today: date, size: str, quality: str, then: str | None
) -> ModelClosing:
    """
    What the retirement of a model changes.

    Args:
        model: It.
        closes: Its last day.
        today: The current day.
        size: As `try_on_usd`.
        quality: As `try_on_usd`.
        then: PROVIDER:MODEL of a configured model that remains; None: the first of `SUCCESSORS`.
    """
    successor = then or SUCCESSORS[0].name
    return ModelClosing(
        days_left=(closes - today).days,
        usd=try_on_usd(model, size=size, quality=quality),
        successor=successor,
        successor_usd=try_on_usd(named_model(successor), size=size, quality=quality),
        reason="" if then else SUCCESSORS[0].reason,
    )


def _megapixels(size: str) -> float:
    """Area in units of 1024x1024."""
    match = re.fullmatch(r"(\d+)x(\d+)", size)
    width_px, height_px = map(int, match.groups()) if match else _AUTO_PX
    return width_px * height_px / 1024**2
