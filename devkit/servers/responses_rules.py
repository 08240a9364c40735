"""
What OpenAI's Responses accept, written from the published types and not from the product's code.

Nothing of the product is imported here, so that a mistake there shows up.
"""

import base64
import binascii
import json
import re
from dataclasses import dataclass
from typing import Any

from devkit.servers.image_api_rules import (
    IMAGE_TYPES,
    MAX_PICTURES,
    Edit,
    Part,
    Rejection,
    check_fidelity,
    check_values,
    model_not_found,
)

OUTER_MODELS = frozenset({"gpt-6-luna", "gpt-6-astra"})
#: USD per million tokens of gpt-6-luna.
OUTER_IN_USD, OUTER_OUT_USD = 0.10, 0.50
#: USD per million tokens: text in, image in, image out.
IMAGE_USD_1_5, IMAGE_USD = (5, 8, 32), (5, 8, 30)
#: The reported price of a call without quality or size.
UNASKED_USD = 0.21
TOP = frozenset(
    {
        *("model", "background", "store", "metadata", "safety_identifier", "max_tool_calls"),
        *("tool_choice", "tools", "input", "instructions", "conversation", "max_output_tokens"),
    }
)
TOOL = frozenset(
    {
        *("type", "model", "action", "size", "quality", "output_format", "output_compression"),
        *("moderation", "input_fidelity", "background", "partial_images"),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request that the API accepts."""

    outer_model: str
    edit: Edit | None  # None: text only
    metadata: dict[str, str]
    conversation: str | None
    is_careless: bool = False  # without quality or size
    input_tokens: int = 0


def invalid(param: str, code: str = "invalid_value") -> Rejection:
    return Rejection(status=400, code=code, param=param, message=f"Invalid '{param}'.")


def read_request(raw: bytes, *, open_models: frozenset[str]) -> Asked:
    """Validate a request as the API does; raises Rejection."""
    document = _object(raw)
    for name in document:
        if name not in TOP:
            raise invalid(name, "unknown_parameter")
    outer = document.get("model")
    if outer not in OUTER_MODELS:
        raise model_not_found(str(outer))
    metadata = _metadata(document.get("metadata", {}))
    if document.get("background") and document.get("store") is False:
        raise invalid("background", "unsupported_parameter")
    conversation = document.get("conversation")
    if conversation is not None and not isinstance(conversation, str):
        raise invalid("conversation")
    texts, pictures = _input(document.get("input"))
    tools = document.get("tools", [])
    if not isinstance(tools, list) or len(tools) > 1:
        raise invalid("tools")
    tool = tools[0] if tools else None
    if tool is None and "tool_choice" in document:
        raise invalid("tool_choice")
    edit = None if tool is None else _edit(tool, " ".join(texts), pictures, open_models)
    if tool is not None and document.get("tool_choice") != {"type": "image_generation"}:
        raise invalid("tool_choice")
    return Asked(
        outer_model=str(outer),
        edit=edit,
        metadata=metadata,
        conversation=conversation,
        is_careless=tool is not None and not {"size", "quality"} <= set(tool),
        input_tokens=400 * len(pictures) + sum(map(len, texts)) // 4 + 60,
    )


def read_metadata(raw: bytes) -> dict[str, str]:
    """The metadata of a new conversation."""
    document = _object(raw)
    if set(document) - {"metadata", "items"}:
        raise invalid("metadata", "unknown_parameter")
    return _metadata(document.get("metadata", {}))


def picture_usd(edit: Edit) -> float:
    """The picture's price, by the price list."""
    used = edit.usage()
    details = used["input_tokens_details"]
    assert isinstance(details, dict)
    text, image, out = IMAGE_USD_1_5 if edit.model.startswith("gpt-image-1.5") else IMAGE_USD
    tokens_out = used["output_tokens"]
    assert isinstance(tokens_out, int)
    total = details["text_tokens"] * text + details["image_tokens"] * image + tokens_out * out
    return float(total) / 1e6


def _object(raw: bytes) -> dict[str, Any]:
    try:
        document = json.loads(raw)
    except ValueError as exc:
        raise Rejection(status=400, code="invalid_json", message="Invalid JSON.") from exc
    if not isinstance(document, dict):
        raise Rejection(status=400, code="invalid_type", message="Expected an object.")
    return document


def _metadata(told: Any) -> dict[str, str]:
    fits = isinstance(told, dict) and len(told) <= 16
    if not fits or not all(
        isinstance(value, str) and len(key) <= 64 and len(value) <= 512
        for key, value in told.items()
    ):
        raise invalid("metadata")
    return dict(told)


def _input(told: Any) -> tuple[list[str], tuple[Part, ...]]:
    if isinstance(told, str):
        return [told], ()
    if not isinstance(told, list) or not told:
        raise invalid("input")
    texts: list[str] = []
    pictures: list[Part] = []
    for at, message in enumerate(told):
        if set(message) != {"role", "content"} or message["role"] != "user":
            raise invalid(f"input[{at}]")
        for n, part in enumerate(message["content"]):
            where = f"input[{at}].content[{n}]"
            if part.get("type") == "input_text" and isinstance(part.get("text"), str):
                texts.append(part["text"])
            elif part.get("type") == "input_image":
                pictures.append(_picture(part.get("image_url"), f"{where}.image_url"))
            else:
                raise invalid(where)
    return texts, tuple(pictures)


def _picture(address: Any, where: str) -> Part:
    match = re.match(r"data:(image/\w+);base64,", address if isinstance(address, str) else "")
    if match is None:
        raise invalid(where, "invalid_image_url")
    start = IMAGE_TYPES.get(match[1])
    if start is None:
        raise invalid(where, "unsupported_image_media_type")
    try:
        data = base64.b64decode(address[match.end() :], validate=True)
    except binascii.Error as exc:
        raise invalid(where, "invalid_base64_image") from exc
    if not data.startswith(start):
        raise invalid(where, "invalid_image_format")
    return Part(filename="image", content_type=match[1], data=data)


def _edit(tool: Any, prompt: str, pictures: tuple[Part, ...], open_models: frozenset[str]) -> Edit:
    if not isinstance(tool, dict) or tool.get("type") != "image_generation":
        raise invalid("tools[0].type")
    for name in tool:
        if name not in TOOL:
            raise invalid(f"tools[0].{name}", "unknown_parameter")
    model = tool.get("model", "gpt-image-1")
    if model not in open_models:
        raise model_not_found(model)
    if tool.get("action", "auto") not in {"edit", "generate", "auto"}:
        raise invalid("tools[0].action")
    if not 1 <= len(pictures) <= MAX_PICTURES:
        raise invalid("input")
    fields = {key: str(value) for key, value in tool.items()} | {"prompt": prompt}
    try:
        check_fidelity(model, fields)
        check_values(model, fields)
    except Rejection as rejection:
        rejection.param = f"tools[0].{rejection.param}"
        raise
    size = tool.get("size", "auto")
    width, _, height = ("1024x1536" if size == "auto" else size).partition("x")
    return Edit(
        model=model,
        prompt=prompt,
        size=(int(width), int(height)),
        quality=tool.get("quality", "auto"),
        output_format=tool.get("output_format", "png"),
        n=1,
        pictures=pictures,
    )
