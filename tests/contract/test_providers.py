"""
What every image provider promises, over the loopback APIs: one bill, whatever answer is lost.

`bought` is the careful buyer that the port's module describes; jobs follow the same steps.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import asdict
from functools import partial
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from devkit import pictures as kit
from devkit.http_errors import NOT_SENT, an, httpx_errors
from devkit.providers import MODELS, ProviderUnderTest, open_provider, request
from devkit.servers import background_drawings, runware_rules
from devkit.servers.runware_api import Twice
from wearon_cli.adapters.providers.preview import PreviewImages
from wearon_cli.adapters.providers.responses_answer import INCOMPLETE_REASONS, RESPONSE_CODES
from wearon_cli.adapters.providers.runware_errors import TaskError, class_for
from wearon_cli.core.errors import (
    AccountBlocked,
    CallAmbiguous,
    GenerationRefused,
    GeneratorError,
    GeneratorFault,
    GeneratorUnreachable,
    ModelUnavailable,
    RateLimited,
    RequestRejected,
)
from wearon_cli.core.image_models import OPENAI, PREVIEW, RUNWARE
from wearon_cli.core.pictures.prepare import verify
from wearon_cli.core.providers import (
    NO_POWERS,
    GeneratedPicture,
    OneShot,
    Pending,
    Powers,
    Provider,
    Ticket,
)

pytestmark = pytest.mark.anyio

KINDS = tuple(MODELS)
WITH_POWERS = tuple(kind for kind in KINDS if kind != "images")


@pytest.fixture(params=KINDS)
async def one(request: pytest.FixtureRequest) -> AsyncIterator[ProviderUnderTest]:
    async with open_provider(request.param) as provider:
        yield provider


@pytest.fixture(params=WITH_POWERS)
async def mighty(request: pytest.FixtureRequest) -> AsyncIterator[ProviderUnderTest]:
    """A provider with powers."""
    async with open_provider(request.param) as provider:
        yield provider


# ------------------------------------------------------------------------ the careful buyer


async def asked[T](question: Callable[[], Awaitable[T]]) -> T:
    """Ask until there is an answer, free of charge."""
    for _ in range(200):
        try:
            return await question()
        except GeneratorError:
            await asyncio.sleep(0.01)
    raise AssertionError("no answer in 200 questions")


async def fetched(provider: Provider, ticket: Ticket) -> GeneratedPicture:
    """Collect until the picture is ready."""
    for _ in range(200):
        state = await provider.collect(ticket)
        if isinstance(state, GeneratedPicture):
            return state
        assert state.ticket == ticket
        assert state.after_s > 0
        await asyncio.sleep(0.01)
    raise AssertionError("no picture in 200 questions")


async def bought(one: ProviderUnderTest, session_id: str = "s1") -> GeneratedPicture:
    """Buy a picture as a job does: first look up what a lost answer may have bought."""
    provider, marker = one.provider, None
    for _ in range(20):
        marker = await asked(partial(provider.prepare, session_id, after=marker))
        try:
            state = await provider.submit(request(session_id), model=one.model, marker=marker)
        except CallAmbiguous:
            if marker is None:
                raise
            ticket = await asked(partial(provider.find, model=one.model, marker=marker))
            if ticket is not None:
                return await fetched(provider, ticket)
            continue
        if isinstance(state, GeneratedPicture):
            return state
        return await fetched(provider, state.ticket)
    raise AssertionError("20 purchases failed")


def another_process(one: ProviderUnderTest) -> AbstractAsyncContextManager[ProviderUnderTest]:
    """A new provider over the same API: it knows only what the journal has."""
    return open_provider(one.kind, api=one.api)


# --------------------------------------------------------------------------- one purchase


async def test_a_purchase_gives_the_picture_of_its_session_and_is_billed_once(
    one: ProviderUnderTest,
) -> None:
    made = await bought(one)
    assert b"session=s1 " in verify(made.data).jpeg
    assert kit.decode(made.data).format == "JPEG"
    assert one.purchases() == {"s1": 1}
    assert (made.usage.provider, made.usage.model) == (one.provider.name, one.model)
    assert not made.usage.is_estimate


async def test_the_reported_cost_is_the_billed_one(mighty: ProviderUnderTest) -> None:
    made = await bought(mighty)
    assert made.usage.cost_usd == pytest.approx(mighty.billed_usd(), abs=1e-9)


async def test_a_request_may_be_sent_again_and_is_a_purchase_of_its_own(
    one: ProviderUnderTest,
) -> None:
    await bought(one)
    await bought(one)
    assert one.purchases() == {"s1": 2}


async def test_the_name_and_the_powers_need_no_request(one: ProviderUnderTest) -> None:
    assert one.provider.name in {OPENAI, RUNWARE}
    assert (
        one.provider.powers
        == {
            "images": NO_POWERS,
            "responses": Powers(fetch=True, find=True),
            "runware": Powers(own_id=True, fetch=True, find=True),
        }[one.kind]
    )


@pytest.mark.parametrize(
    "provider", [OneShot(), PreviewImages(lambda: pytest.fail("nothing is to be read"))]
)
async def test_without_powers_there_are_no_markers_and_no_lookups(provider: Any) -> None:
    ticket = Ticket(provider=PREVIEW, model="m", provider_id="x")
    assert provider.powers == NO_POWERS
    assert await provider.prepare("s1") is None
    await provider.cancel(ticket)
    await provider.forget(ticket)
    with pytest.raises(CallAmbiguous):
        await provider.collect(ticket)
    with pytest.raises(CallAmbiguous):
        await provider.find(model="m", marker="x")


@pytest.mark.parametrize("kind", KINDS)
async def test_a_request_that_no_model_accepts_is_not_sent(kind: str) -> None:
    async with open_provider(kind) as one:
        with pytest.raises(RequestRejected):
            await one.provider.submit(request(pictures=17), model=one.model, marker=None)
        assert one.purchases() == {}


# ---------------------------------------------------------------------------- every loss

LOSSES = (
    background_drawings.LOSE_REQUEST,
    *sorted(background_drawings.TAKEN),
    *sorted(background_drawings.QUESTION_FAULTS),
)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("kind", WITH_POWERS)
async def test_after_every_loss_the_picture_comes_and_is_billed_once(kind: str, loss: str) -> None:
    async with open_provider(kind, faults=f"{loss}:1:1", latency="0.02") as one:
        made = await bought(one)
        assert b"session=s1 " in made.data
        assert one.purchases() == {"s1": 1}
        assert one.api.drawings.seen_faults == {loss: 1}, "the loss happened"


@pytest.mark.parametrize("kind", WITH_POWERS)
async def test_many_losses_at_random_never_bill_twice(kind: str) -> None:
    faults = ",".join(f"{loss}:0.15" for loss in LOSSES if loss != "hang_submit")
    async with open_provider(kind, faults=faults, latency="0-0.05") as one:
        made = await asyncio.gather(*(bought(one, f"s{n}") for n in range(40)))
        assert all(b"session=s%d " % n in each.data for n, each in enumerate(made))
        assert one.purchases() == {f"s{n}": 1 for n in range(40)}
        assert sum(one.api.drawings.seen_faults.values()) > 20


async def test_a_lost_answer_of_the_one_shot_api_is_ambiguous() -> None:
    async with open_provider("images", faults="drop_after") as one:
        with pytest.raises(CallAmbiguous):
            await bought(one)
        assert one.purchases() == {"s1": 1}


# -------------------------------------------------------------------- another process goes on


async def test_a_ticket_from_the_journal_is_collected_by_another_process(
    mighty: ProviderUnderTest,
) -> None:
    marker = await mighty.provider.prepare("s1")
    state = await mighty.provider.submit(request(), model=mighty.model, marker=marker)
    assert isinstance(state, Pending)
    kept = json.dumps(asdict(state.ticket))
    async with another_process(mighty) as other:
        ticket = Ticket(**json.loads(kept))
        first, second = await fetched(other.provider, ticket), await fetched(other.provider, ticket)
    assert first.data == second.data
    assert mighty.purchases() == {"s1": 1}


@pytest.mark.parametrize("kind", WITH_POWERS)
async def test_an_intent_alone_finds_a_purchase_that_is_still_drawn(kind: str) -> None:
    """The worker was killed while its paid call was in flight."""
    async with open_provider(kind, faults="hold") as one:
        marker = await one.provider.prepare("s1")
        assert marker is not None
        state = await one.provider.submit(request(), model=one.model, marker=marker)
        assert isinstance(state, Pending)
        del state  # the ticket was lost
        async with another_process(one) as other:
            for _ in range(3):
                found = await other.provider.find(model=one.model, marker=marker)
                assert found is not None
                assert isinstance(await other.provider.collect(found), Pending)
            one.api.drawings.release()
            found = await other.provider.find(model=one.model, marker=marker)
            assert found is not None
            made = await fetched(other.provider, found)
        assert b"session=s1 " in made.data
        assert one.purchases() == {"s1": 1}


async def test_the_intent_of_an_unsent_call_never_finds_a_purchase(
    mighty: ProviderUnderTest,
) -> None:
    marker = await mighty.provider.prepare("s1")
    assert marker is not None
    for _ in range(2):
        assert await mighty.provider.find(model=mighty.model, marker=marker) is None
    again = await mighty.provider.prepare("s1", after=marker)
    assert (again == marker) is mighty.provider.powers.own_id
    state = await mighty.provider.submit(request(), model=mighty.model, marker=again)
    assert isinstance(state, Pending)
    await fetched(mighty.provider, state.ticket)
    assert mighty.purchases() == {"s1": 1}


@pytest.mark.parametrize("kind", WITH_POWERS)
async def test_a_purchase_that_ends_during_the_lookup_is_not_missed(kind: str) -> None:
    """In the wrong order, a picture that is finished between two requests is missed."""
    async with open_provider(kind, latency="0-0.02") as one:
        for number in range(30):
            marker = await one.provider.prepare(f"s{number}")
            assert marker is not None
            await one.provider.submit(request(f"s{number}"), model=one.model, marker=marker)
            await asyncio.sleep(0.0007 * number)
            assert await one.provider.find(model=one.model, marker=marker) is not None


@pytest.mark.parametrize("kind", WITH_POWERS)
async def test_a_failed_lookup_never_means_that_nothing_was_bought(kind: str) -> None:
    async with open_provider(kind) as one:
        marker = await one.provider.prepare("s1")
        assert marker is not None
        await one.provider.submit(request(), model=one.model, marker=marker)
        for fault in ("lose_poll", "page_poll", "rate_limited_poll"):
            one.api.drawings.rules = background_drawings.BackgroundRule.parse_all(fault)
            with pytest.raises(GeneratorError):
                await one.provider.find(model=one.model, marker=marker)


@pytest.mark.parametrize("fault", ["lose_poll", "page_poll", "rate_limited_poll"])
async def test_a_failed_status_request_leaves_the_purchase_pending(
    mighty: ProviderUnderTest, fault: str
) -> None:
    marker = await mighty.provider.prepare("s1")
    state = await mighty.provider.submit(request(), model=mighty.model, marker=marker)
    assert isinstance(state, Pending)
    mighty.api.drawings.rules = background_drawings.BackgroundRule.parse_all(fault)
    asked_again = await mighty.provider.collect(state.ticket)
    assert isinstance(asked_again, Pending)
    assert isinstance(asked_again.failure, GeneratorError)
    assert asked_again.after_s >= (2 if fault == "rate_limited_poll" else 1)


# --------------------------------------------------------------------- the same marker, twice


async def test_a_second_call_in_a_conversation_is_the_first_purchase() -> None:
    async with open_provider("responses", faults="hold") as one:
        marker = await one.provider.prepare("s1")
        await one.provider.submit(request(), model=one.model, marker=marker)
        state = await one.provider.submit(request(), model=one.model, marker=marker)
        assert isinstance(state, Pending)
        one.api.drawings.release()
        assert b"session=s1 " in (await fetched(one.provider, state.ticket)).data
        assert one.purchases() == {"s1": 1}


@pytest.mark.parametrize("twice", [Twice.REFUSED, Twice.SAME])
async def test_a_second_task_of_an_id_is_the_first_purchase_where_the_vendor_says_so(
    twice: Twice,
) -> None:
    async with open_provider("runware", twice=twice) as one:
        marker = await one.provider.prepare("s1")
        await one.provider.submit(request(), model=one.model, marker=marker)
        state = await one.provider.submit(request(), model=one.model, marker=marker)
        assert isinstance(state, Pending)
        await fetched(one.provider, state.ticket)
        assert one.purchases() == {"s1": 1}


@pytest.mark.parametrize(("kind", "blind_looks"), [("runware", 1), ("responses", 2)])
async def test_a_purchase_that_appears_late_is_found_by_a_later_lookup(
    kind: str, blind_looks: int
) -> None:
    async with open_provider(kind, blind_looks=blind_looks, faults="lose_submit:1:1") as one:
        await bought(one)
        assert one.purchases() == {"s1": 1}


async def test_an_order_that_arrives_between_two_looks_is_found() -> None:
    """Its caller had given up on it. Whether it runs was asked before the pause, and not after."""
    async with open_provider("responses", faults="hold") as one, another_process(one) as other:
        marker = await one.provider.prepare("s1")
        assert marker is not None
        looks = 0

        async def arrive(asked: httpx.Request) -> None:
            nonlocal looks
            looks += asked.method == "GET"
            if looks == 2 and not one.api.drawings.taken:
                await other.provider.submit(request(), model=one.model, marker=marker)

        one.network.answered = arrive
        assert await one.provider.find(model=one.model, marker=marker) is not None
        assert one.purchases() == {"s1": 1}


@pytest.mark.parametrize(("details", "outcome"), [(True, "picture"), (False, "lost")])
async def test_a_task_with_an_expired_result_is_not_bought_again(
    details: bool, outcome: str
) -> None:
    async with open_provider("runware", details=details) as one:
        marker = await one.provider.prepare("s1")
        assert marker is not None
        await one.provider.submit(request(), model=one.model, marker=marker)
        one.api.expired.add(marker)
        ticket = await one.provider.find(model=one.model, marker=marker)
        assert ticket is not None
        if outcome == "picture":
            assert (await fetched(one.provider, ticket)).data
        else:
            with pytest.raises(CallAmbiguous):
                await one.provider.collect(ticket)


# ----------------------------------------------------------------- powers that are refused


@pytest.mark.parametrize("refusal", ["no", "not_with_pictures"])
async def test_refused_conversations_are_omitted_and_the_power_is_removed(
    refusal: str,
) -> None:
    async with open_provider("responses", conversations=refusal) as one:
        marker = await one.provider.prepare("s1")
        if refusal == "not_with_pictures":
            with pytest.raises(GeneratorFault):
                await one.provider.submit(request(), model=one.model, marker=marker)
            assert one.purchases() == {}
            marker = await one.provider.prepare("s1", after=marker)
        assert marker is None
        assert one.provider.powers == Powers(fetch=True)
        state = await one.provider.submit(request(), model=one.model, marker=None)
        assert isinstance(state, Pending)
        assert b"session=s1 " in (await fetched(one.provider, state.ticket)).data
        assert one.purchases() == {"s1": 1}
        await one.provider.forget(state.ticket)
        assert one.api.kept() == 0


# ------------------------------------------------------------------------ ends without a picture

ENDS: dict[str, tuple[type[GeneratorError], bool]] = {
    # name: (error, whether it was billed)
    "refuse": (GenerationRefused, False),
    "fail": (GeneratorFault, False),
    "empty": (CallAmbiguous, True),
    "spoilt": (CallAmbiguous, True),
}


@pytest.mark.parametrize("fault", ENDS)
@pytest.mark.parametrize("kind", WITH_POWERS)
async def test_a_failed_purchase_reports_its_error_every_time(kind: str, fault: str) -> None:
    expected, billed = ENDS[fault]
    async with open_provider(kind, faults=fault) as one:
        marker = await one.provider.prepare("s1")
        state = await one.provider.submit(request(), model=one.model, marker=marker)
        assert isinstance(state, Pending)
        for _ in range(2):
            with pytest.raises(GeneratorError) as caught:
                await fetched(one.provider, state.ticket)
            assert type(caught.value) is expected
        assert sum(one.purchases().values()) == billed


@pytest.mark.parametrize("fault", ["refuse_response", "refuse_incomplete"])
async def test_a_refusal_is_found_in_three_places(fault: str) -> None:
    async with open_provider("responses", faults=fault) as one:
        with pytest.raises(GenerationRefused):
            await bought(one)


async def test_a_missing_result_was_still_paid_for() -> None:
    async with open_provider("runware", faults="result_gone") as one:
        with pytest.raises(CallAmbiguous):
            await bought(one)
        assert one.purchases() == {"s1": 1}


@pytest.mark.parametrize("kind", WITH_POWERS)
async def test_an_unreported_cost_is_an_estimate_and_marked_as_one(kind: str) -> None:
    async with open_provider(kind, faults="no_usage") as one:
        usage = (await bought(one)).usage
        assert usage.is_estimate
        assert usage.cost_usd == pytest.approx(one.billed_usd(), rel=0.5)


async def test_a_picture_found_in_a_conversation_costs_an_estimate() -> None:
    async with open_provider("responses", faults="lose_submit") as one:
        usage = (await bought(one)).usage
        assert usage.is_estimate
        assert usage.cost_usd == pytest.approx(one.billed_usd(), rel=0.5)


@pytest.mark.parametrize("fault", ["lose_poll", "page_poll", "rate_limited_poll"])
async def test_a_failed_search_says_nothing_about_the_purchase(
    mighty: ProviderUnderTest, fault: str
) -> None:
    marker = await mighty.provider.prepare("s1")
    assert marker is not None
    mighty.api.drawings.rules = background_drawings.BackgroundRule.parse_all(fault)
    with pytest.raises(GeneratorError) as failed:
        await mighty.provider.find(model=mighty.model, marker=marker)
    assert not isinstance(failed.value, CallAmbiguous)  # that would be the end of it


async def test_a_search_in_a_deleted_conversation_ends_the_purchase() -> None:
    async with open_provider("responses") as one:
        marker = await one.provider.prepare("s1")
        assert marker is not None
        one.api.conversations.clear()
        with pytest.raises(CallAmbiguous):
            await one.provider.find(model=one.model, marker=marker)


# ------------------------------------------------------------------------------- tidying


async def test_a_cancelled_drawing_counts_as_lost_and_may_be_cancelled_again() -> None:
    async with open_provider("responses", faults="hold") as one:
        marker = await one.provider.prepare("s1")
        state = await one.provider.submit(request(), model=one.model, marker=marker)
        assert isinstance(state, Pending)
        for _ in range(2):
            await one.provider.cancel(state.ticket)
        assert one.purchases() == {}  # here; that OpenAI bills nothing for it is not documented
        with pytest.raises(CallAmbiguous):
            await one.provider.collect(state.ticket)


@pytest.mark.parametrize("faults", ["", "lose_submit:1:1", "lose_request:1:1"])
async def test_no_customer_data_is_left_at_openai(faults: str) -> None:
    async with open_provider("responses", faults=faults) as one:
        provider, marker = one.provider, None
        ticket = None
        while ticket is None:
            marker = await provider.prepare("s1", after=marker)
            assert marker is not None
            try:
                state = await provider.submit(request(), model=one.model, marker=marker)
                assert isinstance(state, Pending)
                ticket = state.ticket
            except CallAmbiguous:
                ticket = await provider.find(model=one.model, marker=marker)
        await fetched(provider, ticket)
        assert one.api.kept() > 0
        for _ in range(2):
            await provider.forget(ticket)
        left = 1 if faults.startswith("lose_submit") else 0  # whose id nobody was told
        assert one.api.kept() == left
        with pytest.raises(CallAmbiguous):
            await provider.collect(ticket)


# --------------------------------------------------------------------- errors say what they may


SECRETS = (
    *("sk-", "rw-", "http", "sexual", "safety_violations", "internal.test", "secret"),
    "cloudflare",
)


@pytest.mark.parametrize("kind", WITH_POWERS)
@pytest.mark.parametrize(
    "fault",
    sorted(background_drawings.BackgroundRule.names - {"hold", "slow", "no_usage", "hang_submit"}),
)
async def test_no_error_and_no_log_line_contains_a_vendors_text(kind: str, fault: str) -> None:
    said: list[str] = []
    with capture_logs() as lines:
        async with open_provider(kind, faults=fault) as one:
            try:
                marker = await one.provider.prepare("s1")
                state = await one.provider.submit(request(), model=one.model, marker=marker)
                if isinstance(state, Pending):
                    answer = await one.provider.collect(state.ticket)
                    said.append(str(getattr(answer, "failure", "")))
            except GeneratorError as exc:
                said += [str(exc), exc.hint]
    told = " ".join([*said, json.dumps(lines, default=str)]).lower()
    assert [word for word in SECRETS if word in told] == []


# --------------------------------------------------------------------- every code of a vendor

OF_RUNWARE = {
    "safety": GenerationRefused,
    "auth": AccountBlocked,
    "quota": AccountBlocked,
    "rateLimit": RateLimited,
    "timeout": CallAmbiguous,
    "provider": GeneratorFault,
    "serverError": GeneratorFault,
    "model": ModelUnavailable,
    "notFound": GeneratorFault,
    "validation": RequestRejected,
}


@pytest.mark.parametrize(
    ("group", "code"),
    [(group, code) for group, codes in runware_rules.CODES.items() for code in codes],
)
def test_every_code_of_runware_is_mapped(group: str, code: str) -> None:
    error = TaskError(code=code)
    assert class_for(error, 400) is OF_RUNWARE[group]
    assert error.is_not_there is (group == "notFound")


#: `ResponseError.code` and `IncompleteDetails.reason` of the vendor's own types (openai 3.54.0).
OF_RESPONSES = {
    GeneratorFault: ("server_error", "vector_store_timeout"),
    RateLimited: ("rate_limit_exceeded",),
    AccountBlocked: ("data_residency_mismatch",),
    GenerationRefused: (
        *("invalid_prompt", "bio_policy", "misalignment_policy_violation"),
        "image_content_policy_violation",
    ),
    RequestRejected: (
        *("invalid_image", "invalid_image_format", "invalid_base64_image", "invalid_image_url"),
        *("image_too_large", "image_too_small", "image_parse_error", "invalid_image_mode"),
        *("image_file_too_large", "unsupported_image_media_type", "empty_image_file"),
        *("failed_to_download_image", "image_file_not_found"),
    ),
}


@pytest.mark.parametrize(
    ("expected", "code"),
    [(expected, code) for expected, codes in OF_RESPONSES.items() for code in codes],
)
async def test_every_code_of_a_failed_response_is_mapped(
    expected: type[GeneratorError], code: str
) -> None:
    assert RESPONSE_CODES[code] is expected
    async with open_provider("responses", faults=f"code={code}") as one:
        with pytest.raises(GeneratorError) as caught:
            await bought(one)
        assert type(caught.value) is expected
        assert one.purchases() == {}


def test_every_reason_of_an_incomplete_response_is_mapped() -> None:
    assert set(INCOMPLETE_REASONS) == {
        *("max_output_tokens", "max_messages", "content_filter", "steered")
    }


#: What the answer to the order may be, and what it means with each provider.
ORDERS = {
    "rate_limited": RateLimited,
    "server_error": GeneratorFault,
    "overloaded": GeneratorFault,
    "moderation_input": GenerationRefused,
    "insufficient_quota": AccountBlocked,
    "invalid_api_key": AccountBlocked,
    "model_not_found": ModelUnavailable,
    "html_502": CallAmbiguous,
    "html_429": RateLimited,
}


@pytest.mark.parametrize("fault", ORDERS)
@pytest.mark.parametrize("kind", WITH_POWERS)
async def test_an_order_that_is_refused_says_why_and_is_not_billed(kind: str, fault: str) -> None:
    async with open_provider(kind, faults=fault) as one:
        marker = await one.provider.prepare("s1")
        with pytest.raises(GeneratorError) as caught:
            await one.provider.submit(request(), model=one.model, marker=marker)
        assert type(caught.value) is ORDERS[fault]
        assert one.purchases() == {}


async def test_a_refused_setting_of_ours_is_not_the_shoppers_fault() -> None:
    """The next model may accept it; failing the job would have cost a customer."""
    async with open_provider("responses") as one:
        one.api.open_models = frozenset({"gpt-image-2"})
        with pytest.raises(ModelUnavailable):
            await one.provider.submit(request(), model=one.model, marker=None)
    async with open_provider("runware") as one:
        with pytest.raises(ModelUnavailable):
            await one.provider.submit(request(), model="openai:gpt-image@9", marker=None)


# ------------------------------------------------------------------------- the transport


@pytest.mark.parametrize("error", httpx_errors(), ids=lambda error: error.__name__)
@pytest.mark.parametrize("kind", KINDS)
async def test_every_httpx_exception_becomes_one_of_our_errors(
    kind: str, error: type[Exception]
) -> None:
    """A class added by a new httpx version fails here until it is mapped."""
    async with open_provider(kind) as one:
        provider = one.provider
        marker = await provider.prepare("s1")
        one.network.failure = an(error)
        with pytest.raises(GeneratorError) as caught:
            await provider.submit(request(), model=one.model, marker=marker)
        expected = GeneratorUnreachable if error.__name__ in NOT_SENT else CallAmbiguous
        assert type(caught.value) is expected
        if marker is not None:
            with pytest.raises(GeneratorUnreachable):
                await provider.find(model=one.model, marker=marker)
            ticket = Ticket(
                provider=provider.name, model=one.model, provider_id=marker, marker=marker
            )
            assert isinstance(await provider.collect(ticket), Pending)
