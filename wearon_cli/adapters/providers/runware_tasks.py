"""Builds the request to Runware: one task, in the form that its model needs."""

import binascii
from typing import Any, Final

from wearon_cli.core.errors import RequestRejected
from wearon_cli.core.image_rules import ImageModel, PromptForm
from wearon_cli.core.prompt import try_on_sentence
from wearon_cli.core.providers import TryOnRequest

#: How long results are kept: just longer than a job waits.
RESULT_LIFE_S: Final = 3600
OUTPUT_QUALITY: Final = 95


def require_takes(model: ImageModel, request: TryOnRequest, *, size: str, quality: str) -> None:
    """
    Check what the model would refuse, before anything is sent.

    Raises:
        RequestRejected: Pictures, prompt, size or quality that the model cannot take.
    """
    faults = model.faults(size=size, quality=quality)
    pictures = len(request.pictures)
    if not model.takes(pictures):
        faults.append(
            f"{pictures} pictures; {model.model_id} accepts {model.min_pictures} to "
            f"{model.max_pictures}"
        )
    if model.prompt_form is PromptForm.OURS and not request.prompt:
        faults.append("the prompt is empty")
    if faults:
        raise RequestRejected("; ".join(faults))


def drawing_task(
    model: ImageModel, request: TryOnRequest, task_id: str, *, size: str, quality: str
) -> dict[str, Any]:
    """The paid task: one picture, generated in the background, its result at an address."""
    pictures = [_data_uri(picture.jpeg) for picture in request.pictures]
    task: dict[str, Any] = {
        "taskType": "imageInference",
        "taskUUID": task_id,
        "model": model.model_id,
        "inputs": {"referenceImages": pictures},
        "outputType": "URL",
        "outputFormat": "JPG",
        "outputQuality": OUTPUT_QUALITY,
        "ttl": RESULT_LIFE_S,
        "numberResults": 1,
        "includeCost": True,
        "deliveryMethod": "async",
    }
    if model.prompt_form is PromptForm.NONE:
        roles = ["person", *["garment"] * (len(pictures) - 1)]
        task["inputs"] = {
            "referenceImages": [
                {"image": picture, "role": role}
                for picture, role in zip(pictures, roles, strict=True)
            ]
        }
    elif model.prompt_form is PromptForm.ONE_SENTENCE:
        task["positivePrompt"] = try_on_sentence()
    else:
        task["positivePrompt"] = request.prompt
    if model.is_sized:
        if size != "auto":
            width, _, height = size.partition("x")
            task["width"], task["height"] = int(width), int(height)
        task["settings"] = {"quality": quality}
    return task


def _data_uri(jpeg: bytes) -> str:
    encoded = binascii.b2a_base64(jpeg, newline=False).decode("ascii")
    return f"data:image/jpeg;base64,{encoded}"
