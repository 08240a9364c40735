"""
What the image API accepts, written from its published behaviour, not from the product's table.

Nothing of the product is imported here, so that a mistake in its table of models shows up.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.message import Message

IMAGE_TYPES = {
    "image/jpeg": b"\xff\xd8\xff",
    "image/png": b"\x89PNG\r\n\x1a\n",
    "image/webp": b"RIFF",
}
PARAMETERS = frozenset(
    {
        *("model", "prompt", "n", "size", "quality", "output_format", "output_compression"),
        *("input_fidelity", "background", "moderation", "safety_identifier", "user"),
    }
)
FIXED_SIZES = frozenset({"1024x1024", "1024x1536", "1536x1024", "auto"})
QUALITIES = frozenset({"low", "medium", "high", "auto"})
MAX_PICTURES = 16
MAX_PICTURE_BYTES = 50_000_000
MAX_PROMPT_CHARS = 32_000

#: Tokens of one 1024x1536 picture: 0.013, 0.050 and 0.200 USD at 32 USD a million.
TOKENS_1_5 = {"low": 408, "medium": 1584, "high": 6240, "auto": 1584}
#: About 0.005, 0.041 and 0.165 USD at 30 USD a million; the two above are guesses.
TOKENS_2 = {"low": 167, "medium": 1367, "high": 5500, "xhigh": 8000, "max": 11000, "auto": 1367}


@dataclass(kw_only=True)  # not frozen: raising writes the traceback into it
class Rejection(Exception):
    """An answer that is an error."""

    status: int
    code: str | None
    message: str
    kind: str = "invalid_request_error"
    param: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    extra: Mapping[str, object] = field(default_factory=dict)

    def body(self) -> dict[str, object]:
        return {
            "error": {
                "message": self.message,
                "type": self.kind,
                "param": self.param,
                "code": self.code,
                **self.extra,
            }
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One file of a multipart body."""

    filename: str | None
    content_type: str
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """A request that the API accepts."""

    model: str
    prompt: str
    size: tuple[int, int]
    quality: str
    output_format: str
    n: int
    pictures: tuple[Part, ...]

    def usage(self) -> dict[str, object]:
        """Tokens: a plausible number for each picture, four characters per token of text."""
        image_in = (1100 if is_1_5(self.model) else 750) * len(self.pictures)
        text_in = max(1, len(self.prompt) // 4)
        table = TOKENS_1_5 if is_1_5(self.model) else TOKENS_2
        area = self.size[0] * self.size[1] / (1024 * 1536)
        image_out = round(table[self.quality] * area) * self.n
        return {
            "input_tokens": image_in + text_in,
            "output_tokens": image_out,
            "total_tokens": image_in + text_in + image_out,
            "input_tokens_details": {"text_tokens": text_in, "image_tokens": image_in},
            "output_tokens_details": {"text_tokens": 0, "image_tokens": image_out},
        }


def is_1_5(model: str) -> bool:
    return model.startswith("gpt-image-1.5")


def read_multipart(content_type: str, body: bytes) -> list[tuple[str, Part]]:
    """(field name, part) in the order sent."""
    header = Message()
    header["Content-Type"] = content_type
    boundary = header.get_param("boundary")
    if header.get_content_type() != "multipart/form-data" or not isinstance(boundary, str):
        raise Rejection(status=400, code="invalid_content_type", message="Expected multipart.")
    marker = b"--" + boundary.encode()
    pieces = (b"\r\n" + body).split(b"\r\n" + marker)
    if pieces[0] or not pieces[-1].startswith(b"--"):
        raise Rejection(status=400, code="invalid_multipart", message="Body ends too early.")
    return [_read_part(piece) for piece in pieces[1:-1]]


def _read_part(piece: bytes) -> tuple[str, Part]:
    head, _, data = piece.removeprefix(b"\r\n").partition(b"\r\n\r\n")
    header = Message()
    for line in head.decode().split("\r\n"):
        key, _, value = line.partition(":")
        header[key] = value.strip()
    name = header.get_param("name", header="content-disposition")
    filename = header.get_param("filename", header="content-disposition")
    part = Part(
        filename=filename if isinstance(filename, str) else None,
        content_type=header.get_content_type() if "content-type" in header else "",
        data=data,
    )
    return str(name), part


def read_edit(content_type: str, body: bytes, *, open_models: frozenset[str]) -> Edit:
    """Validate a request as the API does; raises Rejection."""
    parts = read_multipart(content_type, body)
    pictures = tuple(part for name, part in parts if name in {"image", "image[]"})
    fields = {name: part.data.decode() for name, part in parts if name not in {"image", "image[]"}}
    model = fields.get("model", "gpt-image-1.5")
    if model not in open_models:
        raise model_not_found(model)
    for name in fields:
        if name not in PARAMETERS:
            raise Rejection(
                status=400,
                code="unknown_parameter",
                param=name,
                message=f"Unknown parameter: '{name}'.",
            )
    check_fidelity(model, fields)
    check_values(model, fields)
    _check_pictures(pictures)
    size = fields.get("size", "auto")
    width, _, height = ("1024x1536" if size == "auto" else size).partition("x")
    return Edit(
        model=model,
        prompt=fields["prompt"],
        size=(int(width), int(height)),
        quality=fields.get("quality", "auto"),
        output_format=fields.get("output_format", "png"),
        n=int(fields.get("n", "1")),
        pictures=pictures,
    )


def model_not_found(model: str, *, status: int = 404) -> Rejection:
    return Rejection(
        status=status,
        code="model_not_found",
        message=f"The model `{model}` does not exist or you do not have access to it.",
    )


def check_fidelity(model: str, fields: Mapping[str, str]) -> None:
    value = fields.get("input_fidelity")
    if value is None:
        return
    if not is_1_5(model) and not (model.startswith("gpt-image-1-mini") and value == "low"):
        raise Rejection(
            status=400,
            code="invalid_input_fidelity_model",
            kind="image_generation_user_error",
            param="input_fidelity",
            message=f"The model '{model}' does not support the 'input_fidelity' parameter.",
        )
    if value not in {"high", "low"}:
        raise _invalid("input_fidelity")


def check_values(model: str, fields: Mapping[str, str]) -> None:
    older = model.startswith(("gpt-image-1.5", "gpt-image-1-mini"))
    newest = model.startswith(("gpt-image-2.5", "gpt-image-2.6"))
    qualities = QUALITIES | ({"xhigh", "max"} if newest else set())
    size = fields.get("size", "auto")
    output_format = fields.get("output_format", "png")
    compression = fields.get("output_compression")
    takes = {
        "prompt": 1 <= len(fields.get("prompt", "")) <= MAX_PROMPT_CHARS,
        "size": size in FIXED_SIZES if older else _is_free_size(size),
        "quality": fields.get("quality", "auto") in qualities,
        "output_format": output_format in {"png", "jpeg", "webp"},
        "output_compression": compression is None
        or (output_format != "png" and compression.isdigit() and int(compression) <= 100),
        "n": fields.get("n", "1").isdigit() and 1 <= int(fields.get("n", "1")) <= 10,
    }
    for name, fits in takes.items():
        if not fits:
            raise _invalid(name)


def _is_free_size(size: str) -> bool:
    if size == "auto":
        return True
    match = re.fullmatch(r"(\d+)x(\d+)", size)
    if match is None:
        return False
    width, height = int(match[1]), int(match[2])
    return (
        width % 16 == 0
        and height % 16 == 0
        and max(width, height) <= 3840
        and max(width, height) <= 3 * min(width, height)
        and 655_360 <= width * height <= 8_294_400
    )


def _check_pictures(pictures: tuple[Part, ...]) -> None:
    if not 1 <= len(pictures) <= MAX_PICTURES:
        raise _invalid("image")
    for number, picture in enumerate(pictures):
        start = IMAGE_TYPES.get(picture.content_type)
        if start is None or not picture.filename:
            raise Rejection(
                status=400,
                code="unsupported_file_mimetype",
                param=f"image[{number}]",
                message=f"Invalid file 'image[{number}]': unsupported mimetype "
                f"('{picture.content_type or 'application/octet-stream'}').",
            )
        if not picture.data.startswith(start) or len(picture.data) >= MAX_PICTURE_BYTES:
            raise Rejection(
                status=400,
                code="invalid_image_file",
                kind="image_generation_user_error",
                message=f"Invalid image file or mode for image {number + 1}.",
            )


def _invalid(param: str) -> Rejection:
    return Rejection(
        status=400, code="invalid_value", param=param, message=f"Invalid value for '{param}'."
    )
