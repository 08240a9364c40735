"""Requests to the providers with powers, and how undocumented answers are read."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from devkit.providers import OUTER_MODEL, QUALITY, SIZE, LoopbackFetcher, request
from wearon_cli.adapters.providers.openai_edits import image_api_client
from wearon_cli.adapters.providers.openai_responses import OpenAIResponses
from wearon_cli.adapters.providers.polling import AFTER_FAILURE_S, EVERY_S, MAX_FIRST_S, Pace
from wearon_cli.adapters.providers.runware import Runware, runware_client
from wearon_cli.core.errors import (
    CallAmbiguous,
    ConfigError,
    GeneratorError,
    GeneratorFault,
    RateLimited,
    RequestRejected,
)
from wearon_cli.core.providers import Pending, Ticket

pytestmark = pytest.mark.anyio

P_IMAGE, VTO = "prunaai:p-image@try-on", "bfl:flux@vto"
TASK = "00000000-0000-4000-8000-000000000001"
RUNWARE_TICKET = Ticket(provider="runware", model=P_IMAGE, provider_id=TASK, marker=TASK)
OPENAI_TICKET = Ticket(provider="openai", model="gpt-image-2", provider_id="resp_1")

Answer = Callable[[httpx.Request], httpx.Response]


def responses(answer: Answer) -> OpenAIResponses:
    http = image_api_client(
        base_url="http://openai.test/v1",
        api_key=SecretStr("sk-x"),
        connections=1,
        transport=httpx.MockTransport(answer),
    )
    return OpenAIResponses(
        http, outer_model=OUTER_MODEL, size=SIZE, quality=QUALITY, submit_timeout_s=1.0
    )


def runware(answer: Answer) -> Runware:
    http = runware_client(
        base_url="http://runware.test/v1",
        api_key=SecretStr("rw-x"),
        connections=1,
        transport=httpx.MockTransport(answer),
    )
    return Runware(
        http,
        LoopbackFetcher(lambda *_: None),
        size=SIZE,
        quality=QUALITY,
        submit_timeout_s=1.0,
        look_again_s=0.0,
    )


async def sent_to_responses(model: str, marker: str | None = "conv_1") -> dict[str, Any]:
    seen: list[bytes] = []

    def answer(call: httpx.Request) -> httpx.Response:
        seen.append(call.content)
        return httpx.Response(200, json={"id": "resp_1", "status": "queued"})

    await responses(answer).submit(
        request(pictures=3, prompt="Kleid — 試着"), model=model, marker=marker
    )
    document: dict[str, Any] = json.loads(seen[0])
    return document


async def sent_to_runware(model: str, pictures: int = 2) -> dict[str, Any]:
    seen: list[httpx.Request] = []

    def answer(call: httpx.Request) -> httpx.Response:
        seen.append(call)
        return httpx.Response(200, json={"data": [{"taskUUID": TASK}]})

    await runware(answer).submit(request(pictures=pictures), model=model, marker=TASK)
    assert str(seen[0].url) == "http://runware.test/v1"
    (task,) = json.loads(seen[0].content)
    return dict(task)


# ------------------------------------------------------------------------------ requests


async def test_quality_and_size_are_always_sent_and_the_prompt_must_not_be_revised() -> None:
    told = await sent_to_responses("gpt-image-2.6-flare")
    (tool,) = told["tools"]
    assert (tool["size"], tool["quality"], tool["action"]) == (SIZE, QUALITY, "edit")
    assert tool["model"] == "gpt-image-2.6-flare"
    assert (told["background"], told["store"], told["max_tool_calls"]) == (True, True, 1)
    assert told["tool_choice"] == {"type": "image_generation"}
    assert "word for word" in told["instructions"]
    assert told["metadata"] == {"session_id": "s1", "pictures": "3"}
    assert told["conversation"] == "conv_1"


async def test_without_a_conversation_none_is_named() -> None:
    assert "conversation" not in await sent_to_responses("gpt-image-2", marker=None)


async def test_the_prompt_comes_first_and_the_pictures_in_order() -> None:
    (message,) = (await sent_to_responses("gpt-image-2"))["input"]
    text, *pictures = message["content"]
    assert text == {"type": "input_text", "text": "Kleid — 試着"}
    assert pictures[0] != pictures[1] == pictures[2]
    assert all(each["image_url"].startswith("data:image/jpeg;base64,") for each in pictures)


@pytest.mark.parametrize(("model", "sent"), [("gpt-image-1.5", True), ("gpt-image-2", False)])
async def test_fidelity_is_sent_only_where_it_is_allowed(model: str, sent: bool) -> None:
    assert ("input_fidelity" in (await sent_to_responses(model))["tools"][0]) is sent


async def test_a_try_on_model_gets_roles_and_no_prompt() -> None:
    task = await sent_to_runware(P_IMAGE, pictures=3)
    roles = [each["role"] for each in task["inputs"]["referenceImages"]]
    assert roles == ["person", "garment", "garment"]
    assert not {"positivePrompt", "width", "settings"} & set(task)
    assert (task["taskUUID"], task["deliveryMethod"], task["includeCost"]) == (TASK, "async", True)


async def test_flux_gets_the_sentence_it_needs() -> None:
    task = await sent_to_runware(VTO)
    assert task["positivePrompt"].startswith("The person of image 1, keeping face and pose exactly")
    assert len(task["inputs"]["referenceImages"]) == 2


async def test_openais_models_at_runware_get_prompt_size_and_quality() -> None:
    task = await sent_to_runware("openai:gpt-image@2.5-flare")
    assert task["positivePrompt"] == request().prompt
    assert (task["width"], task["height"], task["settings"]) == (1024, 1536, {"quality": QUALITY})


@pytest.mark.parametrize(("model", "pictures"), [(P_IMAGE, 1), (P_IMAGE, 13), (VTO, 3)])
async def test_too_few_or_too_many_pictures_are_not_sent(model: str, pictures: int) -> None:
    with pytest.raises(RequestRejected, match="pictures"):
        await sent_to_runware(model, pictures)


def test_an_invalid_key_is_reported_at_start() -> None:
    with pytest.raises(ConfigError, match="RUNWARE_API_KEY") as caught:
        runware_client(base_url="http://runware.test", api_key=SecretStr("rw bad"), connections=1)
    assert "rw bad" not in str(caught.value)


# ------------------------------------------------------------------------------- answers


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(200, json={"data": []}),
        httpx.Response(200, json=[]),
        httpx.Response(200, text="<html>"),
        httpx.Response(400, json={"errors": [{"code": "rateLimitExceeded", "taskUUID": TASK}]}),
        httpx.Response(200, json={"errors": [{"code": "rateLimitExceeded", "taskUUID": TASK}]}),
        httpx.Response(200, json={"errors": [{"code": "timeoutProvider", "taskUUID": TASK}]}),
        httpx.Response(401, json={"errors": [{"code": "invalidApiKey", "taskUUID": TASK}]}),
        httpx.Response(500, json={"errors": [{"code": "internalServerError"}]}),
        httpx.Response(503, text="busy"),
    ],
    ids=lambda answer: f"{answer.status_code} {answer.text[:40]}",
)
async def test_a_failed_status_request_leaves_a_task_unchanged(answer: httpx.Response) -> None:
    state = await runware(lambda _: answer).collect(RUNWARE_TICKET)
    assert isinstance(state, Pending)
    assert isinstance(state.failure, GeneratorError)
    assert state.after_s >= AFTER_FAILURE_S


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(200, json=[]),
        httpx.Response(200, text="<html>"),
        httpx.Response(401, json={"error": {"code": "invalid_api_key"}}),
        httpx.Response(429, json={"error": {"code": "rate_limit_exceeded"}}),
        httpx.Response(500, json={"error": {"code": "server_error"}}),
        httpx.Response(503, text="busy"),
    ],
    ids=lambda answer: f"{answer.status_code} {answer.text[:40]}",
)
async def test_a_failed_status_request_leaves_a_response_unchanged(
    answer: httpx.Response,
) -> None:
    state = await responses(lambda _: answer).collect(OPENAI_TICKET)
    assert isinstance(state, Pending)
    assert isinstance(state.failure, GeneratorError)


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        pytest.param({"status": "completed"}, GeneratorFault, id="nothing in it"),
        pytest.param({"status": "cancelled", "output": "?"}, CallAmbiguous, id="a word as output"),
        pytest.param({"status": 7, "error": {"code": ["x"]}}, GeneratorFault, id="a list as code"),
        pytest.param(
            {"status": "incomplete", "incomplete_details": {"reason": "newly invented"}},
            GeneratorFault,
            id="a new reason",
        ),
        pytest.param(
            {"output": [{"type": "image_generation_call", "result": 5}]}, GeneratorFault, id="5"
        ),
        pytest.param(
            {"output": [{"type": "image_generation_call", "result": "é"}]}, CallAmbiguous, id="é"
        ),
        pytest.param(
            {
                "status": "completed",
                "output": [{"type": "message", "content": [{"type": "output_text"}]}],
                "tool_usage": {"image_gen": {"input_tokens": 9, "output_tokens": 9}},
            },
            CallAmbiguous,
            id="billed, and not there",
        ),
    ],
)
async def test_an_undocumented_end_still_has_a_meaning(
    document: dict[str, Any], expected: type[GeneratorError]
) -> None:
    with pytest.raises(GeneratorError) as caught:
        await responses(lambda _: httpx.Response(200, json=document)).collect(OPENAI_TICKET)
    assert type(caught.value) is expected


@pytest.mark.parametrize("answer", [{"status": "queued"}, {"id": 5}, []])
async def test_a_purchase_without_an_id_has_to_be_looked_up(answer: Any) -> None:
    with pytest.raises(CallAmbiguous):
        await responses(lambda _: httpx.Response(200, json=answer)).submit(
            request(), model="gpt-image-2", marker=None
        )


# ---------------------------------------------------------------------------------- pace


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def learned(pace: Pace, clock: Clock, times_s: list[float]) -> None:
    for number, took_s in enumerate(times_s):
        ticket = replace(RUNWARE_TICKET, provider_id=str(number))
        pace.first_s(ticket)
        clock.now_s += took_s
        pace.ended(ticket)


def test_the_first_poll_comes_when_one_picture_in_ten_is_ready() -> None:
    clock = Clock()
    pace = Pace(first_guess_s=8.0, clock_s=clock)
    learned(pace, clock, [40.0, 25.0, 58.0, 31.0])
    assert pace.first_s(RUNWARE_TICKET) == 8.0, "four tell nothing yet"
    learned(pace, clock, [33.0])
    assert pace.first_s(RUNWARE_TICKET) == 25.0
    assert pace.first_s(OPENAI_TICKET) == 8.0, "another model"


def test_the_first_poll_has_a_longest_delay() -> None:
    clock = Clock()
    pace = Pace(clock_s=clock)
    learned(pace, clock, [3600.0] * 10)
    assert pace.first_s(RUNWARE_TICKET) == MAX_FIRST_S


def test_polls_get_rarer_with_age() -> None:
    clock = Clock()
    pace = Pace(clock_s=clock)
    pace.first_s(OPENAI_TICKET)
    assert pace.next_s(OPENAI_TICKET) == EVERY_S
    clock.now_s += 100.0
    assert pace.next_s(OPENAI_TICKET) == pytest.approx(10.0)
    assert pace.next_s(RUNWARE_TICKET) == EVERY_S, "a purchase of another process"


def test_a_rate_limit_says_when_to_ask_again() -> None:
    assert Pace.after_failure_s(RateLimited(retry_after_s=17.0)) == 17.0
    assert Pace.after_failure_s(GeneratorFault()) == AFTER_FAILURE_S
