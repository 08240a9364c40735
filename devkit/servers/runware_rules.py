"""
What Runware accepts, written from the published types and not from the product's code.

Nothing of the product is imported here, so that a mistake there shows up.
"""

import base64
import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from devkit.servers.image_api_rules import IMAGE_TYPES

TASK = frozenset(
    {
        *("taskType", "taskUUID", "model", "inputs", "positivePrompt", "width", "height"),
        *("settings", "outputType", "outputFormat", "outputQuality", "ttl", "numberResults"),
        *("includeCost", "deliveryMethod", "seed", "safety"),
    }
)
P_IMAGE, VTO = "prunaai:p-image@try-on", "bfl:flux@vto"
OPENAI = frozenset({"openai:gpt-image@2", "openai:gpt-image@2.5-flare"})
#: The kind of each error code, as the vendor's own SDK classifies them.
CODES: Mapping[str, tuple[str, ...]] = {
    "safety": (
        *("contentPolicyViolation", "providerContentPolicyViolation", "sensitiveContentDetected"),
        *("unsafeContentDetected", "nsfwContentDetected", "promptBlocked", "imageBlocked"),
        *("moderationFailed", "invalidProviderContent"),
    ),
    "auth": (
        *("unauthorized", "forbidden", "permissionDenied", "insufficientPermissions"),
        *("authenticationFailed", "authFailed", "invalidAuthentication", "invalidCredentials"),
        *("missingAuthentication", "tokenExpired", "tokenInvalid", "tokenMissing"),
        *("tokenRevoked", "accountSuspended", "accountDisabled", "organizationSuspended"),
        *("organizationDisabled", "workspaceSuspended", "workspaceDisabled", "invalidApiKey"),
        *("missingApiKey", "authTimeout"),
    ),
    "quota": (
        *("insufficientCredits", "quotaExceeded", "dailyQuotaExceeded", "insufficientBalance"),
        *("paymentRequired", "environmentPaused"),
    ),
    "rateLimit": ("rateLimitExceeded", "providerRateLimitExceeded"),
    "timeout": ("timeout", "timeoutProvider", "inferenceTimeout"),
    "provider": (
        *("inferenceError", "processingFailed", "taskFailed", "downloadFailed", "uploadFailed"),
        *("noAvailableServer", "modelNotReady", "mediaStorageFileCouldNotBeMoved"),
        *("providerError", "providerUnavailable"),
    ),
    "serverError": (
        *("internalServerError", "serviceUnavailable", "serverUnavailable", "standardError"),
        *("unknownError", "undefinedError", "defaultError", "unrecognizedResponse"),
    ),
    "model": ("unknownModel", "modelUnavailable", "modelDisabled"),
    "notFound": ("taskFailedOrNotFound", "taskCancelled"),
    "validation": (
        *("invalidInputImage", "missingInputs", "unsupportedFormat", "valueTooLarge"),
        *("arrayTooLong", "validationFailed", "maxLengthExceeded"),
    ),
}


@dataclass(kw_only=True)  # not frozen: raising writes the traceback into it
class Refusal(Exception):
    """An answer with `errors`."""

    code: str
    status: int = 400
    parameter: str | None = None
    task_id: str | None = None
    task_type: str = "imageInference"

    def body(self) -> dict[str, object]:
        error: dict[str, object] = {
            "code": self.code,
            "message": "Your key rw-secret-key at https://internal.test: sexual content",
            "taskType": self.task_type,
        }
        if self.parameter:
            error["parameter"] = self.parameter
        if self.task_id:
            error["taskUUID"] = self.task_id
        return {"errors": [error]}


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A task to draw."""

    task_id: str
    model: str
    pictures: int
    size: tuple[int, int]
    has_cost: bool

    @property
    def cost_usd(self) -> float:
        """By the price list; OpenAI's models are a guess."""
        if self.model == P_IMAGE:
            return 0.015 + 0.008 * (self.pictures - 2)
        return 0.04 if self.model == VTO else 0.06


def read_tasks(raw: bytes) -> list[dict[str, Any]]:
    """The tasks of a body, which is always a list."""
    try:
        tasks = json.loads(raw)
    except ValueError as exc:
        raise Refusal(code="invalidJson") from exc
    if not isinstance(tasks, list) or not tasks:
        raise Refusal(code="invalidRequestBody")
    for task in tasks:
        if not isinstance(task, dict):
            raise Refusal(code="invalidRequestBody")
        _require_uuid4(task.get("taskUUID"))
    return tasks


def read_order(task: dict[str, Any]) -> Order:
    """Validate a task to draw."""
    task_id = task["taskUUID"]
    for name in task:
        if name not in TASK:
            raise Refusal(code="unknownParameter", parameter=name, task_id=task_id)
    model = task.get("model")
    if model not in {P_IMAGE, VTO, *OPENAI}:
        raise Refusal(code="unknownModel", parameter="model", task_id=task_id)
    expected = {
        "deliveryMethod": task.get("deliveryMethod") == "async",
        "numberResults": task.get("numberResults", 1) == 1,
        "outputType": task.get("outputType", "URL") in {"URL", "base64Data", "dataURI"},
        "outputFormat": task.get("outputFormat", "JPG") in {"JPG", "PNG", "WEBP"},
        "outputQuality": 20 <= task.get("outputQuality", 95) <= 99,
        "ttl": task.get("ttl", 60) >= 60,
        "positivePrompt": _prompt_fits(model, task.get("positivePrompt")),
        "width": model in OPENAI or "width" not in task,
        "settings": model in OPENAI or "quality" not in task.get("settings", {}),
    }
    for name, fits in expected.items():
        if not fits:
            raise Refusal(code="invalidValue", parameter=name, task_id=task_id)
    pictures = _references(model, task.get("inputs"), task_id)
    return Order(
        task_id=task_id,
        model=model,
        pictures=pictures,
        size=(task.get("width", 832), task.get("height", 1248)),
        has_cost=task.get("includeCost") is True,
    )


def _require_uuid4(told: Any) -> None:
    try:
        fits = UUID(told).version == 4
    except (ValueError, TypeError, AttributeError):
        fits = False
    if not fits:
        raise Refusal(code="invalidTaskUUID", parameter="taskUUID")


def _prompt_fits(model: str, prompt: Any) -> bool:
    if model == P_IMAGE and prompt is None:
        return True
    if not isinstance(prompt, str) or not prompt:
        return False
    form = r"The person of image 1, keeping face and pose exactly, wearing .+ of image 2\."
    return model != VTO or re.fullmatch(form, prompt) is not None


def _references(model: str, inputs: Any, task_id: str) -> int:
    where = "inputs.referenceImages"
    told = inputs.get("referenceImages") if isinstance(inputs, dict) else None
    if not isinstance(told, list):
        raise Refusal(code="missingInputs", parameter=where, task_id=task_id)
    if model == P_IMAGE:
        roles = [each.get("role") for each in told]
        if roles[:1] != ["person"] or set(roles[1:]) != {"garment"} or len(roles) > 12:
            raise Refusal(code="invalidValue", parameter=where, task_id=task_id)
        told = [each.get("image") for each in told]
    if model == VTO and len(told) != 2:
        raise Refusal(code="invalidValue", parameter=where, task_id=task_id)
    for picture in told:
        if not _is_picture(picture):
            raise Refusal(code="invalidInputImage", parameter=where, task_id=task_id)
    return len(told)


def _is_picture(address: Any) -> bool:
    match = re.match(r"data:(image/\w+);base64,", address if isinstance(address, str) else "")
    if match is None or match[1] not in IMAGE_TYPES:
        return False
    try:
        data = base64.b64decode(address[match.end() :], validate=True)
    except binascii.Error:
        return False
    return data.startswith(IMAGE_TYPES[match[1]])
