"""
The parts of the OpenAPI document that FastAPI cannot tell from the code: how photos may be sent,
and an example of each kind of refusal.
"""

from typing import Any, Final

from fastapi import FastAPI
from pydantic.json_schema import models_json_schema

from wearon_cli.core.body.gates import WORDS, Refusal
from wearon_cli.runtime.http.schemas import (
    EXAMPLE_REQUEST,
    EstimateBody,
    EstimateForm,
    EstimateQuery,
    Problem,
)

_COMPONENTS: Final = "#/components/schemas/{model}"
PHOTO_TYPES: Final = ("image/jpeg", "image/png", "image/webp")

_MORE_KNOWN: Final[dict[str, Any]] = {
    **EXAMPLE_REQUEST,
    "weight_kg": 68,
    "sex": "female",
    "side_image_url": "https://photos.example.com/side.jpg",
    "chart": "women",
    "garment": "dress",
}


def _ref(name: str) -> dict[str, str]:
    return {"$ref": _COMPONENTS.format(model=name)}


def _query_parameters() -> list[dict[str, Any]]:
    """The query of a photo that is sent as the body itself."""
    schema = EstimateQuery.model_json_schema(ref_template=_COMPONENTS)
    return [
        {
            "name": name,
            "in": "query",
            "required": False,  # where the body is JSON or a form, it holds these itself
            "description": f"With a photo as the body. {about.get('description', '')}".strip(),
            "schema": {"type": "string"} if name == "chart" else about,
        }
        for name, about in schema["properties"].items()
    ]


#: What `POST /estimate-body` takes.
REQUESTS: Final[dict[str, Any]] = {
    "parameters": _query_parameters(),
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": _ref("EstimateBody"),
                "examples": {
                    "least": {"summary": "What is needed", "value": EXAMPLE_REQUEST},
                    "most": {"summary": "All that is known", "value": _MORE_KNOWN},
                },
            },
            "multipart/form-data": {"schema": _ref("EstimateForm")},
            **{kind: {"schema": {"type": "string", "format": "binary"}} for kind in PHOTO_TYPES},
        },
    },
}


def _refused(detail: str, code: str, hint: str = "", **further: Any) -> dict[str, Any]:
    return {"value": {"detail": detail, "code": code, "hint": hint, **further}}


def _problem(description: str, **examples: dict[str, Any]) -> dict[str, Any]:
    content = {"application/json": {"examples": examples}}
    return {"model": Problem, "description": description, "content": content}


_NEAR: Final = "did you mean height_cm?"

#: Every refusal of `POST /estimate-body`, by status.
PROBLEMS: Final[dict[int | str, dict[str, Any]]] = {
    400: _problem(
        "The photo cannot be fetched or read.",
        picture_unavailable=_refused(
            "Invalid or inaccessible image URL: The picture is no longer available at its link.",
            "picture_unavailable",
            "send an https address from which anybody can fetch the photo, or the photo itself",
        ),
        picture_unusable=_refused(
            "this is not a supported picture",
            "picture_unusable",
            "save the photo as JPEG, PNG or WebP and send it again",
        ),
    ),
    401: _problem(
        "The bearer token is missing or wrong.",
        unauthorized=_refused(
            "the bearer token is missing or wrong",
            "unauthorized",
            "send the header Authorization: Bearer TOKEN",
        ),
    ),
    408: _problem(
        "The request did not arrive in time.",
        request_timeout=_refused(
            "the request did not arrive in time",
            "request_timeout",
            "send it over a faster connection, or with smaller photos",
        ),
    ),
    413: _problem(
        "The request is too large.",
        request_too_large=_refused(
            "a request may have at most 65536 bytes",
            "request_too_large",
            "send fewer or smaller photos",
        ),
    ),
    415: _problem(
        "The content type is not supported.",
        unsupported_media_type=_refused(
            "the content type is not supported",
            "unsupported_media_type",
            "send JSON (Content-Type: application/json), a form (multipart/form-data), "
            "or a photo itself (image/jpeg, image/png, image/webp)",
        ),
    ),
    422: _problem(
        "The request, or the photo, cannot be used.",
        invalid_request=_refused(
            f"height_cm: is missing; height: there is no such field ({_NEAR})",
            "invalid_request",
            _NEAR,
            faults=[
                {"field": "height_cm", "detail": "is missing", "hint": ""},
                {"field": "height", "detail": "there is no such field", "hint": _NEAR},
            ],
        ),
        no_person=_refused(
            detail=WORDS[Refusal.NO_PERSON][0],
            code=Refusal.NO_PERSON.value,
            hint=WORDS[Refusal.NO_PERSON][1],
        ),
    ),
    429: _problem(
        "This caller sends too many requests.",
        too_many_requests=_refused(
            "too many requests from this address",
            "too_many_requests",
            "wait as long as Retry-After says",
        ),
    ),
    503: _problem(
        "Not available now: no pose model yet, or too many photos wait.",
        measuring_unavailable=_refused(
            "the pose model is not loaded", "measuring_unavailable", "try again in 30 seconds"
        ),
    ),
}


def describe_uploads(app: FastAPI) -> None:
    """Add the schemas of what is sent, which the app reads by itself, to its document."""
    made = app.openapi

    def document() -> dict[str, Any]:
        is_new = app.openapi_schema is None
        whole = made()
        if is_new:
            _, sent = models_json_schema(
                [(EstimateBody, "validation"), (EstimateForm, "validation")],
                ref_template=_COMPONENTS,
            )
            whole["components"]["schemas"].update(sent["$defs"])
        return whole

    app.openapi = document  # type: ignore[method-assign] # as FastAPI's own manual does
