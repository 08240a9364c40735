"""What the loopback Responses API says of a drawing: the response, its status, its output items."""

import base64
import time
from collections.abc import Iterator
from typing import Any

from devkit.servers.background_drawings import (
    EMPTY,
    FAIL,
    NO_USAGE,
    REFUSE,
    REFUSE_INCOMPLETE,
    REFUSE_RESPONSE,
    SPOILT,
    Drawing,
)
from devkit.servers.image_api_answers import content_credentials, stamped_picture


def document_of(drawing: Drawing) -> dict[str, Any]:
    """The response as JSON, as of now."""
    facts = drawing.facts
    status = status_of(drawing)
    document: dict[str, Any] = {
        "id": drawing.drawing_id,
        "object": "response",
        "created_at": drawing.at_s,
        "status": status,
        "background": True,
        "model": facts["outer_model"],
        "metadata": facts["metadata"],
        "output": list(output_of(drawing)) if status in {"completed", "failed"} else [],
        "error": _error(drawing),
        "incomplete_details": ({"reason": "content_filter"} if status == "incomplete" else None),
        "usage": None,
    }
    if status == "completed":
        tokens_in, tokens_out = facts["outer"]
        document["completed_at"] = drawing.done_s
        document["usage"] = {
            "input_tokens": tokens_in,
            "output_tokens": tokens_out,
            "total_tokens": tokens_in + tokens_out,
        }
        if drawing.billed and drawing.fault != NO_USAGE:
            document["tool_usage"] = {"image_gen": facts["usage"]}
    return document


def status_of(drawing: Drawing) -> str:
    """Its status in the Responses API."""
    if drawing.cancelled:
        return "cancelled"
    if not drawing.is_done:
        return "in_progress" if time.time() > drawing.at_s + 0.2 else "queued"
    if drawing.fault == REFUSE_INCOMPLETE:
        return "incomplete"
    failed = drawing.fault in {FAIL, REFUSE_RESPONSE} or drawing.ended_with is not None
    return "failed" if failed else "completed"


def _error(drawing: Drawing) -> dict[str, Any] | None:
    """The response's own error."""
    if status_of(drawing) != "failed":
        return None
    codes = {FAIL: "server_error", REFUSE_RESPONSE: "image_content_policy_violation"}
    code = drawing.ended_with or codes[drawing.fault or FAIL]
    return {"code": code, "message": "You asked for sexual content at https://internal.test"}


def output_of(drawing: Drawing) -> Iterator[dict[str, Any]]:
    """The items of its conversation: one call of the image tool, once it has completed."""
    if status_of(drawing) != "completed":
        return
    facts = drawing.facts
    call: dict[str, Any] = {
        "id": f"ig_{drawing.drawing_id}",
        "type": "image_generation_call",
        "status": "failed" if drawing.fault == REFUSE else "completed",
        "result": None,
        "output_format": facts["output_format"],
        "quality": facts["quality"],
        "size": f"{facts['size'][0]}x{facts['size'][1]}",
        "revised_prompt": facts["prompt"],
    }
    if drawing.fault == REFUSE:
        call["error"] = {
            "code": "moderation_blocked",
            "type": "image_generation_user_error",
            "message": "Rejected by the safety system. safety_violations=[sexual].",
            "moderation_details": {"categories": ["sexual"], "moderation_stage": "output"},
        }
    elif drawing.fault != EMPTY:
        stamp = f"session={drawing.session} call={drawing.number}".encode()
        encoded = base64.b64encode(
            stamped_picture(
                facts["size"], facts["output_format"], stamp, marks=content_credentials()
            )
        ).decode()
        call["result"] = encoded[: len(encoded) // 2 - 1] if drawing.fault == SPOILT else encoded
    yield call
