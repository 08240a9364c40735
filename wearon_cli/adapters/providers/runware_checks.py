"""Whether Runware accepts our key: asks about a task that does not exist, at no cost."""

from typing import Final
from uuid import uuid4

import httpx
from pydantic_core import to_json

from wearon_cli.adapters.providers.runware import JSON, read_answer
from wearon_cli.adapters.providers.runware_errors import TaskError, from_error
from wearon_cli.adapters.providers.vendor_http import ask_free

#: One question, start to end.
QUESTION_TIMEOUT_S: Final = 5.0


async def require_key(http: httpx.AsyncClient) -> None:
    """
    Check that the key is accepted. Runware has no list of models to ask.

    Args:
        http: From `runware_client`.

    Raises:
        AccountBlocked: It is refused.
        GeneratorError: There was no conclusive answer.
    """
    task_id = str(uuid4())
    answer = await ask_free(
        http,
        "POST",
        str(http.base_url).rstrip("/"),
        timeout_s=QUESTION_TIMEOUT_S,
        content=to_json([{"taskType": "getResponse", "taskUUID": task_id}]),
        headers=JSON,
    )
    data, error = read_answer(answer, task_id)
    if data is None and not (error and error.is_not_there):
        raise from_error(error or TaskError(), status=answer.status, headers=answer.headers)
