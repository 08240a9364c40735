"""Requests of clients that are wrong or hostile: each is refused in a sentence, with a hint."""

import gzip
import json
from collections.abc import Iterator
from typing import Any, Final

import pytest

from devkit.http_app import ASSETS, ask, client

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

PHOTO = (ASSETS / "person.jpg").read_bytes()
PATH = "/estimate-body"
WITH_HEIGHT = f"{PATH}?height_cm=170"
FORM: Final = {"content-type": "multipart/form-data; boundary=x"}
JSON: Final = {"content-type": "application/json"}
JPEG: Final = {"content-type": "image/jpeg"}
DISPOSITION: Final = b"Content-Disposition: form-data; name="
IMAGE = (DISPOSITION + b'"image"; filename="a.jpg"', PHOTO)
HEIGHT = (DISPOSITION + b'"height_cm"', b"170")


def form(*parts: tuple[bytes, bytes], end: bytes = b"--x--\r\n") -> bytes:
    return b"".join(b"--x\r\n%b\r\n\r\n%b\r\n" % part for part in parts) + end


def fields(count: int) -> list[tuple[bytes, bytes]]:
    return [(DISPOSITION + b'"f%d"' % number, b"1") for number in range(count)]


def in_json(height: bytes) -> bytes:
    return b'{"image_url": "https://photos.example/a.jpg", "height_cm": ' + height + b"}"


FORMS: dict[str, tuple[bytes, str]] = {
    "10,000 fields": (form(*fields(10_000)), "too many fields"),
    "20 files": (form(*20 * [IMAGE], HEIGHT), "too many files"),
    "no end": (form(IMAGE, HEIGHT, end=b""), "ends before its last boundary"),
    "cut within the photo": (form(HEIGHT, IMAGE, end=b"")[:-999], "ends before its last boundary"),
    "nothing": (b"", "ends before its last boundary"),
    "another boundary": (form(IMAGE, HEIGHT).replace(b"--x", b"--y"), "is damaged"),
    "a part without a name": (form(IMAGE, HEIGHT, (b"X: y", b"1")), "has no name"),
    "headers of 99 kB": (form(IMAGE, HEIGHT, (b"X: " + 99_000 * b"y", b"1")), "is damaged"),
    "a field of 70 kB": (form(IMAGE, HEIGHT, (HEIGHT[0], 70_000 * b"1")), "is too large"),
    "two photos from the front": (form(IMAGE, IMAGE, HEIGHT), "image: is given twice"),
    "text for the photo": (form((DISPOSITION + b'"image"', b"x"), HEIGHT), "image: must be a file"),
}


@pytest.mark.parametrize("name", FORMS)
async def test_a_form_that_cannot_be_read_is_named(name: str) -> None:
    body, told = FORMS[name]
    async with client() as caller:
        answer = await caller.post(PATH, content=body, headers=FORM)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert told in answer.json()["detail"]
    assert answer.json()["hint"]


@pytest.mark.parametrize("boundary", ["", "; boundary=", "; boundary=" + 300 * "b"])
async def test_a_form_without_a_usable_boundary_is_refused(boundary: str) -> None:
    kind = {"content-type": "multipart/form-data" + boundary}
    async with client() as caller:
        answer = await caller.post(PATH, content=form(IMAGE, HEIGHT), headers=kind)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")


@pytest.mark.parametrize(
    "filename", [b"../../etc/passwd", b"a\0.jpg", b"", b"x" * 3000, "\u202egpj".encode()]
)
async def test_the_name_of_a_file_means_nothing(filename: bytes) -> None:
    image = (DISPOSITION + b'"image"; filename="' + filename + b'"', PHOTO)
    async with client() as caller:
        answer = await caller.post(PATH, content=form(image, HEIGHT), headers=FORM)
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "height",
    ["NaN", "Infinity", "-Infinity", "1e400", "1.72", "172cm", "172,5", "\uff11\uff17\uff12"],
)
async def test_a_height_is_a_number_of_centimetres(height: str) -> None:
    async with client() as caller:
        as_field = await caller.post(PATH, files={"image": PHOTO}, data={"height_cm": height})
        in_query = await caller.post(
            PATH, content=PHOTO, headers=JPEG, params={"height_cm": height}
        )
    for answer in (as_field, in_query):
        assert answer.status_code == 422
        assert answer.json()["hint"] == "a number of centimetres, 100 to 250"


@pytest.mark.parametrize("height", [b"NaN", b"Infinity", b"1e400", b"true", b"null", b"[170]"])
async def test_a_height_in_json_is_a_number_of_centimetres(height: bytes) -> None:
    async with client() as caller:
        answer = await caller.post(PATH, content=in_json(height), headers=JSON)
    assert answer.status_code == 422
    assert answer.json()["hint"] == "a number of centimetres, 100 to 250"


@pytest.mark.parametrize(
    "chart",
    [
        '{"name": "x", "sizes": ["a", "b"], "up_to_cm": {"chest": [NaN]}}',
        '{"name": "\\ud800", "sizes": ["a", "b"], "up_to_cm": {"chest": [90]}}',
        '{"\\ud800": 1}',
        '{"a":' * 3000,
    ],
)
async def test_a_chart_that_cannot_be_used_is_refused(chart: str) -> None:
    async with client() as caller:
        answer = await caller.post(
            PATH, files={"image": PHOTO}, data={"height_cm": "170", "chart": chart}
        )
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith("chart")


def in_parts(body: bytes) -> Iterator[bytes]:
    yield body[:1000]
    yield body[1000:]


REQUESTS: dict[str, tuple[dict[str, Any], int, str]] = {
    "gzip": (
        {"content": gzip.compress(PHOTO), "headers": JPEG | {"content-encoding": "gzip"}},
        415,
        "the body is compressed",
    ),
    "gzip that is not announced": (
        {"url": WITH_HEIGHT, "content": gzip.compress(PHOTO), "headers": JPEG},
        400,
        "not a supported picture",
    ),
    "a query next to a form": (
        {"url": WITH_HEIGHT, "files": {"image": PHOTO}, "data": {"height_cm": "180"}},
        422,
        "height_cm: query parameters are read only with a photo as the body",
    ),
    "a query next to JSON": (
        {"url": WITH_HEIGHT, "json": {"image_url": "https://photos.example/a.jpg"}},
        422,
        "height_cm: query parameters are read only with a photo as the body",
    ),
    "HEIC": (
        {"url": WITH_HEIGHT, "content": b"\0\0\0\x18ftypheic" + bytes(99), "headers": JPEG},
        400,
        "HEIC files are not supported",
    ),
    "SVG": ({"url": WITH_HEIGHT, "content": b"<svg/>", "headers": JPEG}, 400, "SVG"),
    "JSON in UTF-16": ({"content": "{}".encode("utf-16"), "headers": JSON}, 422, "is not JSON"),
    "no JSON": ({"content": b"", "headers": JSON}, 422, "is not JSON"),
    "a longer path": ({"url": PATH + "/", "json": {}}, 404, "there is no such path"),
    "a longer body than allowed": (
        {"content": b"x", "headers": JPEG | {"content-length": "99999999"}},
        413,
        "at most 21037056 bytes",
    ),
}


@pytest.mark.parametrize("name", REQUESTS)
async def test_each_refusal_says_what_is_wrong_and_what_to_do(name: str) -> None:
    request, status, told = REQUESTS[name]
    async with client() as caller:
        answer = await caller.post(**{"url": PATH} | request)
    assert answer.status_code == status
    assert told in answer.json()["detail"]
    assert answer.json()["hint"]


async def test_a_photo_may_come_in_parts() -> None:
    async with client() as caller:
        whole = await ask(caller)
        parted = await caller.post(
            WITH_HEIGHT, content=async_parts(), headers=JPEG | {"transfer-encoding": "chunked"}
        )
    assert json.loads(parted.text) == json.loads(whole.text)


async def async_parts() -> Any:
    for part in in_parts(PHOTO):
        yield part
