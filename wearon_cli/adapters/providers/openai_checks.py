"""Asks OpenAI about a model and our key. Reads descriptions only, at no cost."""

from dataclasses import dataclass
from datetime import date
from typing import Final

import httpx
from pydantic_core import from_json

from wearon_cli.adapters.providers.openai_errors import from_answer, read_error
from wearon_cli.adapters.providers.vendor_http import ask_free

#: One question, start to end.
QUESTION_TIMEOUT_S: Final = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelInfo:
    """What the API says about a model. Not final: on a launch day the list lags behind."""

    model_id: str
    shuts_down: date | None


async def model_info(http: httpx.AsyncClient, model_id: str) -> ModelInfo:
    """
    Look a model up.

    Args:
        http: From `image_api_client`.
        model_id: As the API calls it.

    Raises:
        ModelUnavailable: The API does not know it, or this key has no access to it.
        AccountBlocked: The key is refused.
        GeneratorError: Any other failure.
    """
    answer = await ask_free(http, "GET", f"models/{model_id}", timeout_s=QUESTION_TIMEOUT_S)
    if answer.status != httpx.codes.OK:
        raise from_answer(answer.status, answer.headers, read_error(answer.raw))
    return ModelInfo(model_id=model_id, shuts_down=_shutdown_date(answer.raw))


def _shutdown_date(raw: bytearray) -> date | None:
    try:
        text = from_json(raw).get("shutdown_date")
        return date.fromisoformat(text) if text else None
    except (ValueError, TypeError, AttributeError):
        return None
