"""
Reads the body of `POST /estimate-body`: JSON with addresses, a form with photos, or one photo.

An upload is read only after authentication, in memory that was set aside for it, and never written
to disk.
"""

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from pydantic_core import from_json
from python_multipart.multipart import parse_options_header
from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from wearon_cli.core.body.estimate import EstimateRequest
from wearon_cli.core.errors import PictureTooLarge
from wearon_cli.core.pictures.ports import Reserve
from wearon_cli.runtime.http.edge import (
    MAX_BODY_BYTES,
    Refused,
    is_upload,
    max_upload_bytes,
    media_type_of,
    too_large,
)
from wearon_cli.runtime.http.faults import CUT_FORM, MOST_NAME_CHARS, faults_of, form_fault
from wearon_cli.runtime.http.measuring import Photos
from wearon_cli.runtime.http.schemas import (
    EstimateBody,
    EstimateForm,
    EstimateQuery,
    Fault,
    Stated,
)

#: A form has two files and a handful of fields; a few more are read so that all can be named.
_MOST_FILES: Final = 4
_MOST_FIELDS: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a request asks for, checked."""

    photos: Photos
    request: EstimateRequest


async def read_request(request: Request, *, max_picture_bytes: int, reserve: Reserve) -> Asked:
    """
    Read a request.

    Args:
        request: Its body is not read yet.
        max_picture_bytes: Largest photo, as for one that is fetched.
        reserve: Of the memory for this request.

    Raises:
        RequestValidationError: Naming every fault.
        PictureTooLarge, MeasuringUnavailable, ChartUnusable: It is refused.
        Refused: Its body is too large, too slow, or of no kind that is read here.
    """
    if not is_upload(request.scope):
        return await _read_json(request)
    body = _stream(request, max_upload_bytes(max_picture_bytes), reserve)
    if media_type_of(request.scope) == "multipart/form-data":
        asked = _of_form(await _read_form(request, body), further=_misplaced(request))
    else:
        asked = _of_photo(b"".join([part async for part in body]), request)
    for photo in (asked.photos.front, asked.photos.side or b""):
        if len(photo) > max_picture_bytes:
            raise PictureTooLarge(
                f"the picture has more than {max_picture_bytes} bytes", hint="send a smaller one"
            )
    return asked


async def _stream(
    request: Request, most_bytes: int, reserve: Reserve
) -> AsyncGenerator[bytes, None]:
    """
    The body in parts. Memory is reserved for all of it at once where its size is announced: if
    many began to read, and all were refused on the way, none would be answered.
    """
    reserved_bytes = int(request.headers.get("content-length", 0))
    if reserved_bytes > most_bytes:
        raise too_large(most_bytes)
    reserve(reserved_bytes)
    size_bytes = 0
    async for part in request.stream():
        size_bytes += len(part)
        if size_bytes > reserved_bytes:
            reserve(size_bytes - reserved_bytes)
            reserved_bytes = size_bytes
        yield part


def _of_form(given: Mapping[str, str | bytes], *, further: Sequence[Fault]) -> Asked:
    form = _checked(EstimateForm, given, further=further)
    return Asked(photos=Photos(front=form.image, side=form.side_image), request=form.to_request())


def _of_photo(photo: bytes, request: Request) -> Asked:
    query = _single(request.query_params.multi_items())
    missing = () if photo else (Fault(field="", detail="the photo is missing"),)
    asked = _checked(EstimateQuery, _with_chart(query), further=missing)
    return Asked(photos=Photos(front=photo), request=asked.to_request())


async def _read_json(request: Request) -> Asked:
    if media_type_of(request.scope) != "application/json":
        raise Refused(
            415,
            "the content type is not supported",
            hint="send JSON (Content-Type: application/json), a form (multipart/form-data), "
            "or a photo itself (image/jpeg, image/png, image/webp)",
        )
    try:
        document = from_json(await request.body())
    except ValueError as exc:
        raise RequestValidationError([Fault(field="", detail="the request is not JSON")]) from exc
    body = _checked(EstimateBody, document, further=_misplaced(request))
    return Asked(
        photos=Photos(front=body.image_url, side=body.side_image_url), request=body.to_request()
    )


def _misplaced(request: Request) -> list[Fault]:
    """Query parameters of a request whose body holds the fields itself."""
    return [
        Fault(
            field=name[:MOST_NAME_CHARS],
            detail="query parameters are read only with a photo as the body",
            hint="send it in the body",
        )
        for name in request.query_params
    ]


class _InMemory(MultiPartParser):
    """Puts no photo on a disk, since bodies are bounded, and takes no form without its end."""

    spool_max_size = 2**31

    def __init__(
        self, headers: Headers, stream: AsyncGenerator[bytes, None], **limits: int
    ) -> None:
        super().__init__(headers, self._up_to_the_end(stream), **limits)
        self._is_whole = False

    def on_end(self) -> None:
        self._is_whole = True

    async def _up_to_the_end(
        self, stream: AsyncGenerator[bytes, None]
    ) -> AsyncGenerator[bytes, None]:
        async for part in stream:
            yield part
        if not self._is_whole:
            raise MultiPartException(CUT_FORM)


async def _read_form(request: Request, body: AsyncGenerator[bytes, None]) -> dict[str, str | bytes]:
    """The fields of a form; an empty one counts as not sent, as browsers send those left empty."""
    _require_utf_8(request)
    parser = _InMemory(
        request.headers,
        body,
        max_files=_MOST_FILES,
        max_fields=_MOST_FIELDS,
        max_part_size=MAX_BODY_BYTES,
    )
    try:
        form = await parser.parse()
    except MultiPartException as exc:
        raise RequestValidationError([form_fault(exc.message)]) from exc
    items = [
        (name, await value.read() if isinstance(value, UploadFile) else value)
        for name, value in form.multi_items()
    ]
    await form.close()
    return _with_chart(_single(items))


def _require_utf_8(request: Request) -> None:
    """
    The parser would take the caller's word for any encoding that Python knows. Some of them end in
    errors of their own, and punycode takes a time that grows with the square of a text.

    Raises:
        Refused: The form is in another encoding.
    """
    _, options = parse_options_header(request.headers["content-type"])
    if options.get(b"charset", b"utf-8").lower() not in {b"utf-8", b"utf8"}:
        raise Refused(
            415, "the text of a form must be UTF-8", hint="leave out charset in Content-Type"
        )


def _single(items: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """
    Raises:
        RequestValidationError: A field is given twice.
    """
    given = [(name, value) for name, value in items if value not in {"", b""}]
    names = [name for name, _ in given]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise RequestValidationError(
            [Fault(field=name[:MOST_NAME_CHARS], detail="is given twice") for name in twice]
        )
    return dict(given)


def _with_chart(given: dict[str, Any]) -> dict[str, Any]:
    """A store's own chart comes as JSON, in a text field or as a file."""
    chart = given.get("chart", "")
    if len(chart) > MAX_BODY_BYTES:
        large = Fault(field="chart", detail=f"may have {MAX_BODY_BYTES} bytes at most")
        raise RequestValidationError([large])
    text = chart.decode(errors="replace") if isinstance(chart, bytes) else chart
    if not text.lstrip().startswith("{"):
        return given
    try:
        return {**given, "chart": from_json(text)}
    except ValueError as exc:
        raise RequestValidationError([Fault(field="chart", detail="is not JSON")]) from exc


def _checked[Model: Stated](
    model: type[Model], given: object, *, further: Sequence[Fault] = ()
) -> Model:
    """
    Raises:
        RequestValidationError: With everything that is wrong.
    """
    try:
        checked = model.model_validate(given)
    except ValidationError as exc:
        found = faults_of(exc, tuple(model.model_fields))
        raise RequestValidationError([*further, *found]) from exc
    if further:
        raise RequestValidationError(further)
    return checked
