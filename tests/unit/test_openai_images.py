"""The adapter of the image API: what is sent, what is returned, and what every failure means."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable
from datetime import UTC, date, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import httpx
import pytest
from PIL import Image
from pydantic import SecretStr
from structlog.testing import capture_logs

from devkit import pictures as kit
from devkit.first_usable import FirstUsable
from devkit.http_errors import NOT_SENT, an, httpx_errors
from devkit.servers import image_api_faults
from devkit.servers.image_api import KEY, ImageApi
from devkit.waiting import LONGEST_S, reached
from wearon_cli.adapters.providers import openai_errors
from wearon_cli.adapters.providers.openai_checks import ModelInfo, model_info
from wearon_cli.adapters.providers.openai_edits import OpenAIImages, image_api_client
from wearon_cli.adapters.providers.openai_errors import (
    ErrorBody,
    from_answer,
    from_transport,
    retry_after_s,
)
from wearon_cli.adapters.providers.runware_errors import TaskError, from_error
from wearon_cli.adapters.providers.vendor_http import MAX_ANSWER_BYTES
from wearon_cli.core.errors import (
    AccountBlocked,
    CallAmbiguous,
    ConfigError,
    GenerationRefused,
    GeneratorError,
    GeneratorFault,
    GeneratorUnreachable,
    ModelUnavailable,
    RateLimited,
    Reaction,
    RequestRejected,
)
from wearon_cli.core.image_models import image_model, require_models
from wearon_cli.core.jobs.events import ImageModelUnavailable
from wearon_cli.core.pictures.prepare import prepare, verify
from wearon_cli.core.providers import TryOnRequest

pytestmark = pytest.mark.anyio

OLD, NEW = "gpt-image-1.5", "gpt-image-2.6-flare"
PICTURE = prepare(kit.encode(kit.corners()))
GARMENT = prepare(kit.encode(Image.new("RGB", (64, 64), "red")))
ANSWER = kit.encode(kit.corners(128, 192))


def request(*, pictures: int = 2, prompt: str = "Dress.", model: str | None = None) -> TryOnRequest:
    return TryOnRequest(
        session_id="s1",
        pictures=(PICTURE, *[GARMENT] * (pictures - 1)),
        prompt=prompt,
        model=model,
    )


def client(transport: httpx.AsyncBaseTransport, key: str = KEY) -> httpx.AsyncClient:
    return image_api_client(
        base_url="http://images.test/v1",
        api_key=SecretStr(key),
        connections=4,
        transport=transport,
    )


def images(
    transport: httpx.AsyncBaseTransport, *, key: str = KEY, timeout_s: float = LONGEST_S
) -> OpenAIImages:
    return OpenAIImages(
        client(transport, key), size="1024x1536", quality="medium", timeout_s=timeout_s
    )


def generator(
    transport: httpx.AsyncBaseTransport,
    *,
    models: tuple[str, ...] = (OLD, NEW),
    key: str = KEY,
    timeout_s: float = LONGEST_S,
    gone_for_s: float = 600.0,
) -> FirstUsable:
    provider = images(transport, key=key, timeout_s=timeout_s)
    return FirstUsable(provider, models=models, timeout_s=timeout_s, gone_for_s=gone_for_s)


def api_generator(api: ImageApi, **options: Any) -> FirstUsable:
    return generator(httpx.ASGITransport(api.app), **options)


def answering(answer: Callable[[httpx.Request], httpx.Response], **options: Any) -> FirstUsable:
    return generator(httpx.MockTransport(answer), **options)


# ---------------------------------------------------------------------------- success


@pytest.mark.parametrize("model", [OLD, "gpt-image-2", "gpt-image-2.5-sunburst", NEW])
@pytest.mark.parametrize("pictures", [1, 2, 5])
async def test_a_picture_of_the_asked_size_comes_back(model: str, pictures: int) -> None:
    api = ImageApi()
    made = await api_generator(api, models=(model,)).generate(request(pictures=pictures))
    image = kit.decode(verify(made.data).jpeg)
    assert (image.format, image.size) == ("JPEG", (1024, 1536))
    assert [(call.model, call.pictures, call.billed) for call in api.calls] == [
        (model, pictures, True)
    ]


async def test_the_answer_has_tokens_and_cost_of_the_model_used() -> None:
    usage = (await api_generator(ImageApi()).generate(request())).usage
    assert (usage.model, usage.input_tokens, usage.output_tokens) == (OLD, 2201, 1584)
    # 2200 picture tokens in, 1 text token in, 1584 out, at 8, 5 and 32 USD a million.
    assert usage.cost_usd == pytest.approx(2200 * 8e-6 + 5e-6 + 1584 * 32e-6)
    assert not usage.is_preview


async def test_the_person_is_sent_first_and_each_picture_is_a_named_jpeg() -> None:
    seen: list[httpx.Request] = []

    def answer(sent: httpx.Request) -> httpx.Response:
        seen.append(sent)
        return picture_answer()

    await answering(answer).generate(request(pictures=3, prompt="Kleid — 試着"))
    body = seen[0].content
    assert body.index(PICTURE.jpeg) < body.index(GARMENT.jpeg)
    assert body.count(b'name="image[]"') == 3
    assert body.count(b"Content-Type: image/jpeg") == 3
    assert b'filename="image-1.jpg"' in body
    assert "Kleid — 試着".encode() in body
    assert seen[0].headers["x-client-request-id"].startswith("s1.")
    assert seen[0].headers["accept-encoding"] == "identity"


@pytest.mark.parametrize(("model", "sent"), [(OLD, True), ("gpt-image-2", False), (NEW, False)])
async def test_only_what_the_model_takes_is_sent(model: str, sent: bool) -> None:
    seen: list[bytes] = []

    def answer(call: httpx.Request) -> httpx.Response:
        seen.append(call.content)
        return picture_answer()

    await answering(answer, models=(model,)).generate(request())
    assert (b'name="input_fidelity"\r\n\r\nhigh' in seen[0]) is sent
    assert b"response_format" not in seen[0]
    for name in (b"model", b"prompt", b"n", b"size", b"quality", b"output_format"):
        assert b'name="%s"' % name in seen[0]


async def test_the_request_may_be_sent_again() -> None:
    api = ImageApi()
    generating, wanted = api_generator(api), request()
    first = await generating.generate(wanted)
    assert first.data != (await generating.generate(wanted)).data
    assert api.purchases() == {"s1": 2}


# ---------------------------------------------------------------------- odd usage figures


def picture_answer(**extra: Any) -> httpx.Response:
    encoded = base64.b64encode(ANSWER).decode()
    return httpx.Response(200, json={"created": 1, "data": [{"b64_json": encoded}], **extra})


@pytest.mark.parametrize(
    ("usage", "tokens", "usd"),
    [
        pytest.param({}, (None, None), None, id="no figures"),
        pytest.param(None, (None, None), None, id="null"),
        pytest.param("many", (None, None), None, id="a word"),
        pytest.param(
            {"input_tokens": 1000, "output_tokens": 1000}, (1000, 1000), 0.040, id="no details"
        ),
        pytest.param(
            {
                "input_tokens": 1000,
                "output_tokens": 1000,
                "input_tokens_details": {"text_tokens": 400, "image_tokens": 600},
                "output_tokens_details": {"text_tokens": 100, "image_tokens": 900},
            },
            (1000, 1000),
            400 * 5e-6 + 600 * 8e-6 + 100 * 10e-6 + 900 * 32e-6,
            id="all details",
        ),
        pytest.param(
            {"input_tokens": -5, "output_tokens": True}, (None, None), None, id="impossible figures"
        ),
    ],
)
async def test_invalid_usage_never_costs_the_picture(
    usage: Any, tokens: tuple[int | None, int | None], usd: float | None
) -> None:
    made = await answering(lambda _: picture_answer(usage=usage)).generate(request())
    assert made.data == ANSWER
    assert (made.usage.input_tokens, made.usage.output_tokens) == tokens
    assert made.usage.cost_usd == (None if usd is None else pytest.approx(usd))


# ----------------------------------------------------------------- every fault of the API

SHORT_S = 2.0  # for the fault that ends only with the time limit
FAULTS: dict[str, tuple[type[GeneratorError], bool]] = {
    # name: (error, whether it was billed)
    "moderation_input": (GenerationRefused, False),
    "moderation_output": (GenerationRefused, False),
    "content_policy": (GenerationRefused, False),
    "refused_in_200": (GenerationRefused, True),
    "invalid_image_file": (RequestRejected, False),
    "unsupported_file_mimetype": (RequestRejected, False),
    "invalid_value": (RequestRejected, False),
    "billing_hard_limit": (AccountBlocked, False),
    "invalid_api_key": (AccountBlocked, False),
    "not_verified": (AccountBlocked, False),
    "insufficient_quota": (AccountBlocked, False),
    "credit_balance_exhausted": (AccountBlocked, False),
    "organization_spend_limit": (AccountBlocked, False),
    "project_spend_limit": (AccountBlocked, False),
    "organization_usage_limit": (AccountBlocked, False),
    "model_not_found": (ModelUnavailable, False),
    "model_forbidden": (ModelUnavailable, False),
    "rate_limited": (RateLimited, False),
    "rate_limited_ms": (RateLimited, False),
    "rate_limited_date": (RateLimited, False),
    "rate_limited_untold": (RateLimited, False),
    "slow_down": (RateLimited, False),
    "html_429": (RateLimited, False),
    "overloaded": (GeneratorFault, False),
    "server_error": (GeneratorFault, False),
    "html_502": (GeneratorFault, False),
    "html_504": (GeneratorFault, False),
    "html_403": (GeneratorFault, False),
    "html_400": (GeneratorFault, False),
    "html_200": (CallAmbiguous, True),
    "empty_data": (CallAmbiguous, True),
    "no_data": (CallAmbiguous, True),
    "truncated_base64": (CallAmbiguous, True),
    "not_base64": (CallAmbiguous, True),
    "error_in_200": (CallAmbiguous, True),
    "drop_before": (CallAmbiguous, False),
    "drop_after": (CallAmbiguous, True),
    "truncated_body": (CallAmbiguous, True),
    "hang": (CallAmbiguous, True),
}
#: The bytes are returned; `verify` decides whether they are a picture.
FOR_VERIFY = {"not_a_picture", "png_answer", "slow"}


def limit_s(fault: str) -> float:
    return SHORT_S if fault == "hang" else LONGEST_S


def test_every_fault_the_server_knows_is_in_the_table() -> None:
    assert set(FAULTS) | FOR_VERIFY == image_api_faults.NAMES


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_fault_becomes_the_error_it_is(fault: str) -> None:
    expected, billed = FAULTS[fault]
    api = ImageApi(faults=fault)
    with pytest.raises(GeneratorError) as caught:
        await api_generator(api, models=(OLD,), timeout_s=limit_s(fault)).generate(request())
    assert type(caught.value) is expected
    assert [call.billed for call in api.calls] == [billed]


@pytest.mark.parametrize("fault", FAULTS)
async def test_an_error_never_repeats_what_the_vendor_said(fault: str) -> None:
    with capture_logs() as lines, pytest.raises(GeneratorError) as caught:
        await api_generator(ImageApi(faults=fault), timeout_s=limit_s(fault)).generate(request())
    shown = " ".join([str(caught.value), caught.value.hint, json.dumps(lines, default=str)]).lower()
    for word in (
        "sk-",
        "http://",
        "https://",
        "safety_violations",
        "sexual",
        "cloudflare",
        "limit 5",
    ):
        assert word not in shown


@pytest.mark.parametrize("status", [500, 503])
def test_a_fault_says_how_long_to_wait(status: int) -> None:
    headers, overloaded = httpx.Headers({"retry-after": "20"}), "server_is_overloaded"
    faults = (
        from_answer(status, headers, ErrorBody(code=overloaded, is_json=True)),
        from_error(TaskError(code="serviceUnavailable"), status=status, headers=headers),
    )
    for fault in faults:
        assert isinstance(fault, GeneratorFault)
        assert fault.retry_after_s == 20


@pytest.mark.parametrize(
    ("fault", "least_s", "most_s"),
    [
        ("rate_limited", 2, 2),
        ("rate_limited_ms", 2, 2),  # together with a retry-after of 99 s
        ("rate_limited_date", 0.9, 2),  # a date has whole seconds
        ("rate_limited_untold", 0, 0),
        ("slow_down", 1, 1),
    ],
)
async def test_a_rate_limit_says_how_long_to_wait(
    fault: str, least_s: float, most_s: float
) -> None:
    with pytest.raises(RateLimited) as caught:
        await api_generator(ImageApi(faults=fault)).generate(request())
    assert least_s <= caught.value.retry_after_s <= most_s
    assert caught.value.reaction is Reaction.WAIT


async def test_the_error_names_status_code_and_the_vendors_request() -> None:
    with pytest.raises(GeneratorFault, match=r"503, code server_is_overloaded.*req_00000001"):
        await api_generator(ImageApi(faults="overloaded")).generate(request())


async def test_a_picture_of_another_format_is_returned() -> None:
    made = await api_generator(ImageApi(faults="png_answer")).generate(request())
    assert kit.decode(made.data).format == "PNG"
    assert kit.decode(verify(made.data).jpeg).format == "JPEG"


# ----------------------------------------------------------- answers beyond the contract


def error_answer(status: int, code: Any = None, **error: Any) -> httpx.Response:
    return httpx.Response(status, json={"error": {"code": code, "message": "m", **error}})


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        pytest.param(error_answer(400, "something_new"), RequestRejected, id="400, new code"),
        pytest.param(error_answer(402), AccountBlocked, id="402"),
        pytest.param(error_answer(403, "unsupported_country"), AccountBlocked, id="403, new code"),
        pytest.param(error_answer(404), AccountBlocked, id="404 without a model"),
        pytest.param(httpx.Response(404, text="<html>"), AccountBlocked, id="404 page"),
        pytest.param(httpx.Response(401, text="no"), AccountBlocked, id="401 text"),
        pytest.param(error_answer(408), GeneratorFault, id="408"),
        pytest.param(error_answer(409), GeneratorFault, id="409"),
        pytest.param(error_answer(413), RequestRejected, id="413"),
        pytest.param(
            error_answer(429, "brand_new_budget", type="insufficient_quota"),
            AccountBlocked,
            id="429, out of money under a new code",
        ),
        pytest.param(error_answer(503, "slow_down"), RateLimited, id="503 slow down"),
        pytest.param(error_answer(599), GeneratorFault, id="599"),
        pytest.param(httpx.Response(302, headers={"location": "/x"}), GeneratorFault, id="302"),
        pytest.param(httpx.Response(204), GeneratorFault, id="204"),
        pytest.param(
            error_answer(400, "invalid_value", param="model"),
            ModelUnavailable,
            id="400 about model",
        ),
        pytest.param(
            error_answer(400, "invalid_input_fidelity_model"),
            ModelUnavailable,
            id="our table wrong",
        ),
        pytest.param(error_answer(400, {"a": 1}), RequestRejected, id="a code that is no word"),
        pytest.param(httpx.Response(500, json=[1]), GeneratorFault, id="500, a list"),
        pytest.param(httpx.Response(200, json=[1]), CallAmbiguous, id="200, a list"),
        pytest.param(httpx.Response(200, json={"data": [{}]}), CallAmbiguous, id="200, no picture"),
        pytest.param(httpx.Response(200, json={"data": {}}), CallAmbiguous, id="200, an object"),
        pytest.param(httpx.Response(200, json={"data": [{"b64_json": 5}]}), CallAmbiguous, id="5"),
        pytest.param(
            httpx.Response(200, json={"data": [{"b64_json": "é" * 8}]}), CallAmbiguous, id="umlauts"
        ),
        pytest.param(httpx.Response(200, content=b"\xff\xfe"), CallAmbiguous, id="200, noise"),
        pytest.param(httpx.Response(200, content=b""), CallAmbiguous, id="200, nothing"),
    ],
)
async def test_an_answer_outside_the_contract_still_has_a_meaning(
    answer: httpx.Response, expected: type[GeneratorError]
) -> None:
    with pytest.raises(GeneratorError) as caught:
        await answering(lambda _: answer, models=(OLD,)).generate(request())
    assert type(caught.value) is expected


async def test_an_answer_without_end_is_cut_off() -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 1_000_000
            yield b"x" * 1_000_000

    with pytest.raises(CallAmbiguous, match="bytes"):
        await answering(lambda _: httpx.Response(200, content=endless())).generate(request())
    assert sent <= MAX_ANSWER_BYTES + 1_000_000


async def test_an_error_without_end_is_read_only_so_far() -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 10_000

    with pytest.raises(GeneratorFault):
        await answering(lambda _: httpx.Response(500, content=endless())).generate(request())


# ------------------------------------------------------------------------- the transport


@pytest.mark.parametrize("error", httpx_errors(), ids=lambda error: error.__name__)
async def test_every_httpx_exception_becomes_one_of_our_errors(error: type[Exception]) -> None:
    """A class added by a new httpx version fails here until it is mapped."""
    raised = an(error)

    def fail(_: httpx.Request) -> httpx.Response:
        raise raised

    with pytest.raises(GeneratorError) as caught:
        await answering(fail).generate(request())
    expected = GeneratorUnreachable if error.__name__ in NOT_SENT else CallAmbiguous
    assert type(caught.value) is expected
    assert caught.value.__cause__ is raised
    assert error in {each for each, _ in openai_errors.TRANSPORT} or any(
        issubclass(error, each) for each, _ in openai_errors.TRANSPORT
    )


def test_only_an_unsent_request_is_free_to_repeat() -> None:
    assert type(from_transport(httpx.ConnectError("m"))) is GeneratorUnreachable
    assert type(from_transport(httpx.WriteError("m"))) is CallAmbiguous
    assert type(from_transport(httpx.ReadTimeout("m"))) is CallAmbiguous


async def test_the_time_limit_covers_the_whole_call() -> None:
    """Bytes keep arriving, so that no read ever times out."""

    async def dripping() -> AsyncIterator[bytes]:
        while True:
            await asyncio.sleep(0.02)
            yield b" "

    with pytest.raises(CallAmbiguous, match=r"no answer from the image API within 0\.3 s"):
        await answering(lambda _: httpx.Response(200, content=dripping()), timeout_s=0.3).generate(
            request()
        )


async def test_a_cancelled_call_is_not_turned_into_an_error() -> None:
    api = ImageApi(latency=str(LONGEST_S))
    call = asyncio.create_task(api_generator(api).generate(request()))
    await reached(lambda: api.calls)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call


# ------------------------------------------------------------------------------- models


async def test_the_next_model_is_asked_when_one_is_gone() -> None:
    api = ImageApi()
    api.open_models = frozenset({NEW})
    made_by = api_generator(api)
    with capture_logs() as lines:
        made = await made_by.generate(request())
    assert made.usage.model == NEW
    assert [line["model"] for line in lines if line["event"] == ImageModelUnavailable.name()] == [
        OLD
    ]
    await made_by.generate(request())
    assert [call.status for call in api.calls] == [404, 200, 200], "it is remembered"


async def test_an_unavailable_model_is_asked_again_after_a_while() -> None:
    api = ImageApi()
    api.open_models = frozenset({NEW})
    made_by = api_generator(api, gone_for_s=0.05)
    await made_by.generate(request())
    api.open_models = frozenset({OLD, NEW})
    await asyncio.sleep(0.06)
    assert (await made_by.generate(request())).usage.model == OLD


async def test_when_no_model_is_left_it_says_so_and_asks_again_next_time() -> None:
    api = ImageApi()
    api.open_models = frozenset()
    made_by = api_generator(api)
    with pytest.raises(ModelUnavailable):
        await made_by.generate(request())
    api.open_models = frozenset({OLD})
    assert (await made_by.generate(request())).usage.model == OLD


async def test_no_other_failure_moves_on_to_the_next_model() -> None:
    api = ImageApi(faults="server_error:1:1")
    made_by = api_generator(api)
    with pytest.raises(GeneratorFault):
        await made_by.generate(request())
    assert len(api.calls) == 1


async def test_an_operators_model_is_the_only_one_asked() -> None:
    api = ImageApi()
    api.open_models = frozenset({OLD})
    with pytest.raises(ModelUnavailable):
        await api_generator(api).generate(request(model="gpt-image-2"))
    assert len(api.calls) == 1


async def test_more_pictures_than_a_model_draws_faithfully_go_to_one_that_does() -> None:
    api = ImageApi()
    made_by = api_generator(api)
    assert (await made_by.generate(request(pictures=6))).usage.model == NEW
    assert (await made_by.generate(request(pictures=5))).usage.model == OLD
    assert (
        await api_generator(api, models=(OLD,)).generate(request(pictures=6))
    ).usage.model == OLD


@pytest.mark.parametrize(
    "wanted",
    [request(pictures=17), request(prompt=""), request(prompt="x" * 32_001)],
    ids=["pictures", "no prompt", "long prompt"],
)
async def test_a_request_that_no_model_accepts_is_not_sent(wanted: TryOnRequest) -> None:
    api = ImageApi()
    with pytest.raises(RequestRejected):
        await api_generator(api).generate(wanted)
    assert api.calls == []


@pytest.mark.parametrize(
    ("size", "quality"), [("1024x1792", "medium"), ("1024x1536", "max"), ("big", "medium")]
)
def test_settings_that_a_model_refuses_are_found_at_start(size: str, quality: str) -> None:
    with pytest.raises(ConfigError, match=OLD):
        require_models(map(image_model, (OLD, NEW)), size=size, quality=quality)


# ------------------------------------------------------------------------ looking a model up


async def test_a_model_says_when_it_shuts_down() -> None:
    http = client(httpx.ASGITransport(ImageApi().app))
    assert await model_info(http, OLD) == ModelInfo(model_id=OLD, shuts_down=date(2026, 12, 1))
    assert await model_info(http, NEW) == ModelInfo(model_id=NEW, shuts_down=None)


async def test_a_model_or_key_that_does_not_work_is_reported() -> None:
    network = httpx.ASGITransport(ImageApi().app)
    with pytest.raises(ModelUnavailable):
        await model_info(client(network), "gpt-image-1")
    with pytest.raises(AccountBlocked):
        await model_info(client(network, "sk-wrong"), OLD)


@pytest.mark.parametrize("told", [b"<html>", b"[]", b'{"shutdown_date": "soon"}', b"{}"])
async def test_an_invalid_answer_about_a_model_has_no_date(told: bytes) -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(200, content=told))
    info = await model_info(client(transport), OLD)
    assert info.shuts_down is None


# --------------------------------------------------------------------------------- edges


@pytest.mark.parametrize("key", ["", "  ", "sk-a\nb", "sk-a b", "sk-é", "sk-\x00"])
def test_an_invalid_key_is_reported_at_start(key: str) -> None:
    with pytest.raises(ConfigError, match="OPENAI_API_KEY") as caught:
        client(httpx.MockTransport(lambda _: picture_answer()), key)
    assert key.strip() == "" or key not in str(caught.value)


def _in(seconds: float) -> str:
    return format_datetime(datetime(2026, 11, 23, tzinfo=UTC) + timedelta(seconds=seconds), True)


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        ({}, 0),
        ({"retry-after": "7"}, 7),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after-ms": "250", "retry-after": "7"}, 0.25),
        ({"retry-after-ms": "soon", "retry-after": "7"}, 7),
        ({"retry-after": _in(30)}, 30),
        ({"retry-after": _in(-30)}, 0),
        ({"retry-after": "-5"}, 0),
        ({"retry-after": "nan"}, 0),
        ({"retry-after": "inf"}, 0),
        ({"retry-after": "1e9"}, 3600),
        ({"retry-after": "soon"}, 0),
    ],
)
def test_waiting_times_are_read_in_all_their_forms(headers: dict[str, str], wait_s: float) -> None:
    now = datetime(2026, 11, 23, tzinfo=UTC)
    assert retry_after_s(httpx.Headers(headers), now=lambda: now) == pytest.approx(wait_s)
