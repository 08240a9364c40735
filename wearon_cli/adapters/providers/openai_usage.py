"""Reads the usage that OpenAI reports for a picture: the same object in both APIs."""

from dataclasses import dataclass
from typing import Any

from wearon_cli.core.image_models import cost_usd
from wearon_cli.core.image_rules import TokenUse


@dataclass(frozen=True, slots=True, kw_only=True)
class ToldUse:
    """Tokens as reported, and their cost by our table; None: not reported, or no price."""

    tokens_in: int | None
    tokens_out: int | None
    cost_usd: float | None


def read_use(model_id: str, told: Any) -> ToldUse:
    """
    Read a `usage` or `tool_usage.image_gen` object. Never raises, whatever it contains.

    Input without details counts as pictures, the more expensive and by far the larger part; so does
    output. An image tool that was never used reports zero for both; that is not a usage.
    """
    tokens_in, tokens_out = count(told, "input_tokens"), count(told, "output_tokens")
    if tokens_in is None or tokens_out is None:
        return ToldUse(tokens_in=tokens_in, tokens_out=tokens_out, cost_usd=None)
    details_in, details_out = told.get("input_tokens_details"), told.get("output_tokens_details")
    cached = told.get("cached_tokens_details")
    text_in, text_out = count(details_in, "text_tokens"), count(details_out, "text_tokens")
    use = TokenUse(
        text_in=text_in or 0,
        image_in=max(0, tokens_in - (text_in or 0)),
        text_out=text_out or 0,
        image_out=max(0, tokens_out - (text_out or 0)),
        text_in_cached=count(cached, "cached_text_tokens") or 0,
        image_in_cached=count(cached, "cached_image_tokens") or 0,
    )
    return ToldUse(tokens_in=tokens_in, tokens_out=tokens_out, cost_usd=cost_usd(model_id, use))


def count(told: Any, key: str) -> int | None:
    """A number of tokens; None when it is not a valid one."""
    value = told.get(key) if isinstance(told, dict) else None
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
