"""Builds the request to OpenAI's Responses API: one image tool call, the caller's prompt, the
pictures.
"""

import binascii
from typing import Any, Final

from pydantic_core import to_json

from wearon_cli.adapters.providers.openai_edits import OUTPUT_COMPRESSION
from wearon_cli.core.image_rules import ImageModel
from wearon_cli.core.providers import TryOnRequest

#: Without this the outer model writes its own prompt instead of using the try-on's.
INSTRUCTIONS: Final = (
    "Call the image generation tool exactly once, and answer nothing else. Its prompt is the "
    "user's text word for word: add nothing, leave nothing out, translate nothing. The user's "
    "images keep their order and their numbers."
)


def drawing_body(
    model: ImageModel,
    request: TryOnRequest,
    *,
    outer_model: str,
    size: str,
    quality: str,
    conversation: str | None,
) -> bytes:
    """The JSON of the paid call."""
    document: dict[str, Any] = {
        "model": outer_model,
        "background": True,
        "store": True,
        "metadata": {
            "session_id": request.session_id,
            "pictures": str(len(request.pictures)),
        },
        "max_tool_calls": 1,
        "tool_choice": {"type": "image_generation"},
        "tools": [_tool(model, size=size, quality=quality)],
        "instructions": INSTRUCTIONS,
        "input": [{"role": "user", "content": _content(request)}],
    }
    if conversation is not None:
        document["conversation"] = conversation
    return to_json(document)


def _tool(model: ImageModel, *, size: str, quality: str) -> dict[str, Any]:
    tool: dict[str, Any] = {
        "type": "image_generation",
        "model": model.model_id,
        "action": "edit",
        "size": size,
        "quality": quality,
        "output_format": "jpeg",
        "output_compression": OUTPUT_COMPRESSION,
        "moderation": "auto",
    }
    if model.input_fidelity is not None:
        tool["input_fidelity"] = model.input_fidelity
    return tool


def _content(request: TryOnRequest) -> list[dict[str, str]]:
    content = [{"type": "input_text", "text": request.prompt}]
    for picture in request.pictures:
        encoded = binascii.b2a_base64(picture.jpeg, newline=False).decode("ascii")
        content.append({"type": "input_image", "image_url": f"data:image/jpeg;base64,{encoded}"})
    return content


def probe_body(conversation: str, *, outer_model: str) -> bytes:
    """
    The JSON of a request without pictures, which costs less than a thousandth of a cent.

    It is refused while a response runs in the conversation: that is what it tests.
    """
    return to_json(
        {
            "model": outer_model,
            "store": True,
            "metadata": {"purpose": "is a response running"},
            "max_output_tokens": 16,
            "input": "Answer with the word: no",
            "conversation": conversation,
        }
    )
