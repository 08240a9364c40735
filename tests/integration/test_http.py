"""The HTTP app with the real pose network; photos come from a dictionary."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from devkit.http_app import ASSETS, PERSON, Photos, ask, client, no_model, open_reader
from devkit.waiting import reached
from wearon_cli.adapters.local.storage import LocalStorage
from wearon_cli.adapters.pose.mediapipe_pose import MediaPipePose
from wearon_cli.core.jobs.breakers import Halt
from wearon_cli.core.jobs.halts import HaltState, halt_state
from wearon_cli.core.settings import Settings
from wearon_cli.runtime.http import edge, measuring

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

#: What existing callers parse; they reject an answer with other keys (HTTP contract).
KNOWN_MEASUREMENTS = {
    *("chest_cm", "waist_cm", "hip_cm", "shoulder_cm", "inseam_cm", "height_cm"),
}


CHEST_UNKNOWN = {"name": "x", "sizes": ["a", "b"], "up_to_cm": {"hip": [90]}}


async def test_the_answer_is_what_existing_callers_parse() -> None:
    async with client() as caller:
        answer = await ask(caller)
    assert answer.status_code == 200
    body = answer.json()
    assert set(body["measurements"]) <= KNOWN_MEASUREMENTS
    assert {"chest_cm", "waist_cm", "hip_cm"} <= set(body["measurements"])
    assert all(isinstance(value, float) for value in body["measurements"].values())
    assert body["measurements"]["height_cm"] == 170
    assert body["recommended_size"] in {"XS", "S", "M", "L", "XL", "XXL"}
    assert 0 <= body["confidence"] <= 1
    assert body["confidence"] == pytest.approx(body["size_odds"][body["recommended_size"]])
    assert set(body["size_range"]) == {"lower", "upper"}
    low, high = body["bands"]["chest_cm"]
    assert low < body["measurements"]["chest_cm"] < high


async def test_a_taller_person_of_the_same_outline_is_larger_all_over() -> None:
    async with client() as caller:
        short, tall = [(await ask(caller, height_cm=h)).json() for h in (150, 190)]
    for girth in ("chest_cm", "waist_cm", "hip_cm"):
        assert tall["measurements"][girth] > short["measurements"][girth] + 10


async def test_the_weight_narrows_the_bands() -> None:
    async with client() as caller:
        without, with_it = (await ask(caller)).json(), (await ask(caller, weight_kg=70)).json()

    def width(body: dict[str, Any]) -> float:
        low, high = body["bands"]["waist_cm"]
        return float(high - low)

    assert width(with_it) < width(without)


async def test_a_refused_side_photo_is_named() -> None:
    async with client() as caller:
        answer = await ask(caller, side_image_url=PERSON)
    assert (answer.status_code, answer.json()["code"]) == (422, "not_from_side")
    assert answer.json()["hint"]


async def test_a_stores_own_chart_names_the_sizes() -> None:
    chart = {"name": "store", "sizes": ["36", "38", "40"], "up_to_cm": {"chest": [90, 100]}}
    async with client() as caller:
        body = (await ask(caller, chart=chart)).json()
    assert set(body["size_odds"]) == {"36", "38", "40"}


@pytest.mark.parametrize(
    ("wrong", "status", "code"),
    [
        ({"height_cm": 99}, 422, "invalid_request"),
        ({"height_cm": 251}, 422, "invalid_request"),
        ({"height_cm": "tall"}, 422, "invalid_request"),
        ({"height_cm": None}, 422, "invalid_request"),
        ({"image_url": ""}, 422, "invalid_request"),
        ({"image_url": 7}, 422, "invalid_request"),
        ({"weight_kg": 5}, 422, "invalid_request"),
        ({"surprise": 1}, 422, "invalid_request"),
        ({"chart": {"name": "x", "sizes": ["a"], "up_to_cm": {}}}, 422, "invalid_request"),
        ({"chart": CHEST_UNKNOWN}, 422, "chart_unusable"),
        ({"image_url": "http://photos.example/person.jpg"}, 400, "picture_forbidden"),
        ({"image_url": "https://photos.example/gone.jpg?token=s3cret"}, 400, "picture_unavailable"),
        ({"image_url": "https://photos.example/text.jpg"}, 400, "picture_unusable"),
        ({"image_url": "https://photos.example/shirt.jpg"}, 422, "no_person"),
    ],
)
async def test_a_refused_request_says_why(wrong: dict[str, Any], status: int, code: str) -> None:
    async with client() as caller:
        answer = await ask(caller, **wrong)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.json()["detail"]
    assert "s3cret" not in answer.text
    if status == 400:
        assert answer.json()["detail"].startswith("Invalid or inaccessible image URL")


async def test_a_body_that_is_not_json_is_refused() -> None:
    async with client() as caller:
        answer = await caller.post("/estimate-body", content=b"{", headers=JSON)
    assert (answer.status_code, answer.json()["detail"]) == (422, "the request is not JSON")


JSON = {"content-type": "application/json"}


async def test_a_request_that_is_too_large_is_not_read() -> None:
    async with client() as caller:
        answer = await caller.post(
            "/estimate-body", content=b" " * (edge.MAX_BODY_BYTES + 1), headers=JSON
        )
    assert answer.status_code == 413


async def test_a_request_that_never_ends_times_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edge, "BODY_TIMEOUT_S", 0.05)

    async def slowly() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.Event().wait()

    async with client() as caller:
        answer = await caller.post("/estimate-body", content=slowly(), headers=JSON)
    assert answer.status_code == 408


@pytest.mark.parametrize(
    ("sent", "echoed"),
    [("req-7f.1:a", True), ("", False), ("two words", False), ("x" * 129, False)],
)
async def test_a_request_id_is_echoed_when_it_can_be_logged(sent: str, echoed: bool) -> None:
    async with client() as caller:
        answer = await caller.get("/health", headers={"X-Request-Id": sent})
    given = answer.headers["x-request-id"]
    assert given
    assert (given == sent) is echoed


async def test_every_answer_has_the_headers_that_guard_a_browser() -> None:
    async with client() as caller:
        answers = [await caller.get(path) for path in ("/health", "/nothing", "/docs")]
    for answer in answers:
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert "server" not in answer.headers
    assert [a.status_code for a in answers] == [200, 404, 404]


async def test_head_is_answered_where_get_is() -> None:
    """Monitors of availability and load balancers ask so; they were told 405."""
    async with client() as caller:
        answers = [await caller.head(path) for path in ("/health", "/health/ready", "/nothing")]
        post_only = await caller.head("/estimate-body")
    assert [answer.status_code for answer in answers] == [200, 200, 404]
    assert (post_only.status_code, post_only.headers["allow"]) == (405, "POST")


async def test_the_reference_is_shown_only_when_asked_for() -> None:
    async with client(settings=Settings(http_docs=True)) as caller:
        page, document = await caller.get("/docs"), await caller.get("/openapi.json")
    assert page.status_code == 200
    assert set(document.json()["paths"]) >= {"/estimate-body", "/health"}


@pytest.mark.parametrize(
    ("header", "status"),
    [
        (None, 401),
        ("Bearer wrong", 401),
        ("Basic letmein-1234", 401),
        ("Bearer letmein-1234", 200),
    ],
)
async def test_with_a_token_only_its_holders_are_answered(header: str | None, status: int) -> None:
    settings = Settings(http_token=SecretStr("letmein-1234"))
    async with client(settings=settings) as caller:
        if header:
            caller.headers["Authorization"] = header
        answer = await ask(caller)
        assert (await caller.get("/health")).status_code == 200
    assert answer.status_code == status


async def test_a_caller_that_asks_too_often_is_slowed_down() -> None:
    async with client(settings=Settings(http_requests_per_minute=3)) as caller:
        answers = [await ask(caller, height_cm=1) for _ in range(3)]
        await ask(caller, height_cm=1)  # one too many is let through where a minute begins
        refused = await ask(caller)
    # Requests that cannot be used count: they cost the caller nothing to send.
    assert [a.status_code for a in answers] == [422, 422, 422]
    assert refused.status_code == 429
    assert int(refused.headers["retry-after"]) > 0


async def test_without_a_model_health_is_degraded_and_measuring_unavailable() -> None:
    async with client(reader=no_model) as caller:
        health, ready, live = [
            await caller.get(path) for path in ("/health", "/health/ready", "/health/live")
        ]
        answer = await ask(caller)
    assert health.json()["status"] == "degraded"
    assert health.json()["model_loaded"] is False
    assert (ready.status_code, live.status_code) == (503, 200)
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0


async def test_a_model_that_appears_later_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measuring, "LOOK_AGAIN_S", 0.01)
    looks = 0

    def third_time() -> MediaPipePose:
        nonlocal looks
        if looks < 2:
            looks += 1
            return no_model()
        found = open_reader()
        looks += 1
        return found

    async with client(reader=third_time) as caller:
        await reached(lambda: is_ready(caller))
        assert (await ask(caller)).status_code == 200
    assert looks == 3


async def is_ready(caller: httpx.AsyncClient) -> bool:
    return (await caller.get("/health/ready")).status_code == 200


async def test_health_follows_redis(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wearon_cli.runtime.http.health.LOOK_EVERY_S", 0.01)
    monkeypatch.setattr("wearon_cli.runtime.http.health.LOOK_AGAIN_S", 0.01)
    works = halt_state([], Settings())
    states: list[HaltState | None] = [works]

    async def look() -> HaltState | None:
        return states[-1]

    async with client(look_for_halts=look) as caller:
        for state, status in ((works, "ok"), (None, "degraded"), (works, "ok")):
            states.append(state)
            await reached(partial(has_status, caller, status))
            assert (await caller.get("/health")).json()["redis_connected"] is (state is not None)


async def test_health_reports_what_is_halted() -> None:
    since = datetime(2026, 1, 2, 12, tzinfo=UTC)
    halt = Halt(name="storage", reason="store_unavailable", since=since, next_probe_at=since)

    async def look() -> HaltState | None:
        return halt_state([halt], Settings())

    async with client(look_for_halts=look) as caller:
        health = (await caller.get("/health")).json()
    assert health == {
        "status": "degraded",
        "model_loaded": True,
        "redis_connected": True,
        "halted": [
            {
                "name": "storage",
                "reason": "store_unavailable",
                "since": "2026-01-02T12:00:00Z",
                "next_probe_at": "2026-01-02T12:00:00Z",
            }
        ],
        "refunds_from": "2026-01-02T12:30:00Z",
    }


async def has_status(caller: httpx.AsyncClient, status: str) -> bool:
    return bool((await caller.get("/health")).json()["status"] == status)


async def test_photos_beyond_the_queue_limit_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(measuring, "MOST_INSIDE", 4)  # two for one caller
    open_door = asyncio.Event()
    held = Photos({PERSON: (ASSETS / "person.jpg").read_bytes()}, delay=open_door)
    async with client(photos=held) as caller:
        inside = [asyncio.create_task(ask(caller)) for _ in range(2)]
        await reached(lambda: held.asked == 2)
        refused = await ask(caller)
        health = await caller.get("/health")
        open_door.set()
        served = await asyncio.gather(*inside)
        again = await ask(caller)
    assert refused.status_code == 503
    assert int(refused.headers["retry-after"]) > 0
    assert health.status_code == 200
    assert [a.status_code for a in (*served, again)] == [200, 200, 200]


async def test_metrics_need_the_token() -> None:
    settings = Settings(http_token=SecretStr("letmein-1234"))
    async with client(settings=settings) as caller:
        stranger = await caller.get("/metrics")
        caller.headers["Authorization"] = "Bearer letmein-1234"
        metrics = await caller.get("/metrics")
    assert stranger.status_code == 401
    assert "wearon_photo_seconds_count" in metrics.text


async def test_stored_pictures_need_their_signed_address(tmp_path: Path) -> None:
    files = LocalStorage(
        tmp_path / "files", base_url="http://worker", secret_path=tmp_path / "secret"
    )
    data = (ASSETS / "garment_tee.jpg").read_bytes()
    await files.put("a/b.jpg", data, content_type="image/jpeg")
    address = await files.sign("a/b.jpg", life_s=60)
    async with client(files=files) as caller:
        served = await caller.get(address)
        forged = await caller.get(address[:-3] + "xyz")
        bare = await caller.get(address.partition("?")[0])
        outside = await caller.get("/files/object/sign/virtual-tryon-images/../../secret?token=1")
    assert served.content == data
    assert served.headers["content-type"] == "image/jpeg"
    assert [a.status_code for a in (forged, bare, outside)] == [404, 404, 404]


async def test_an_internal_error_reveals_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(measuring, "_measure", broken)
    async with client() as caller:
        answer = await ask(caller)
    assert answer.status_code == 500
    assert json.loads(answer.text)["detail"] == "Internal error"
    assert "secret detail" not in answer.text
