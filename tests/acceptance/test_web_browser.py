"""The page in a real browser: the main paths, an action from plan to end, and accessibility."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Request,
    WebError,
    expect,
)

from devkit.operator_page import (
    PageStack,
    PageWorld,
    RunningPage,
    in_stack,
    peopled_stack,
    web_page,
)
from devkit.ports import free_port
from devkit.servers.browser import axe_script, open_browser
from devkit.servers.postgres import NotToBeHad
from devkit.stores import skip_or_fail
from devkit.waiting import LONGEST_S, until
from wearon_cli.adapters.local.accounts import DEMO_SHOPPER, DEMO_STORE_ID
from wearon_cli.core.session import Channel, SessionKey
from wearon_cli.runtime.web.site import MOST_STREAMS

pytestmark = pytest.mark.slow

#: Time limits that end a hung test; a busy machine draws slowly.
MAX_WAIT_MS = 60_000
expect.set_options(timeout=MAX_WAIT_MS)
PHONE = {"width": 390, "height": 844}
DESKTOP = {"width": 1280, "height": 860}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PageStack]:
    with peopled_stack(tmp_path_factory.mktemp("stack")) as made:
        yield made


@pytest.fixture(scope="module")
def site(stack: PageStack) -> Iterator[RunningPage]:
    assert stack.settings.local_dir is not None
    options = ("--allow-actions", "--as", "Ann of support")
    with web_page(stack.settings.local_dir, *options) as running:
        yield running


@pytest.fixture(scope="module")
def browser(site: RunningPage) -> Iterator[Browser]:
    """After the site, since its loop then runs in this thread."""
    try:
        with open_browser() as one:
            yield one
    except NotToBeHad as exc:
        skip_or_fail(str(exc))
        raise


@contextmanager
def visit(browser: Browser, site: RunningPage, **options: Any) -> Iterator[Page]:
    """A browser that has opened the first address; its errors fail the test."""
    context = browser.new_context(**{"viewport": DESKTOP, **options})
    context.set_default_timeout(MAX_WAIT_MS)
    try:
        with complaints(context) as heard:
            page = context.new_page()
            page.goto(site.new_address())
            if options.get("java_script_enabled") is False:
                page.get_by_role("button", name="Log in").click()
            page.wait_for_url(f"{site.origin}/")
            yield page
        # The browser notes every status from 400 on; tests look at those themselves.
        assert [each for each in heard if "status of 409" not in each] == []
    finally:
        context.close()


@contextmanager
def complaints(context: BrowserContext) -> Iterator[list[str]]:
    """Errors on the console, broken policies among them; requests to other origins."""
    heard: list[str] = []

    def error(each: WebError) -> None:
        heard.append(str(each.error))

    def told(each: ConsoleMessage) -> None:
        if each.type == "error":
            heard.append(each.text)

    def asked(each: Request) -> None:
        if "127.0.0.1" not in each.url:
            heard.append(f"asked {each.url}")

    context.on("weberror", error)
    context.on("console", told)
    context.on("request", asked)
    yield heard


def addresses(stack: PageStack) -> list[str]:
    sessions = (stack.completed, stack.refused, stack.running)
    return [
        *("/", "/sessions", "/failures?since=1h", "/dead-letters", "/reconcile?since=1h"),
        *("/costs?since=7d&by=store", "/doctor", "/sessions?q=nothing-like-it"),
        *(f"/sessions/{key.session_id}" for key in sessions),
        f"/sessions/{stack.refused.session_id}/replay",
        f"/dead-letters/{stack.letter_id}",
        f"/dead-letters/{stack.letter_id}/drop",
        f"/reconcile/{stack.refused.session_id}",
    ]


# ---------------------------------------------------------------------- the main paths


def test_from_a_shoppers_email_to_the_three_pictures(
    browser: Browser, site: RunningPage, stack: PageStack
) -> None:
    with visit(browser, site) as page:
        expect(page.get_by_role("heading", level=1)).to_have_text("Now")
        page.get_by_role("searchbox").fill(DEMO_SHOPPER)
        page.keyboard.press("Enter")
        expect(page.locator("table.sessions tbody tr")).to_have_count(1)
        page.get_by_role("link", name=stack.completed.session_id).click()
        expect(page.locator("h1")).to_have_text(stack.completed.session_id)
        pictures = page.locator("figure img")
        expect(pictures).to_have_count(3)
        for number in range(3):
            picture = pictures.nth(number)
            expect(picture).to_have_js_property("complete", True)
            assert picture.evaluate("each => each.naturalWidth") > 100
        expect(page.locator("#credit + p")).to_have_text("Spent on this picture.")
        page.get_by_text("Prompt", exact=False).last.click()
        expect(page.locator("pre")).to_contain_text("Dress the person of image 1")


def test_from_the_failures_to_the_cause(
    browser: Browser, site: RunningPage, stack: PageStack
) -> None:
    with visit(browser, site) as page:
        page.get_by_role("link", name="Failures").click()
        page.get_by_role("link", name="last hour").click()
        page.get_by_role("link", name="generation_refused").click()
        page.get_by_role("link", name=stack.refused.session_id).click()
        expect(page.locator(".timeline")).to_contain_text("moderation_blocked")
        expect(page.locator("#credit + p")).to_have_text("Returned.")


def test_a_running_session_is_followed_without_a_reload(
    browser: Browser, site: RunningPage, stack: PageStack
) -> None:
    key = in_stack(
        stack,
        lambda world: world.order(Channel.B2B, owner_id=DEMO_STORE_ID, garment="garment_tee.jpg"),
    )
    with visit(browser, site) as page:
        page.goto(f"{site.origin}/sessions/{key.session_id}")
        expect(page.locator(".title .status")).to_have_text("queued")
        page.locator("summary").first.click()
        assert in_stack(stack, lambda world: do_job(world, key))
        expect(page.locator(".title .status")).to_have_text("completed")
        expect(page.locator("details[open]")).to_have_count(1)  # what was opened stays open
        assert page.evaluate("() => document.activeElement.tagName") == "SUMMARY"
        expect(page.locator("figure img")).to_have_count(3)
        expect(page.locator("#live-state")).to_contain_text("Ended")


def test_a_page_says_when_its_server_is_gone_and_back(browser: Browser, stack: PageStack) -> None:
    folder, port = stack.settings.local_dir, str(free_port())
    with ExitStack() as first:
        site = first.enter_context(web_page(folder, "--port", port))
        context = browser.new_context()
        page = context.new_page()
        page.goto(site.new_address())
        state = page.locator("#live-state")
        expect(state).to_have_text("Live.")
        first.close()
        expect(state).to_contain_text("Not connected")
        with web_page(folder, "--port", port) as again:
            # A restart ends every login.
            expect(state).to_contain_text("logged out", timeout=LONGEST_S * 1000)
            page.goto(again.new_address())
            expect(state).to_have_text("Live.")
        context.close()


def test_a_page_that_cannot_be_live_says_so_and_tries_again(
    browser: Browser, site: RunningPage
) -> None:
    with site.client() as client, ExitStack() as others:
        live = [
            others.enter_context(client.stream("GET", "/live/now")).iter_lines()
            for _ in range(MOST_STREAMS)
        ]
        assert [next(lines) for lines in live] == ["event: part"] * MOST_STREAMS
        context = browser.new_context()
        page = context.new_page()
        page.goto(site.new_address())
        state = page.locator("#live-state")
        expect(state).to_contain_text("too many live pages")
        others.close()
        expect(state).to_have_text("Live.", timeout=LONGEST_S * 1000)
        context.close()


def test_the_file_that_opens_a_browser_leads_to_the_first_page(
    browser: Browser, stack: PageStack, tmp_path: Path
) -> None:
    """`--open` goes through a file of this user, so that no command line shows the token."""
    opened, opener = tmp_path / "opened", tmp_path / "opener"
    opener.write_text(f'#!/bin/sh\necho "$1" > {opened}\n')
    opener.chmod(0o755)
    environment = {"BROWSER": f"{opener} %s"}
    with web_page(stack.settings.local_dir, "--open", environment=environment) as site:
        until(lambda: opened.exists() and opened.read_text().endswith("\n"))
        address = opened.read_text().strip()
        assert "token" not in address
        with browser.new_context() as context:
            page = context.new_page()
            page.goto(address)
            page.wait_for_url(f"{site.origin}/")
            expect(page.locator("h1")).to_have_text("Now")
    assert not Path(urlsplit(address).path).exists()


def test_an_address_logs_in_one_browser_and_says_how_to_get_another(
    browser: Browser, site: RunningPage
) -> None:
    address = site.new_address()
    with browser.new_context() as one, browser.new_context() as two:
        page = one.new_page()
        page.goto(address)
        page.wait_for_url(f"{site.origin}/")
        page.goto(address)  # as from its history
        page.wait_for_url(f"{site.origin}/")
        late = two.new_page()
        late.goto(address)
        expect(late.locator("h1")).to_have_text("This address is no longer valid")
        expect(late.locator("main")).to_contain_text("press Enter")
        late.evaluate(axe_script())
        assert late.evaluate("async () => (await axe.run()).violations") == []
        late.goto(site.new_address())
        late.wait_for_url(f"{site.origin}/")


async def do_job(world: PageWorld, key: SessionKey) -> bool:
    """Run this job as a worker."""
    await world.registry.register(world.worker)
    await world.take_all_in()
    await world.dispatcher.release(limit=10)
    return await world.do(key.session_id) is not None


def test_without_javascript_everything_can_be_read(
    browser: Browser, site: RunningPage, stack: PageStack
) -> None:
    with visit(browser, site, java_script_enabled=False) as page:
        for address in addresses(stack):
            page.goto(site.origin + address)
            expect(page.get_by_role("heading", level=1)).to_be_visible()
        page.goto(f"{site.origin}/sessions")
        page.get_by_label("Cause").select_option("generation_refused")
        page.get_by_role("button", name="Show").click()
        expect(page.locator("table.sessions tbody tr")).to_have_count(1)


# ---------------------------------------------------------------------- acting


def test_a_replay_from_its_plan_to_its_picture(
    browser: Browser, site: RunningPage, stack: PageStack
) -> None:
    key = stack.rejected
    with visit(browser, site) as page:
        page.goto(f"{site.origin}/sessions/{key.session_id}")
        page.get_by_role("link", name="Plan a replay").click()
        plan = page.locator(".sentences")
        expect(plan).to_contain_text("buys a picture")
        expect(plan).to_contain_text("its credit was returned; this replay takes no credit")
        page.get_by_label("Take a credit for it").check()
        page.get_by_role("button", name="Show the plan").click()
        expect(plan).to_contain_text("this replay takes a credit before generating")
        assert in_stack(stack, lambda world: events(world, key)).count("replayed") == 0
        expect(page.get_by_label("Your name")).to_have_value("Ann of support")
        page.get_by_label("Your name").fill("Bea")
        page.get_by_label("Reason").fill("ticket 4711")
        page.get_by_role("button", name="Run it again").click()
        page.wait_for_url(f"{site.origin}/sessions/{key.session_id}?done=replay")
        timeline = page.locator(".timeline")
        expect(timeline).to_contain_text("Run again by an operator")
        expect(timeline).to_contain_text("by Bea")
        expect(timeline).to_contain_text("ticket 4711")
        assert in_stack(stack, lambda world: do_job(world, key))
        expect(page.locator(".title .status")).to_have_text("completed")
        expect(page.locator("#credit + p")).to_contain_text(
            "a replay took a credit for this picture"
        )


async def events(world: PageWorld, key: SessionKey) -> list[object]:
    return await world.events(key)


def test_a_changed_plan_is_shown_again_and_nothing_is_done(
    browser: Browser, site: RunningPage, stack: PageStack
) -> None:
    key = stack.of_user
    with visit(browser, site) as page:
        page.goto(f"{site.origin}/sessions/{key.session_id}/replay?force=on")
        page.locator("input[name=plan]").evaluate("each => { each.value = 'another plan' }")
        with page.expect_response(lambda each: each.request.method == "POST") as answer:
            page.get_by_role("button", name="Buy a new picture").click()
        assert answer.value.status == 409
        expect(page.get_by_role("alert")).to_contain_text("nothing was done")
        assert in_stack(stack, lambda world: events(world, key)).count("replayed") == 0


def test_undo_restores_the_picture_before_a_redraw(
    browser: Browser, site: RunningPage, stack: PageStack
) -> None:
    key = stack.completed
    with visit(browser, site) as page:
        page.goto(f"{site.origin}/sessions/{key.session_id}")
        page.get_by_role("link", name="Plan a new picture").click()
        page.get_by_role("button", name="Buy a new picture").click()
        page.wait_for_url("**?done=replay")
        assert in_stack(stack, lambda world: do_job(world, key))
        expect(page.get_by_role("link", name="Restore the earlier picture")).to_be_visible()
        page.get_by_role("link", name="Restore the earlier picture").click()
        expect(page.locator("figure img")).to_have_count(2)
        page.get_by_role("button", name="Restore it").click()
        page.wait_for_url("**?done=undo")
        expect(page.locator(".timeline")).to_contain_text(
            "An operator restored the earlier picture"
        )


def test_a_dead_letter_is_dropped(browser: Browser, site: RunningPage, stack: PageStack) -> None:
    letter_id = in_stack(
        stack,
        lambda world: world.dead_letters.bury(
            b"{}", reason="r", error_code="task_invalid", attempts=0, session_id=None
        ),
    )
    with visit(browser, site) as page:
        page.goto(f"{site.origin}/dead-letters")
        page.get_by_role("link", name=letter_id).click()
        page.get_by_role("link", name="Drop it").click()
        page.get_by_role("button", name="Drop it").click()
        page.wait_for_url(f"{site.origin}/dead-letters")
        expect(page.get_by_role("link", name=letter_id)).to_have_count(0)


# ---------------------------------------------------------------------- accessibility


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["wide", "phone"])
def test_no_page_has_an_accessibility_violation(
    browser: Browser, site: RunningPage, stack: PageStack, scheme: str, size: dict[str, int]
) -> None:
    script, found = axe_script(), {}
    with visit(browser, site, color_scheme=scheme, viewport=size) as page:
        for address in addresses(stack):
            page.goto(site.origin + address)
            page.evaluate(script)
            violations = page.evaluate("async () => (await axe.run()).violations")
            for each in violations:
                nodes = [node["html"][:160] for node in each["nodes"][:3]]
                found[address, each["id"]] = nodes
    assert found == {}


def test_no_page_is_wider_than_a_phone(
    browser: Browser, site: RunningPage, stack: PageStack
) -> None:
    with visit(browser, site, viewport=PHONE) as page:
        for address in addresses(stack):
            page.goto(site.origin + address)
            wide = page.evaluate("() => document.scrollingElement.scrollWidth")
            assert wide <= PHONE["width"], address


@pytest.mark.parametrize("width", [641, 768, 1201, 1280])
def test_the_list_of_sessions_is_never_cut(browser: Browser, site: RunningPage, width: int) -> None:
    with visit(browser, site, viewport={"width": width, "height": 900}) as page:
        page.goto(f"{site.origin}/sessions")
        hidden = page.evaluate(
            "() => { const e = document.querySelector('.scroll'); "
            "return e.scrollWidth - e.clientWidth }"
        )
        assert hidden <= 0
        id_height = page.locator("table.sessions th a").first.evaluate("each => each.offsetHeight")
        assert id_height < 30  # in one line


def test_the_keyboard_reaches_everything_in_order(
    browser: Browser, site: RunningPage, stack: PageStack
) -> None:
    with visit(browser, site) as page:
        page.goto(f"{site.origin}/sessions/{stack.refused.session_id}")
        order = []
        for _ in range(12):
            page.keyboard.press("Tab")
            order.append(page.evaluate("() => document.activeElement.textContent.trim()"))
            ring = page.evaluate("() => getComputedStyle(document.activeElement).outlineStyle")
            assert ring != "none", order[-1]
        assert order[0] == "Skip to the content"
        assert order[2] == ""  # the search
        assert order[3:10] == [
            *("Now", "Sessions", "Failures", "Dead letters", "Reconcile", "Costs", "Doctor")
        ]
        page.goto(f"{site.origin}/sessions/{stack.refused.session_id}")
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        page.keyboard.press("Tab")
        inside = "() => document.querySelector('main').contains(document.activeElement)"
        assert page.evaluate(inside)
