"""
Maps the image API's answers and httpx's exceptions to our error tree.

Decided by status and `error.code`. The vendor's message text is never shown or kept: it can contain
parts of a key, addresses, and the safety system's judgement of a shopper.
"""

import email.utils
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import httpx
from pydantic_core import from_json

from wearon_cli.core.errors import (
    AccountBlocked,
    CallAmbiguous,
    GenerationRefused,
    GeneratorError,
    GeneratorFault,
    GeneratorUnreachable,
    ModelUnavailable,
    RateLimited,
    RequestRejected,
)
from wearon_cli.core.vendor_answer import VendorAnswer

#: A longer wait than this is treated as an error in the header.
MAX_RETRY_AFTER_S: Final = 3600.0

#: Codes that mean the same whatever the status they came with.
CODES: Final[dict[str, type[GeneratorError]]] = {
    **dict.fromkeys(("moderation_blocked", "content_policy_violation"), GenerationRefused),
    **dict.fromkeys(
        ("invalid_image_file", "unsupported_file_mimetype", "invalid_value"), RequestRejected
    ),
    **dict.fromkeys(
        (
            "billing_hard_limit_reached",
            "insufficient_quota",
            "credit_balance_exhausted",
            "organization_spend_limit_exceeded",
            "project_spend_limit_exceeded",
            "organization_usage_limit_exceeded",
            "invalid_api_key",
        ),
        AccountBlocked,
    ),
    # The last two mean that our table is wrong about this model: the next model may work.
    **dict.fromkeys(
        ("model_not_found", "invalid_input_fidelity_model", "unknown_parameter"), ModelUnavailable
    ),
    **dict.fromkeys(("rate_limit_exceeded", "slow_down"), RateLimited),
    "server_is_overloaded": GeneratorFault,
}

#: By status, where the code is unknown.
STATUSES: Final[dict[int, type[GeneratorError]]] = {
    400: RequestRejected,
    401: AccountBlocked,
    402: AccountBlocked,
    403: AccountBlocked,
    404: AccountBlocked,  # it does not even name a model: a wrong OPENAI_BASE_URL
    405: AccountBlocked,
    413: RequestRejected,
    415: RequestRejected,
    422: RequestRejected,
    429: RateLimited,
}

#: What httpx can raise from a call, nearest class first. Anything that may have been sent is
#: ambiguous.
TRANSPORT: Final[tuple[tuple[type[Exception], type[GeneratorError]], ...]] = (
    (httpx.ConnectTimeout, GeneratorUnreachable),
    (httpx.PoolTimeout, GeneratorUnreachable),
    (httpx.ConnectError, GeneratorUnreachable),
    (httpx.ProxyError, GeneratorUnreachable),
    (httpx.UnsupportedProtocol, GeneratorUnreachable),
    (httpx.TransportError, CallAmbiguous),
    (httpx.DecodingError, CallAmbiguous),
    (httpx.HTTPError, CallAmbiguous),
    (httpx.StreamError, CallAmbiguous),
    (httpx.InvalidURL, GeneratorUnreachable),
    (httpx.CookieConflict, CallAmbiguous),
)
#: Every exception of httpx, for an `except`.
HTTPX_ERRORS: Final = (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL, httpx.CookieConflict)

_SAFE_NAME: Final = re.compile(r"[a-z0-9_.\[\]-]{1,64}", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorBody:
    """The `error` object of an answer, as far as it is safe to show."""

    code: str | None = None
    kind: str | None = None  # `type`
    param: str | None = None
    is_json: bool = False


def from_transport(exc: Exception) -> GeneratorError:
    """Our error for an httpx exception."""
    made = next(ours for theirs, ours in TRANSPORT if isinstance(exc, theirs))
    return made(f"{_LEFT[made]} ({type(exc).__name__})")


_LEFT: Final = {
    GeneratorUnreachable: "no connection to the image API",
    CallAmbiguous: "the connection failed after the request left",
}


def from_answer(
    status: int,
    headers: httpx.Headers,
    body: ErrorBody,
    codes: Mapping[str, type[GeneratorError]] = CODES,
) -> GeneratorError:
    """Our error for an answer that is not a picture. `codes`: what its codes mean."""
    made = _class_for(status, body, codes)
    detail = f"the image API answered {status}"
    if body.code:
        detail += f", code {body.code}"
    if body.param:
        detail += f", parameter {body.param}"
    if vendor_id := request_id(headers):
        detail += f" (request {vendor_id})"
    vendor = VendorAnswer(
        status=status, code=body.code, parameter=body.param, request_id=request_id(headers)
    )
    if issubclass(made, RateLimited | GeneratorFault):
        return made(detail, retry_after_s=retry_after_s(headers)).told_by(vendor)
    return made(detail, hint=_HINTS.get(made, "")).told_by(vendor)


_HINTS: Final[dict[type[GeneratorError], str]] = {
    AccountBlocked: "check OPENAI_API_KEY, the account's credit and verification, OPENAI_BASE_URL",
    ModelUnavailable: "use an available model in OPENAI_IMAGE_MODELS",
}


def _class_for(
    status: int, body: ErrorBody, codes: Mapping[str, type[GeneratorError]]
) -> type[GeneratorError]:
    if status == 200:  # may have been billed, unless it says that no picture was generated
        known = codes.get(body.code or "", CallAmbiguous)
        return CallAmbiguous if known is GeneratorFault else known
    if body.code == "invalid_value" and body.param == "model":
        return ModelUnavailable
    if body.code is not None and body.code in codes:
        return codes[body.code]
    if status == 429 and body.kind == "insufficient_quota":
        return AccountBlocked  # a newer code for an empty account
    if not body.is_json and status not in {401, 404, 429}:
        return GeneratorFault  # a page from a proxy: not the API's own answer
    return STATUSES.get(status, GeneratorFault)


def read_error(raw: bytes | bytearray) -> ErrorBody:
    """Read an answer's `error` object; a page that is not JSON is ignored."""
    try:
        document = from_json(raw)
    except ValueError:
        return ErrorBody()
    error = document.get("error") if isinstance(document, dict) else None
    if not isinstance(error, dict):
        return ErrorBody(is_json=isinstance(document, dict))
    return ErrorBody(
        code=safe_name(error.get("code")),
        kind=safe_name(error.get("type")),
        param=safe_name(error.get("param")),
        is_json=True,
    )


def request_id(headers: httpx.Headers) -> str | None:
    """The vendor's id of this answer, for its support; None when it does not look like an id."""
    return safe_name(headers.get("x-request-id"))


def retry_after_s(headers: httpx.Headers, *, now: Callable[[], datetime] | None = None) -> float:
    """Seconds to wait, from `retry-after-ms` or `retry-after`; 0 without either."""
    value_ms = _number(headers.get("retry-after-ms"))
    if value_ms is not None:
        return _bounded(value_ms / 1000)
    value = headers.get("retry-after")
    value_s = _number(value)
    if value_s is not None:
        return _bounded(value_s)
    try:
        at = email.utils.parsedate_to_datetime(value or "")
    except (ValueError, TypeError, IndexError):
        return 0.0
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return _bounded((at - (now() if now else datetime.now(UTC))).total_seconds())


def _bounded(seconds: float) -> float:
    return min(max(seconds, 0.0), MAX_RETRY_AFTER_S)


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if value == value and abs(value) != float("inf") else None


def safe_name(value: Any) -> str | None:
    """A short identifier as it is; anything else could be free text, and is dropped."""
    return value if isinstance(value, str) and _SAFE_NAME.fullmatch(value) else None
