"""Actions on the page: each is the command's own, needs a name, and cannot be sent by other
sites.
"""

import re
from collections.abc import Iterator
from contextlib import closing, contextmanager

import httpx
import pytest
from redis import Redis

from devkit.operator_page import (
    PageStack,
    PageWorld,
    RunningPage,
    in_stack,
    peopled_stack,
    web_page,
)
from wearon_cli.adapters.local.accounts import DEMO_STORE_ID
from wearon_cli.core.session import Channel, SessionKey, Status, fail, start

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PageStack]:
    with peopled_stack(tmp_path_factory.mktemp("stack")) as made:
        yield made


@pytest.fixture(scope="module")
def page(stack: PageStack) -> Iterator[RunningPage]:
    with web_page(stack.settings.local_dir, "--allow-actions", "--as", "Ann") as running:
        yield running


@pytest.fixture
def browser(page: RunningPage) -> Iterator[httpx.Client]:
    with page.client() as client:
        client.headers["Origin"] = page.origin
        yield client


async def owed(world: PageWorld) -> SessionKey:
    """A b2b session that failed five minutes ago, whose credit was never refunded."""
    key = await world.order(Channel.B2B, owner_id=DEMO_STORE_ID, garment="garment_tee.jpg")
    await world.redis.delete("wearon:tasks:generation")
    await world.sessions.apply(key, start())
    await world.sessions.apply(key, fail("Sorry."))
    await world.make_old(key, minutes=5)
    return key


async def buried(world: PageWorld, key: SessionKey) -> str:
    return await world.dead_letters.bury(
        b"{}", reason="it was already retried", error_code="job_gave_up", attempts=3,
        session_id=key.session_id,
    )  # fmt: skip


def form_of(browser: httpx.Client, address: str) -> dict[str, str]:
    """The hidden fields of the form with the action."""
    text = browser.get(address).text
    part = text[text.index('method="post" action="' + address.partition("?")[0]) :]
    fields = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', part)
    return dict(fields) | {"name": "Bea"}


@contextmanager
def nothing_happens(stack: PageStack) -> Iterator[None]:
    """No job is opened and no letter dropped."""
    assert stack.settings.redis_url is not None
    with closing(Redis.from_url(stack.settings.redis_url.get_secret_value())) as redis:

        def state() -> tuple[object, ...]:
            return (
                redis.zrange("wearon:jobs", 0, -1),
                redis.zrange("wearon:dead-letters", 0, -1),
                sorted((key, redis.get(key)) for key in redis.keys("wearon:timeline:*")),
            )

        before = state()
        yield
        assert state() == before


def test_requests_from_other_sites_do_nothing(
    browser: httpx.Client, page: RunningPage, stack: PageStack
) -> None:
    replay = f"/sessions/{stack.refused.session_id}/replay"
    good = form_of(browser, replay)
    with page.client() as other:
        others_token = form_of(other, replay)["csrf"]
    drop = f"/dead-letters/{stack.letter_id}/drop"
    with nothing_happens(stack):
        for address in (replay, drop, f"/reconcile/{stack.refused.session_id}"):
            for form, headers, why in (
                (good, {"Origin": "https://attacker.test"}, "another site"),
                (good, {"Origin": "http://127.0.0.1:1"}, "another port of this machine"),
                (good, {"Origin": "null"}, "a sandboxed frame"),
                (good, {"Sec-Fetch-Site": "cross-site"}, "another site, as browsers say it"),
                (good, {"Sec-Fetch-Site": "same-site"}, "another port, as browsers say it"),
                (good, {"Host": "attacker.test"}, "a rebound name"),
                (good, {"Cookie": f"wearon_web_1={others_token}"}, "another cookie"),
                (good | {"csrf": ""}, {}, "no token"),
                (good | {"csrf": others_token}, {}, "the token of another login"),
            ):
                answer = browser.post(address, data=form, headers=headers)
                assert answer.status_code in {401, 403, 421}, why
            assert browser.post(address, json=good).status_code == 403
            assert browser.post(f"{address}?csrf={good['csrf']}").status_code == 403
        assert browser.get(f"{replay}?csrf={good['csrf']}&name=Eve").status_code == 200  # a plan


def test_a_name_is_said_to_be_recorded_where_it_is(browser: httpx.Client, stack: PageStack) -> None:
    """Seen: the timeline was named for a letter without a session, which has none."""
    of_a_session = in_stack(stack, lambda world: buried(world, stack.refused))
    for letter_id, words in (
        (of_a_session, "Recorded in the timeline."),
        (stack.letter_id, "Recorded in the log."),
    ):
        assert words in browser.get(f"/dead-letters/{letter_id}/drop").text


def test_nothing_is_done_without_a_name(browser: httpx.Client, stack: PageStack) -> None:
    replay = f"/sessions/{stack.refused.session_id}/replay"
    form = form_of(browser, replay)
    with nothing_happens(stack):
        for name in ("", "   ", "\u200b\n"):
            answer = browser.post(replay, data=form | {"name": name})
            assert (answer.status_code, "who acts" in answer.text.lower()) == (422, True)


def test_a_plan_with_other_options_is_shown_before_it_runs(
    browser: httpx.Client, stack: PageStack
) -> None:
    replay = f"/sessions/{stack.refused.session_id}/replay"
    form = form_of(browser, replay)
    with nothing_happens(stack):
        answer = browser.post(replay, data=form | {"charge": "on"})
        assert answer.status_code == 409
        assert "takes a credit before generating" in answer.text


def test_a_completed_session_needs_force(browser: httpx.Client, stack: PageStack) -> None:
    answer = browser.get(f"/sessions/{stack.completed.session_id}/replay")
    assert answer.status_code == 409
    assert "has its picture" in answer.text


def test_an_owed_credit_is_found_and_given_back(browser: httpx.Client, stack: PageStack) -> None:
    key = in_stack(stack, owed)
    found = browser.get("/reconcile?since=1h").text
    assert key.session_id in found
    address = f"/reconcile/{key.session_id}"
    assert f"/reconcile/{key.session_id}" in found
    form = form_of(browser, address)
    with nothing_happens(stack):
        assert browser.post(address, data=form | {"plan": "of another case"}).status_code == 409
    done = browser.post(address, data=form).text
    assert "credit returned" in done
    page = browser.get(f"/sessions/{key.session_id}").text
    assert "Returned." in page
    assert re.search(r"An operator returned its credit.*?Bea", page, re.DOTALL)
    again = browser.get(address).text
    assert "No discrepancies" in again


def test_the_session_of_a_dead_letter_is_replayed(browser: httpx.Client, stack: PageStack) -> None:
    key = in_stack(stack, owed)
    letter_id = in_stack(stack, lambda world: buried(world, key))
    address = f"/dead-letters/{letter_id}/requeue"
    form = form_of(browser, address)
    assert (
        browser.get(address).text.count("the dead letter is removed when the session has completed")
        == 1
    )
    answer = browser.post(address, data=form)
    assert answer.headers["location"] == f"/sessions/{key.session_id}?done=requeue"

    async def finished(world: PageWorld) -> Status:
        await world.registry.register(world.worker)
        await world.dispatcher.release(limit=10)
        await world.do(key.session_id)
        return (await world.row(key)).status

    assert in_stack(stack, finished) is Status.COMPLETED
    assert browser.get(f"/dead-letters/{letter_id}").status_code == 404
    page = browser.get(f"/sessions/{key.session_id}").text
    assert f"dead letter {letter_id}" in page
    assert "Bea" in page


async def _worked_off(world: PageWorld, key: SessionKey) -> Status:
    await world.registry.register(world.worker)
    await world.dispatcher.release(limit=10)
    await world.do(key.session_id)
    return (await world.row(key)).status


def test_the_same_form_does_not_redraw_twice(browser: httpx.Client, stack: PageStack) -> None:
    """The row is completed and its credit spent before and after: only its time differs."""
    key = stack.completed
    address = f"/sessions/{key.session_id}/replay?force=on"
    form = form_of(browser, address)
    assert browser.post(address, data=form).status_code == 303
    assert in_stack(stack, lambda world: _worked_off(world, key)) is Status.COMPLETED
    with nothing_happens(stack):
        again = browser.post(address, data=form)
        assert (again.status_code, "Nothing is done yet" in again.text) == (409, True)


def test_the_same_form_restores_a_picture_once(browser: httpx.Client, stack: PageStack) -> None:
    """A second undo would swap the pictures again."""
    key = stack.completed
    address = f"/sessions/{key.session_id}/undo"
    form = form_of(browser, address)
    before = in_stack(stack, lambda world: _result(world, key))
    assert browser.post(address, data=form).status_code == 303
    after = in_stack(stack, lambda world: _result(world, key))
    assert after != before
    assert browser.post(address, data=form).status_code == 409
    assert in_stack(stack, lambda world: _result(world, key)) == after


async def _result(world: PageWorld, key: SessionKey) -> bytes:
    return await world.storage.get((await world.row(key)).result_path)
