"""
Maps Runware's error codes to our error tree.

The vendor calls its list of codes large and unstable, so there are rules over their names as well
as a table. Its message text is never shown or kept.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import httpx

from wearon_cli.adapters.providers.openai_errors import retry_after_s, safe_name
from wearon_cli.core.errors import (
    AccountBlocked,
    CallAmbiguous,
    GenerationRefused,
    GeneratorError,
    GeneratorFault,
    ModelUnavailable,
    RateLimited,
    RequestRejected,
)
from wearon_cli.core.vendor_answer import VendorAnswer

#: No such task: it never arrived, it failed, or it has expired.
NOT_THERE: Final = frozenset({"taskFailedOrNotFound", "taskNotFound", "taskCancelled"})

#: Tried in order; the first rule whose words are in a code decides. `timeout` counts as ambiguous:
#: the task may still be running.
_RULES: Final[tuple[tuple[re.Pattern[str], type[GeneratorError]], ...]] = tuple(
    (re.compile(words), made)
    for words, made in (
        (
            r"(?i)contentPolicy|nsfw|sensitiveContent|unsafeContent|moderation"
            r"|promptBlocked|imageBlocked|invalidProviderContent",
            GenerationRefused,
        ),
        (r"(?i)rateLimit|tooManyRequests", RateLimited),
        (r"Credits|Quota|quota|Balance|paymentRequired|environmentPaused", AccountBlocked),
        (
            r"ApiKey|[aA]uthenti|^auth(Failed|Timeout)|[cC]redentials|^unauthorized|^forbidden"
            r"|[pP]ermission|^token|(Suspended|Disabled)$(?<!modelDisabled)",
            AccountBlocked,
        ),
        (r"(?i)timeout", CallAmbiguous),
        (
            r"^(unknownModel|invalidModel|unsupportedModel|modelNotFound|modelUnavailable"
            r"|modelDisabled)$",
            ModelUnavailable,
        ),
        (
            r"^(inferenceError|processingFailed|taskFailed|downloadFailed|uploadFailed"
            r"|noAvailable.*|modelNotReady|mediaStorage.*|provider.*)$",
            GeneratorFault,
        ),
        (
            r"^(internalServerError|serviceUnavailable|serverUnavailable|standardError"
            r"|unknownError|undefinedError|defaultError|unrecognizedResponse)$",
            GeneratorFault,
        ),
    )
)
#: By status, when no code says more. Any other status below 500 is the request's fault.
_STATUSES: Final[Mapping[int, type[GeneratorError]]] = {
    401: AccountBlocked,
    402: AccountBlocked,
    403: AccountBlocked,
    404: AccountBlocked,  # a wrong RUNWARE_BASE_URL
    408: CallAmbiguous,
    429: RateLimited,
}
#: The parts of a task that come from the shopper. A refusal of any other part means that our table
#: is wrong.
_SHOPPERS: Final = ("inputs", "positivePrompt")

_HINTS: Final[Mapping[type[GeneratorError], str]] = {
    AccountBlocked: "check RUNWARE_API_KEY, the account's credit, RUNWARE_BASE_URL",
    ModelUnavailable: "name another model",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskError:
    """The parts of one entry of `errors` that are safe to show."""

    code: str | None = None
    parameter: str | None = None
    task_id: str | None = None

    @property
    def is_not_there(self) -> bool:
        return self.code in NOT_THERE

    @property
    def is_known_already(self) -> bool:
        """A task with this id was accepted before."""
        told = (self.code or "").lower()
        repeated = told.startswith(("duplicate", "conflict")) or "already" in told
        return self.parameter == "taskUUID" and repeated


def read_error(error: Any) -> TaskError:
    """Read one entry of `errors`, or the `error` of a task."""
    if not isinstance(error, dict):
        return TaskError()
    parameter = error.get("parameter")
    if isinstance(parameter, list) and parameter:
        parameter = parameter[0]
    return TaskError(
        code=safe_name(error.get("code")),
        parameter=safe_name(parameter),
        task_id=safe_name(error.get("taskUUID")),
    )


def from_error(
    error: TaskError, *, status: int = 200, headers: httpx.Headers | None = None
) -> GeneratorError:
    """Our error for a Runware error."""
    made = class_for(error, status)
    detail = f"Runware answered {error.code or status}"
    if error.parameter:
        detail += f", parameter {error.parameter}"
    vendor = VendorAnswer(
        status=status, code=error.code, parameter=error.parameter, request_id=error.task_id
    )
    if issubclass(made, RateLimited | GeneratorFault):
        pause_s = retry_after_s(headers or httpx.Headers())
        return made(detail, retry_after_s=pause_s).told_by(vendor)
    return made(detail, hint=_HINTS.get(made, "")).told_by(vendor)


def class_for(error: TaskError, status: int = 200) -> type[GeneratorError]:
    """Which of our errors it is."""
    if error.code is not None:
        for words, made in _RULES:
            if words.search(error.code):
                return made
    if status in _STATUSES:
        return _STATUSES[status]
    if status >= httpx.codes.INTERNAL_SERVER_ERROR:
        return GeneratorFault if error.code else CallAmbiguous
    if error.is_not_there:
        return GeneratorFault
    if error.parameter and not error.parameter.startswith(_SHOPPERS):
        return ModelUnavailable
    return RequestRejected
