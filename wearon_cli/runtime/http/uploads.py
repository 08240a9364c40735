"""
Reads the body of `POST /estimate-body`: JSON with addresses, a form with photos, or one photo.

An upload is read only after authentication, in bounded memory and time, and never written to disk.
"""

import json
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, Final

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from pydantic_core import from_json
from python_multipart.multipart import parse_options_header
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException, MultiPartParser

from wearon_cli.core.body.estimate import EstimateRequest
from wearon_cli.core.errors import MeasuringUnavailable, PictureTooLarge
from wearon_cli.runtime.http.edge import MAX_BODY_BYTES, is_upload, media_type_of
from wearon_cli.runtime.http.faults import MOST_NAME_CHARS, faults_of
from wearon_cli.runtime.http.measuring import Photos
from wearon_cli.runtime.http.schemas import (
    EstimateBody,
    EstimateForm,
    EstimateQuery,
    Fault,
    Stated,
)

#: Uploads being read or measured at once. With two photos of 10 MiB each they take 320 MiB at most.
MOST_UPLOADS: Final = 16
#: A form has two files and a handful of fields; a few more are read so that all can be named.
_MOST_FILES: Final = 4
_MOST_FIELDS: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a request asks for, checked."""

    photos: Photos
    request: EstimateRequest


class Uploads:
    """Reads requests; bounds how many uploads are in memory at once."""

    def __init__(self, *, max_picture_bytes: int) -> None:
        """
        Args:
            max_picture_bytes: Largest photo, as for one that is fetched.
        """
        self._max_picture_bytes = max_picture_bytes
        self._inside = 0

    @asynccontextmanager
    async def read(self, request: Request) -> AsyncIterator[Asked]:
        """
        Read a request. Its photos have their place in memory until the context is left.

        Raises:
            RequestValidationError: Naming every fault.
            PictureTooLarge, MeasuringUnavailable, ChartUnusable: It is refused.
            HTTPException: Its body is too large, too slow, or of no kind that is read here.
        """
        if not is_upload(request.scope):
            yield await _read_json(request)
            return
        with self._place():
            if media_type_of(request.scope) == "multipart/form-data":
                yield self._of_form(await _read_form(request))
            else:
                yield self._of_photo(await request.body(), request)

    @contextmanager
    def _place(self) -> Iterator[None]:
        if self._inside >= MOST_UPLOADS:
            raise MeasuringUnavailable("too many photos are being uploaded")
        self._inside += 1
        try:
            yield
        finally:
            self._inside -= 1

    def _of_form(self, given: Mapping[str, str | bytes]) -> Asked:
        form = _checked(EstimateForm, given)
        for photo in (form.image, form.side_image):
            self._require_small(photo or b"")
        return Asked(
            photos=Photos(front=form.image, side=form.side_image), request=form.to_request()
        )

    def _of_photo(self, photo: bytes, request: Request) -> Asked:
        query = _single(request.query_params.multi_items())
        missing = () if photo else (Fault(field="", detail="the photo is missing"),)
        asked = _checked(EstimateQuery, _with_chart(query), further=missing)
        self._require_small(photo)
        return Asked(photos=Photos(front=photo), request=asked.to_request())

    def _require_small(self, photo: bytes) -> None:
        if len(photo) > self._max_picture_bytes:
            raise PictureTooLarge(
                f"the picture has more than {self._max_picture_bytes} bytes",
                hint="send a smaller one",
            )


async def _read_json(request: Request) -> Asked:
    if media_type_of(request.scope) != "application/json":
        raise HTTPException(
            415,
            "send JSON (Content-Type: application/json), a form (multipart/form-data), "
            "or a photo itself (image/jpeg, image/png, image/webp)",
        )
    try:
        document = from_json(await request.body())
    except ValueError as exc:
        raise RequestValidationError([Fault(field="", detail="the request is not JSON")]) from exc
    body = _checked(EstimateBody, document)
    return Asked(
        photos=Photos(front=body.image_url, side=body.side_image_url), request=body.to_request()
    )


class _InMemory(MultiPartParser):
    """Bodies are bounded already: no photo is put on a disk."""

    spool_max_size = 2**31


async def _read_form(request: Request) -> dict[str, str | bytes]:
    """The fields of a form; an empty one counts as not sent, as browsers send those left empty."""
    _require_utf_8(request)
    parser = _InMemory(
        request.headers,
        request.stream(),
        max_files=_MOST_FILES,
        max_fields=_MOST_FIELDS,
        max_part_size=MAX_BODY_BYTES,
    )
    try:
        form = await parser.parse()
    except MultiPartException as exc:
        raise RequestValidationError([Fault(field="", detail=exc.message)]) from exc
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
        HTTPException: The form is in another encoding.
    """
    _, options = parse_options_header(request.headers["content-type"])
    if options.get(b"charset", b"utf-8").lower() not in {b"utf-8", b"utf8"}:
        raise HTTPException(415, "the text of a form must be UTF-8")


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
        return {**given, "chart": json.loads(text)}
    except (ValueError, RecursionError) as exc:
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
