"""
Reads answers of OpenAI's Responses API: a picture and its cost, or the error that it ended with.

Of a refusal only the codes and the stage are kept: never the vendor's text, nor the categories that
a shopper's photo was put into.
"""

import binascii
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from wearon_cli.adapters.providers.openai_errors import CODES, safe_name
from wearon_cli.adapters.providers.openai_usage import count, read_use
from wearon_cli.core.errors import (
    AccountBlocked,
    CallAmbiguous,
    GenerationRefused,
    GeneratorError,
    GeneratorFault,
    RequestRejected,
)
from wearon_cli.core.image_models import OPENAI, cost_usd, image_model
from wearon_cli.core.image_prices import estimated_use, outer_usd
from wearon_cli.core.image_rules import ImageModel
from wearon_cli.core.providers import GeneratedPicture, Ticket, Usage

#: `error.code` of a failed response, and of an answer to the paid call.
RESPONSE_CODES: Final[Mapping[str, type[GeneratorError]]] = {
    **CODES,
    **dict.fromkeys(
        (
            "invalid_prompt",  # its text says: flagged as possibly against the usage policy
            "bio_policy",
            "misalignment_policy_violation",
            "image_content_policy_violation",
        ),
        GenerationRefused,
    ),
    **dict.fromkeys(
        (
            "invalid_image",
            "invalid_image_format",
            "invalid_base64_image",
            "invalid_image_url",
            "invalid_image_mode",
            "image_too_large",
            "image_too_small",
            "image_parse_error",
            "image_file_too_large",
            "unsupported_image_media_type",
            "empty_image_file",
            "failed_to_download_image",
            "image_file_not_found",
        ),
        RequestRejected,
    ),
    **dict.fromkeys(
        ("server_error", "vector_store_timeout", "conversation_locked"), GeneratorFault
    ),
    "data_residency_mismatch": AccountBlocked,
}
#: `incomplete_details.reason`.
INCOMPLETE_REASONS: Final[Mapping[str, type[GeneratorError]]] = {
    "content_filter": GenerationRefused,
    **dict.fromkeys(("max_output_tokens", "max_messages", "steered"), GeneratorFault),
}
RUNNING: Final = frozenset({"queued", "in_progress"})

_REFUSAL_STAGES: Final = {
    "input": "the pictures or the prompt were refused",
    "output": "the generated picture was refused",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitted:
    """What was requested, for answers that do not repeat it."""

    ticket: Ticket
    outer_model: str
    size: str
    quality: str


def read_response(document: Mapping[str, Any], asked: Submitted) -> GeneratedPicture:
    """
    The picture of a response that has ended.

    Raises:
        CallAmbiguous: A picture was generated but is not in the answer.
        GeneratorError: No picture was generated.
    """
    call = image_call(_items(document.get("output")))
    if call is None or not isinstance(call.get("result"), str):
        raise _without_picture(document, call)
    pictures = _whole_number(document.get("metadata"), "pictures")
    picture_use = read_use(asked.ticket.model, _at(document, "tool_usage", "image_gen"))
    told = picture_use if picture_use.tokens_out else None
    outer = document.get("usage")
    tokens_in, tokens_out = count(outer, "input_tokens"), count(outer, "output_tokens")
    outer_cost = outer_usd(asked.outer_model, tokens_in=tokens_in or 0, tokens_out=tokens_out or 0)
    cost = told.cost_usd if told else _estimate(call, asked, pictures)
    usage = Usage(
        provider=OPENAI,
        model=asked.ticket.model,
        input_tokens=told.tokens_in if told else None,
        output_tokens=told.tokens_out if told else None,
        cost_usd=None if cost is None else cost + (outer_cost or 0.0),
        is_estimate=told is None or tokens_in is None or outer_cost is None,
    )
    return _picture(call, usage)


def read_conversation(
    items: Iterable[Mapping[str, Any]], asked: Submitted
) -> GeneratedPicture | None:
    """
    The picture among a conversation's items; None when no image tool call is there.

    A conversation reports no usage: the cost is an estimate.

    Raises:
        As `read_response`.
    """
    items = list(items)
    call = image_call(items)
    if call is None:
        return None
    if not isinstance(call.get("result"), str):
        raise _without_picture({"status": "completed"}, call)
    sent = [part for item in items for part in _items(item.get("content"))]
    pictures = sum(part.get("type") == "input_image" for part in sent)
    usage = Usage(
        provider=OPENAI,
        model=asked.ticket.model,
        cost_usd=_estimate(call, asked, pictures or None),
        is_estimate=True,
    )
    return _picture(call, usage)


def image_call(items: Iterable[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The image tool call that has ended; one with a picture before one without."""
    calls = [item for item in items if item.get("type") == "image_generation_call"]
    ended = [call for call in calls if call.get("status") not in {"in_progress", "generating"}]
    return max(ended, key=lambda call: isinstance(call.get("result"), str), default=None)


def _picture(call: Mapping[str, Any], usage: Usage) -> GeneratedPicture:
    try:
        data = binascii.a2b_base64(call["result"], strict_mode=True)
    except ValueError as exc:
        raise CallAmbiguous("the picture stored at the provider is incomplete") from exc
    revised = call.get("revised_prompt")
    return GeneratedPicture(
        data=data, usage=usage, revised_prompt=revised if isinstance(revised, str) else None
    )


def _estimate(call: Mapping[str, Any], asked: Submitted, pictures: int | None) -> float | None:
    """What the picture cost, by our table and what the answer says of size and quality."""
    model: ImageModel = image_model(asked.ticket.model)
    size, quality = call.get("size"), call.get("quality")
    use = estimated_use(
        model,
        size=size if isinstance(size, str) and size != "auto" else asked.size,
        quality=quality if quality in model.qualities else asked.quality,
        pictures=pictures or 2,
    )
    return None if use is None else cost_usd(model.model_id, use)


def _without_picture(document: Mapping[str, Any], call: Mapping[str, Any] | None) -> GeneratorError:
    """Why a response ended without a picture; the most specific field first."""
    call_error = (call or {}).get("error")
    for error in (call_error, document.get("error")):
        if isinstance(error, dict):
            return _from_error(error)
    reason = safe_name(_at(document, "incomplete_details", "reason"))
    if reason is not None:
        made = INCOMPLETE_REASONS.get(reason, GeneratorFault)
        return made(f"the response ended early, reason {reason}")
    parts = [
        part for item in _items(document.get("output")) for part in _items(item.get("content"))
    ]
    if any(part.get("type") == "refusal" for part in parts):
        return GenerationRefused("the model around the image tool refused")
    if count(_at(document, "tool_usage", "image_gen"), "output_tokens"):
        return CallAmbiguous("a picture was generated and billed, but is not in the answer")
    status = safe_name(document.get("status")) or "unknown"
    if status == "cancelled":
        return CallAmbiguous("it was cancelled and may have been billed")
    return GeneratorFault(f"the response ended without a picture, status {status}")


def _from_error(error: Mapping[str, Any]) -> GeneratorError:
    code = safe_name(error.get("code"))
    made = RESPONSE_CODES.get(code or "", GeneratorFault)
    stage = _at(error, "moderation_details", "moderation_stage")
    detail = _REFUSAL_STAGES.get(str(stage), "no picture was generated")
    return made(f"{detail}, code {code or 'none'}")


def _items(value: Any) -> list[dict[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _at(value: Any, *path: str) -> Any:
    """The value at this path; None when there is none."""
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _whole_number(value: Any, key: str) -> int | None:
    told = _at(value, key)
    return int(told) if isinstance(told, str) and told.isdecimal() and len(told) < 3 else None
