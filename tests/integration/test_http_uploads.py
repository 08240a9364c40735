"""`POST /estimate-body` with uploaded photos: formats, limits and authentication."""

import asyncio
import tempfile
import threading
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from ipaddress import ip_network
from typing import Any

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import SecretStr

from devkit.http_app import ASSETS, ask, client
from devkit.waiting import LONGEST_S, reached
from wearon_cli.adapters.fetch.guarded_http import GuardedFetcher
from wearon_cli.adapters.pose.mediapipe_pose import MediaPipePose
from wearon_cli.adapters.pose.model_file import require_model
from wearon_cli.core.body.pose import PoseReading
from wearon_cli.core.settings import Settings
from wearon_cli.runtime.http import edge, measuring

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

PHOTO = (ASSETS / "person.jpg").read_bytes()
SHIRT = (ASSETS / "garment_tee.jpg").read_bytes()
JPEG = {"content-type": "image/jpeg"}
CHART = '{"name": "store", "sizes": ["36", "38", "40"], "up_to_cm": {"chest": [90, 100]}}'


async def by_form(
    caller: httpx.AsyncClient, files: dict[str, Any] | None = None, **fields: Any
) -> httpx.Response:
    files = files or {"image": ("front.jpg", PHOTO, "image/jpeg")}
    return await caller.post("/estimate-body", files=files, data={"height_cm": "170", **fields})


async def as_body(caller: httpx.AsyncClient, photo: bytes = PHOTO, **query: Any) -> httpx.Response:
    return await caller.post(
        "/estimate-body", content=photo, headers=JPEG, params={"height_cm": "170", **query}
    )


async def test_a_photo_measures_the_same_however_it_is_sent() -> None:
    known: dict[str, Any] = {
        "weight_kg": "70",
        "sex": "female",
        "garment": "dress",
        "chart": "women",
    }
    async with client() as caller:
        answers = [
            await ask(caller, **known | {"weight_kg": 70}),
            await by_form(caller, **known),
            await as_body(caller, **known),
        ]
    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert answers[0].json() == answers[1].json() == answers[2].json()


async def test_the_bytes_decide_the_format_and_not_the_name() -> None:
    async with client() as caller:
        named = await by_form(caller, {"image": ("front.txt", PHOTO, "text/plain")})
        unnamed = await caller.post(
            "/estimate-body?height_cm=170",
            content=PHOTO,
            headers={"content-type": "application/octet-stream"},
        )
    assert (named.status_code, unnamed.status_code) == (200, 200)


async def test_a_stores_chart_comes_in_a_field_a_file_or_the_query() -> None:
    async with client() as caller:
        answers = [
            await by_form(caller, chart=CHART),
            await by_form(caller, {"image": PHOTO, "chart": ("chart.json", CHART.encode())}),
            await as_body(caller, chart=CHART),
        ]
    assert [set(answer.json()["size_odds"]) for answer in answers] == 3 * [{"36", "38", "40"}]


async def test_fields_that_a_browser_leaves_empty_count_as_not_sent() -> None:
    files = {"image": ("front.jpg", PHOTO), "side_image": ("", b"")}
    async with client() as caller:
        answer = await by_form(caller, files, weight_kg="", sex="", chart="")
    assert answer.status_code == 200
    assert answer.json()["based_on"] == "front"


async def test_uploads_have_the_same_gates_as_fetched_photos() -> None:
    async with client() as caller:
        answers = [
            await by_form(caller, {"image": PHOTO, "side_image": PHOTO}),
            await as_body(caller, SHIRT),
            await as_body(caller, b"no picture"),
        ]
    assert [(a.status_code, a.json()["code"]) for a in answers] == [
        (422, "not_from_side"),
        (422, "no_person"),
        (400, "picture_unusable"),
    ]
    assert "URL" not in answers[2].text  # nobody sent one
    assert all(answer.json()["hint"] for answer in answers)


@pytest.mark.parametrize(
    ("sent", "faults"),
    [
        pytest.param(
            {"files": {"photo": PHOTO}, "data": {"height": "170", "weight_kg": "5"}},
            {
                ("height_cm", ""),
                ("weight_kg", "a number of kilograms, 25 to 300"),
                ("image", ""),
                ("height", "did you mean height_cm?"),
                ("photo", "did you mean image?"),
            },
            id="form",
        ),
        pytest.param(
            {"json": {"height": 170, "image": "x", "gender": "f", "chart": {"sizes": ["a"]}}},
            {
                ("height_cm", ""),
                ("image_url", ""),
                ("height", "did you mean height_cm?"),
                ("image", "did you mean image_url?"),
                ("gender", "did you mean sex?"),
                ("chart.name", ""),
                ("chart.sizes", ""),
                ("chart.up_to_cm", ""),
            },
            id="json",
        ),
        pytest.param(
            {"content": b"", "headers": JPEG, "params": {"hight_cm": 170, "q": 1}},
            {("", ""), ("height_cm", ""), ("hight_cm", "did you mean height_cm?"), ("q", "")},
            id="photo",
        ),
        pytest.param({"json": [1]}, {("", "")}, id="a list"),
        pytest.param(
            {"files": {"image": PHOTO}, "data": {"height_cm": ["170", "180"]}},
            {("height_cm", "")},
            id="given twice",
        ),
        pytest.param({"data": {"chart": "{"}, "files": {"image": PHOTO}}, {("chart", "")}),
        pytest.param({"data": {"image": "x"}, "files": {"q": b"x"}}, None, id="text for a file"),
    ],
)
async def test_all_errors_are_reported_at_once_with_similar_names(
    sent: dict[str, Any], faults: set[tuple[str, str]] | None
) -> None:
    async with client() as caller:
        answer = await caller.post("/estimate-body", **sent)
    told = answer.json()
    assert (answer.status_code, told["code"]) == (422, "invalid_request")
    assert all(fault["detail"] in told["detail"] for fault in told["faults"])
    if faults is not None:
        assert {(fault["field"], fault["hint"]) for fault in told["faults"]} == faults


async def test_a_thousand_errors_are_reported_in_a_few_lines() -> None:
    async with client() as caller:
        answer = await caller.post("/estimate-body", json={f"{'x' * 500}{i}": 1 for i in range(99)})
    assert len(answer.json()["faults"]) == 16
    assert answer.json()["detail"].endswith("and 85 more")  # height_cm and image_url are missing
    assert len(answer.text) < 4000


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "text/plain", ""])
async def test_an_unsupported_body_type_lists_the_supported_ones(kind: str) -> None:
    async with client() as caller:
        answer = await caller.post(
            "/estimate-body", content=b'{"height_cm": 170}', headers={"content-type": kind}
        )
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")
    assert "application/json" in answer.json()["hint"]


async def test_uploads_have_the_size_limits_of_fetched_photos() -> None:
    small = Settings(max_picture_bytes=len(PHOTO))
    async with client(settings=small) as caller:
        fits = await by_form(caller)
        larger = await by_form(caller, {"image": PHOTO + b"x"})
        flood = await as_body(caller, bytes(2 * len(PHOTO) + edge.MAX_BODY_BYTES + 1))
    assert fits.status_code == 200
    assert (larger.status_code, larger.json()["code"]) == (400, "picture_too_large")
    assert (flood.status_code, flood.json()["code"]) == (413, "request_too_large")


@pytest.mark.parametrize("charset", ["punycode", "undefined", "iso-8859-1"])
async def test_the_text_of_a_form_is_utf_8(charset: str) -> None:
    """Python knows encodings that end in an error, or take a second for each field of 64 kB."""
    form = b'--x\r\nContent-Disposition: form-data; name="sex"\r\n\r\na-999999\r\n--x--\r\n'
    kind = f"multipart/form-data; boundary=x; charset={charset}"
    async with client() as caller:
        answer = await caller.post("/estimate-body", content=form, headers={"content-type": kind})
        usual = await caller.post(
            "/estimate-body",
            content=form,
            headers={"content-type": "multipart/form-data; boundary=x; charset=UTF-8"},
        )
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")
    assert usual.status_code == 422


async def test_a_chart_is_read_only_if_it_is_small() -> None:
    """Seen: 20 MB of nested lists blocked the event loop for a second and took 550 MB of memory."""
    deep = b'{"a": [' + b"[]," * 40_000 + b"[]]}"
    async with client() as caller:
        answer = await by_form(caller, {"image": PHOTO, "chart": ("chart.json", deep)})
    assert answer.status_code == 422
    (fault,) = answer.json()["faults"]
    assert (fault["field"], fault["detail"]) == ("chart", "may have 65536 bytes at most")


class Body:
    """A request's body that counts how much was read, and stays open until it is closed."""

    def __init__(self, first: bytes = b"") -> None:
        self._first = first
        self.asked = 0
        self.go_on = asyncio.Event()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        self.asked += 1
        yield self._first
        await self.go_on.wait()


@pytest.mark.parametrize(
    ("settings", "status"),
    [
        pytest.param({"http_token": SecretStr("letmein-1234")}, 401, id="no token"),
        pytest.param({"http_requests_per_minute": 1}, 429, id="too often"),
    ],
)
async def test_photos_of_unauthenticated_callers_are_not_read(
    settings: dict[str, Any], status: int
) -> None:
    body = Body()
    async with client(settings=Settings(**settings)) as caller:
        if status == 429:
            await ask(caller)
        refused = await caller.post("/estimate-body?height_cm=170", content=body, headers=JPEG)
    assert refused.status_code == status
    assert body.asked == 0
    assert (
        refused.headers["connection"] == "close"
    )  # the unread rest is not taken for the next request


async def test_an_upload_that_never_ends_times_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edge, "UPLOAD_TIMEOUT_S", 0.05)
    async with client() as caller:
        answer = await caller.post("/estimate-body", content=Body(b"x"), headers=JPEG)
    assert (answer.status_code, answer.json()["code"]) == (408, "request_timeout")
    assert answer.headers["connection"] == "close"


async def test_an_upload_that_stalls_times_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Long before the time limit of an upload that goes on."""
    monkeypatch.setattr(edge, "UPLOAD_TIMEOUT_S", 2 * LONGEST_S)
    monkeypatch.setattr(edge, "UPLOAD_STALL_S", 0.05)
    async with client() as caller:
        answer = await caller.post("/estimate-body", content=Body(b"x"), headers=JPEG)
    assert (answer.status_code, answer.json()["code"]) == (408, "request_timeout")


async def test_bytes_that_arrive_extend_the_time_limit() -> None:
    sizes_bytes = (0, 160 * 1024, 320 * 1024, 20 * 2**20)
    assert [*map(edge.upload_allowed_s, sizes_bytes)] == [10, 20, 30, 30]


PROXY = "203.0.113.9"  # the peer of the client of these tests
PROXIED = Settings(max_picture_bytes=len(PHOTO), http_trusted_proxies=(ip_network(PROXY),))


def of(caller: str) -> dict[str, str]:
    return {"x-forwarded-for": caller}


async def test_slow_uploads_do_not_block_others() -> None:
    """Seen: sixteen of them kept everybody else at 503."""
    bodies = [Body(PHOTO[:1000]) for _ in range(40)]
    url = "/estimate-body?height_cm=170"
    async with client(settings=PROXIED) as caller:
        slow = [asyncio.create_task(caller.post(url, content=b, headers=JPEG)) for b in bodies]
        await reached(lambda: all(body.asked for body in bodies))
        answers = [await as_body(caller), await by_form(caller), await ask(caller)]
        for body in bodies:
            body.go_on.set()
        await asyncio.gather(*slow)
    assert [answer.status_code for answer in answers] == [200, 200, 200]


async def test_one_caller_gets_half_of_the_memory_for_photos() -> None:
    """The rest is for others, also while it sends as much as it may."""
    photo = (SHIRT * 2)[: len(PHOTO)]
    many = {"content-type": "image/jpeg", **of("198.51.100.1")}
    bodies = [Body(photo) for _ in range(2 * measuring.MOST_LARGEST)]
    url = "/estimate-body?height_cm=170"
    async with client(settings=PROXIED) as caller:
        held = [asyncio.create_task(caller.post(url, content=b, headers=many)) for b in bodies]
        await reached(lambda: sum(task.done() for task in held) >= measuring.MOST_LARGEST)
        refused = [task.result() for task in held if task.done()]
        others = await caller.post(url, content=PHOTO, headers={**JPEG, **of("198.51.100.2")})
        fetched = await ask(caller)
        for body in bodies:
            body.go_on.set()
        await asyncio.gather(*held)
        again = await caller.post(url, content=PHOTO, headers=many)
    assert {answer.status_code for answer in refused} == {503}
    assert all(int(answer.headers["retry-after"]) > 0 for answer in refused)
    assert "memory" in refused[0].json()["detail"]
    assert [each.status_code for each in (others, fetched, again)] == [200, 200, 200]


@asynccontextmanager
async def slow_host(go_on: asyncio.Event) -> AsyncIterator[str]:
    """A host that keeps the last byte of every photo back until it is told to go on."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        length = f"Content-Length: {len(PHOTO)}\r\nConnection: close\r\n\r\n"
        head = "HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\n" + length
        writer.write(head.encode() + PHOTO[:-1])
        await go_on.wait()
        writer.write(PHOTO[-1:])
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


async def test_photos_that_are_fetched_share_the_same_memory() -> None:
    """Seen: 64 requests at a time could each fetch two photos of 10 MiB."""
    go_on, most = asyncio.Event(), measuring.MOST_LARGEST
    async with slow_host(go_on) as origin, AsyncExitStack() as stack:
        fetcher = GuardedFetcher(
            trusted_origins=(origin,), max_bytes=len(PHOTO), total_timeout_s=LONGEST_S
        )
        stack.push_async_callback(fetcher.aclose)
        caller = await stack.enter_async_context(client(settings=PROXIED, photos=fetcher))
        asked = {"image_url": f"{origin}/a.jpg", "height_cm": 170}
        held = [asyncio.create_task(caller.post("/estimate-body", json=asked)) for _ in range(40)]
        await reached(lambda: sum(task.done() for task in held) >= 40 - most)
        other = await caller.post(
            "/estimate-body?height_cm=170", content=PHOTO, headers={**JPEG, **of("198.51.100.2")}
        )
        go_on.set()
        statuses = Counter(answer.status_code for answer in await asyncio.gather(*held))
    assert statuses == {200: most, 503: 40 - most}
    assert other.status_code == 200


class SlowPose(MediaPipePose):
    """A pose network that waits for a signal."""

    go_on = threading.Event()
    asked = 0

    def read(self, rgb: NDArray[np.uint8]) -> tuple[PoseReading, ...]:
        SlowPose.asked += 1
        assert self.go_on.wait(LONGEST_S)
        return super().read(rgb)


def slow_reader() -> SlowPose:
    return SlowPose(require_model(Settings()))


async def test_photos_that_wait_to_be_measured_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seen: uploads gave their memory back once read, so 64 of 20 MiB waited in addition."""
    monkeypatch.setattr(measuring, "MOST_LARGEST", 2)  # two photos for one caller
    async with client(settings=PROXIED, reader=slow_reader) as caller:

        async def is_ready() -> bool:
            return (await caller.get("/health/ready")).status_code == 200

        await reached(is_ready)
        waiting = [asyncio.create_task(as_body(caller)) for _ in range(2)]
        try:
            await reached(lambda: SlowPose.asked > 0)
            asking = asyncio.create_task(as_body(caller))
            await asyncio.wait({asking}, timeout=LONGEST_S / 9)
            assert asking.done()
            refused = await asking
        finally:
            SlowPose.go_on.set()
        served = await asyncio.gather(*waiting)
        again = await as_body(caller)
    assert refused.status_code == 503
    assert [answer.status_code for answer in (*served, again)] == [200, 200, 200]


async def test_photos_are_never_written_to_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/nonexistent")
    assert len(PHOTO) > 0
    padded = PHOTO + bytes(3 * 1024 * 1024)  # more than starlette keeps in memory by itself
    async with client() as caller:
        answer = await by_form(caller, {"image": padded})
    assert answer.status_code == 200
