"""The page over a local stack, through a real port: what it shows, and what it refuses."""

import re
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

from devkit.operator_page import PageStack, RunningPage, log_in, peopled_stack, web_page
from devkit.terminal import Terminal
from devkit.waiting import until
from wearon_cli.adapters.local.accounts import DEMO_SHOPPER, DEMO_STORE_ID, DEMO_USER_ID
from wearon_cli.runtime.web.site import MOST_STREAMS

pytestmark = pytest.mark.slow

PAGES = ("/", "/sessions", "/failures", "/dead-letters", "/reconcile", "/costs", "/doctor")
#: Largest size of the first page, without pictures.
MOST_BYTES = 200_000


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PageStack]:
    with peopled_stack(tmp_path_factory.mktemp("stack")) as made:
        yield made


@pytest.fixture(scope="module")
def page(stack: PageStack) -> Iterator[RunningPage]:
    assert stack.settings.local_dir is not None
    with web_page(stack.settings.local_dir) as running:
        yield running


@pytest.fixture(scope="module")
def browser(page: RunningPage) -> Iterator[httpx.Client]:
    with page.client() as client:
        yield client


def addresses(stack: PageStack) -> list[str]:
    keys = (stack.completed, stack.of_user, stack.refused, stack.rejected, stack.running)
    sessions = [f"/sessions/{key.session_id}" for key in keys]
    return [*PAGES, *sessions, "/reconcile?since=1d", f"/dead-letters/{stack.letter_id}"]


# ---------------------------------------------------------------------- what it shows


def test_every_page_is_complete_and_small(browser: httpx.Client, stack: PageStack) -> None:
    for address in addresses(stack):
        answer = browser.get(address)
        assert answer.status_code == 200, address
        assert answer.text.rstrip().endswith("</html>")
        assert len(answer.content) < MOST_BYTES
        assert answer.text.count("<h1") == 1, address


def test_the_first_page_shows_the_current_state(browser: httpx.Client) -> None:
    text = browser.get("/").text
    assert "3 completed" in text
    assert "2 failed" in text
    assert "generation_refused" in text
    assert "No consumer is running" in text
    assert "world-" in text  # the worker, with its job


def test_the_list_shows_sessions_with_their_causes(browser: httpx.Client, stack: PageStack) -> None:
    text = browser.get("/sessions").text
    assert text.count('class="thumbs"') == 7
    assert "linden-mode.example" in text
    assert "request_rejected" in text
    failed = browser.get("/sessions?status=failed").text
    assert failed.count('class="thumbs"') == 2
    refused = browser.get("/sessions?cause=generation_refused&store=linden-mode.example").text
    assert refused.count('class="thumbs"') == 1
    assert stack.refused.session_id in refused
    assert browser.get("/sessions?model=gpt-image-2.6-flare").text.count('class="thumbs"') == 3
    suspect = browser.get("/sessions?suspect=on").text
    assert suspect.count('class="thumbs"') == 1
    assert "result: not_applied, flagged" in suspect
    assert browser.get("/sessions?provider=runware").text.count('class="thumbs"') == 0


def pasted(browser: httpx.Client, text: str) -> httpx.Response:
    return browser.get(f"/sessions?q={quote(text, safe='')}")


def test_any_pasted_id_finds_its_session(browser: httpx.Client, stack: PageStack) -> None:
    completed = stack.completed.session_id
    for text in (completed, completed.upper(), f" {completed} "):
        assert pasted(browser, text).headers["location"] == f"/sessions/{completed}"
    result = (
        f"https://x.supabase.co/storage/v1/object/sign/b/stores/{DEMO_STORE_ID}/generated/"
        f"{completed}.jpg?token=abc"
    )
    assert pasted(browser, result).headers["location"] == f"/sessions/{completed}"
    by_request = pasted(browser, "req_00000003")  # of the image API
    assert by_request.headers["location"] == f"/sessions/{stack.refused.session_id}"
    for text, words in (
        (completed[:9], "the start of a session id"),
        (DEMO_SHOPPER.upper(), "e-mail"),
        ("atelier-nord.example", "domain"),
        ("atelier", "domain"),
    ):
        answer = pasted(browser, text).text
        assert completed in answer, text
        assert words in answer
    of_user = pasted(browser, DEMO_USER_ID).text
    assert stack.of_user.session_id in of_user
    assert completed not in of_user
    request_id = re.search(r"req_[0-9a-f-]{36}", browser.get(f"/sessions/{completed}").text)
    assert request_id is not None
    assert completed in pasted(browser, request_id[0]).text
    assert "nothing known here" in pasted(browser, "no such thing 4711").text


def test_a_session_page_shows_everything(browser: httpx.Client, stack: PageStack) -> None:
    text = browser.get(f"/sessions/{stack.refused.session_id}").text
    for words in (
        "400, code moderation_blocked (request req_00000003)",
        "Asked the provider for a picture",
        "Returned.",
        "refund",
        "deduction",
        "wearon replay-task",
        "Dress the person of image 1",
    ):
        assert words in text, words
    running = browser.get(f"/sessions/{stack.running.session_id}").text
    assert "image_urls" in running  # its payload, while the job is open
    assert f"/live/sessions/{stack.running.session_id}" in running


def test_pictures_come_from_our_own_origin(browser: httpx.Client, stack: PageStack) -> None:
    base = f"/pictures/{stack.completed.session_id}"
    for name in ("person", "garment", "result"):
        large, small = browser.get(f"{base}/{name}"), browser.get(f"{base}/{name}?size=small")
        assert large.headers["content-type"] == "image/jpeg"
        assert large.content.startswith(b"\xff\xd8\xff")
        assert len(small.content) < len(large.content) / 4
        assert "no-store" not in small.headers["cache-control"]
        assert small.headers["x-content-type-options"] == "nosniff"
    assert browser.get(f"{base}/previous").status_code == 404
    assert browser.get(f"{base}/payload").status_code == 404
    gone = browser.get(f"/pictures/{stack.refused.session_id}/result")
    assert (gone.status_code, gone.headers["content-type"]) == (404, "image/svg+xml")


def test_no_page_contains_a_signed_address_a_secret_or_an_email(
    browser: httpx.Client, page: RunningPage, stack: PageStack
) -> None:
    for address in addresses(stack):
        text = browser.get(address).text
        assert "token=" not in text, address
        assert "geheim" not in text
        assert DEMO_SHOPPER not in text, address
        assert not any(each.rpartition("=")[2] in text for each in page.addresses)


def test_an_email_is_shown_when_it_is_asked_for(browser: httpx.Client, stack: PageStack) -> None:
    address = f"/sessions/{stack.completed.session_id}"
    assert "s•••@shop.test" in browser.get(address).text
    assert DEMO_SHOPPER in browser.get(f"{address}?emails=shown").text


def test_nothing_is_loaded_from_other_origins(browser: httpx.Client, stack: PageStack) -> None:
    for address in addresses(stack):
        text = browser.get(address).text
        for found in re.findall(r"""(?:src|href|action|data-live)=["']([^"']*)""", text):
            assert found.startswith(("/", "#")), (address, found)
        assert not re.search(r"\sstyle=|\son\w+=|<style|javascript:", text), address


def test_a_live_page_sends_its_part(browser: httpx.Client) -> None:
    with browser.stream("GET", "/live/now") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = answer.iter_lines()
        assert next(lines) == "event: part"
        assert "<h1>Now</h1>" in next(lines)


def test_unknown_addresses_get_a_helpful_page(browser: httpx.Client) -> None:
    for address, status in (
        ("/nope", 404),
        ("/sessions/not-an-id", 422),
        ("/sessions/0193a1c0-7b1e-7c4a-9f00-3f2c6f0a9d01", 404),
        ("/dead-letters/nope", 404),
        ("/sessions?status=nonsense", 422),
        ("/sessions?before=yesterday", 422),
        ("/failures?since=2y", 422),
        ("/failures?since=7d&by=day", 422),
        ("/failures?since=7d&by=nonsense", 422),
        ("/sessions?before=2026-01-01T00:00:00%2B00:00%20x'%20or%201=1", 422),
        ("/costs?by=weather", 422),
        ("/failures?since=ever", 422),
        ("/sessions?store=no-such-shop", 422),
        ("/static/../app.py", 404),
        ("/static/web.py", 404),
    ):
        answer = browser.get(address)
        assert answer.status_code == status, address
        assert "Traceback" not in answer.text


def test_only_so_many_pages_are_live_at_once(browser: httpx.Client) -> None:
    """Fifty tabs: those beyond the limit are told, every page still answers, and closing frees."""
    with ExitStack() as tabs:
        live = [
            tabs.enter_context(browser.stream("GET", "/live/now")).iter_lines()
            for _ in range(MOST_STREAMS)
        ]
        assert [next(lines) for lines in live] == ["event: part"] * MOST_STREAMS
        for _ in range(50 - MOST_STREAMS):
            with browser.stream("GET", "/live/now") as refused:
                assert (refused.status_code, refused.headers["retry-after"]) == (503, "60")
        assert browser.get("/").status_code == 200

    def is_free() -> bool:
        with browser.stream("GET", "/live/now") as answer:
            return answer.status_code == 200

    until(is_free)


# ---------------------------------------------------------------------- what it refuses


def test_without_a_login_nothing_is_shown(page: RunningPage, stack: PageStack) -> None:
    with httpx.Client(base_url=page.origin, trust_env=False) as stranger:
        pictures = f"/pictures/{stack.completed.session_id}/person"
        for address in (*addresses(stack), pictures, "/live/now", "/nope", "/docs"):
            answer = stranger.get(address)
            assert answer.status_code == 401, address
            assert "Open the address that" in answer.text
            assert "press Enter" in answer.text
        token = page.new_address().rpartition("=")[2]
        for wrong in ("", "x", token[:-1], "%00", "ä"):
            answer = stranger.get(f"/login?token={wrong}")
            assert answer.status_code == 401
            assert "set-cookie" not in answer.headers
            sent = log_in(stranger, f"{page.origin}/login?token={wrong}")
            assert (sent.status_code, "set-cookie" in sent.headers) == (401, False)
        assert stranger.post("/logout").status_code == 401
        assert stranger.get("/static/web.css").status_code == 200


def test_an_address_logs_in_one_browser_once(page: RunningPage) -> None:
    """What is found later in a history, a log or a scrollback opens nothing."""
    address = page.new_address()
    with (
        httpx.Client(base_url=page.origin, trust_env=False) as owner,
        httpx.Client(base_url=page.origin, trust_env=False) as finder,
    ):
        for _ in range(3):  # a browser fetches it ahead, a messenger previews it
            seen = finder.get(address)
            assert (seen.status_code, "set-cookie" in seen.headers) == (200, False)
        assert log_in(owner, address).headers["location"] == "/"
        assert owner.get("/").status_code == 200
        for answer in (log_in(finder, address), finder.get(address)):
            assert answer.status_code == 401
            assert "set-cookie" not in answer.headers
            assert "no longer valid" in answer.text
            assert "press Enter" in answer.text
        assert finder.get("/").status_code == 401
        assert owner.get(address).headers["location"] == "/"  # its own Back button


def test_a_newer_address_replaces_one_that_nobody_used(page: RunningPage) -> None:
    older, newer = page.new_address(), page.new_address()
    with httpx.Client(base_url=page.origin, trust_env=False) as browser:
        assert log_in(browser, older).status_code == 401
        assert log_in(browser, newer).status_code == 303


def test_another_sites_page_cannot_use_an_address_up(page: RunningPage) -> None:
    address = page.new_address()
    form = {"token": address.rpartition("=")[2]}
    with httpx.Client(base_url=page.origin, trust_env=False) as browser:
        for headers in (
            {},
            {"Origin": "https://attacker.test"},
            {"Origin": "null"},
            {"Sec-Fetch-Site": "cross-site"},
        ):
            assert browser.post("/login", data=form, headers=headers).status_code == 403
        for host in ("rebind.attacker.test", "attacker.test:80"):
            assert browser.get(address, headers={"Host": host}).status_code == 421
        assert log_in(browser, address).status_code == 303


def test_the_cookie_is_not_readable_by_scripts(page: RunningPage) -> None:
    address = page.new_address()
    with httpx.Client(base_url=page.origin, trust_env=False) as browser:
        cookie = log_in(browser, address).headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert "path=/" in cookie
    assert "domain" not in cookie
    assert address.rpartition("=")[2].lower() not in cookie


def test_enter_on_the_terminal_prints_another_address(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "wearon_cli", "web", "--port", "0", "--local"]
    with Terminal([*command, "--data-dir", str(tmp_path)], columns=200) as terminal:
        try:
            asked = "press Enter for another one"
            [first] = re.findall(r"the page is at (\S+)", terminal.read_until(asked))
            terminal.shown = b""
            terminal.type("\n")
            [second] = re.findall(r"the page is at (\S+)", terminal.read_until(asked))
            with httpx.Client(trust_env=False) as browser:
                assert log_in(browser, first).status_code == 401
                assert log_in(browser, second).status_code == 303
        finally:
            terminal.type("\x03")
            assert terminal.wait() == 0


def test_an_unknown_host_is_refused_even_with_the_cookie(browser: httpx.Client) -> None:
    for host in ("rebind.attacker.test", "127.0.0.1.attacker.test:80", ""):
        answer = browser.get("/", headers={"Host": host})
        assert answer.status_code in {400, 421}, host
        assert "Sessions" not in answer.text


def test_every_answer_has_the_strict_headers(browser: httpx.Client, stack: PageStack) -> None:
    for address in (*addresses(stack), "/nope", "/static/web.js"):
        headers = browser.get(address).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "same-origin"
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert "server" not in headers
    assert browser.get("/").headers["cache-control"] == "no-store"


def form_token(browser: httpx.Client) -> str:
    found = re.search(r'name="csrf" value="([^"]+)"', browser.get("/").text)
    assert found is not None
    return found[1]


def test_a_read_only_page_accepts_no_form(
    browser: httpx.Client, page: RunningPage, stack: PageStack
) -> None:
    form = {"csrf": form_token(browser), "name": "ann"}
    for address in (
        f"/sessions/{stack.refused.session_id}/replay",
        f"/sessions/{stack.completed.session_id}/undo",
        f"/dead-letters/{stack.letter_id}/drop",
        f"/reconcile/{stack.refused.session_id}",
        "/sessions",
    ):
        answer = browser.post(address, data=form, headers={"Origin": page.origin})
        assert answer.status_code == 403, address
    assert browser.get(f"/sessions/{stack.refused.session_id}/replay").status_code == 404
    for method in ("PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"):
        assert browser.request(method, "/sessions").status_code == 405


def test_too_large_a_request_is_cut_off(browser: httpx.Client, page: RunningPage) -> None:
    answer = browser.post("/logout", content=b"a" * 100_000, headers={"Origin": page.origin})
    assert answer.status_code == 413


def test_logging_out_ends_the_login(page: RunningPage) -> None:
    with page.client() as client:
        form = {"csrf": form_token(client)}
        assert client.post("/logout", data=form).status_code == 403  # no Origin
        answer = client.post("/logout", data=form, headers={"Origin": page.origin})
        assert answer.status_code == 303
        assert client.get("/").status_code == 401


def test_the_log_holds_neither_token_nor_search(stack: PageStack) -> None:
    folder = stack.settings.local_dir
    assert folder is not None
    with web_page(folder) as page, page.client() as client:
        token = page.addresses[0].rpartition("=")[2]
        client.get("/sessions?q=ann@shop.example")
        client.get("/", headers={"Host": "attacker.test"})
        page.process.terminate()
        assert page.process.wait(timeout=60) == 0
        log = re.sub(r"the page is at \S+", "", page.log.read_text("utf-8"))
    assert "web_request_refused" in log
    assert token not in log
    assert "ann@" not in log


def test_it_works_with_a_data_folder_that_no_stack_runs_in(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    with web_page(tmp_path / "data") as page, page.client() as client:
        assert "No consumer is running" in client.get("/").text
