"""Who may see the page, and what no page shows."""

import pytest

from wearon_cli.runtime.web.guard import (
    LOGIN_LIFE_S,
    MOST_LOGINS,
    TOKEN_LIFE_S,
    Login,
    Logins,
    checked_name,
    is_csrf_right,
    is_own_host,
    is_same_origin,
    read_form,
)
from wearon_cli.runtime.web.redaction import masked_email, redacted
from wearon_cli.runtime.web.server import host_to_open, is_loopback
from wearon_cli.runtime.web.templates import Pages, span_words, usd


@pytest.mark.parametrize(
    ("host", "is_own"),
    [
        pytest.param("127.0.0.1:8090", True, id="loopback"),
        pytest.param("localhost:9000", True, id="another port, as behind a tunnel"),
        pytest.param("LOCALHOST", True, id="in capitals"),
        pytest.param("[::1]:8090", True, id="loopback of IPv6"),
        pytest.param("10.1.2.3", True, id="an address: no name can be turned to us"),
        pytest.param("rebind.attacker.test:8090", False, id="a name that may point here"),
        pytest.param("127.0.0.1.attacker.test", False, id="a name that begins like us"),
        pytest.param("localhost.attacker.test", False, id="a name that begins like localhost"),
        pytest.param("attacker.test@127.0.0.1", True, id="our address after a login"),
        pytest.param("127.0.0.1@attacker.test", False, id="our address as a login"),
        pytest.param("", False, id="none"),
        pytest.param("[::1", False, id="no host at all"),
        pytest.param("ops.shop.example", True, id="the name that was asked for"),
    ],
)
def test_only_hosts_safe_from_dns_rebinding_are_accepted(host: str, is_own: bool) -> None:
    assert is_own_host(host, listening_on="ops.shop.example") is is_own


@pytest.mark.parametrize(
    ("headers", "is_same"),
    [
        ({"host": "127.0.0.1:1", "origin": "http://127.0.0.1:1"}, True),
        ({"host": "127.0.0.1:1", "sec-fetch-site": "same-origin"}, True),
        ({"host": "127.0.0.1:1", "origin": "http://127.0.0.1:2"}, False),
        ({"host": "127.0.0.1:1", "origin": "null"}, False),
        ({"host": "127.0.0.1:1", "origin": "https://attacker.test"}, False),
        ({"host": "127.0.0.1:1", "origin": "http://[attacker"}, False),  # was an error 500
        ({"host": "127.0.0.1:1", "sec-fetch-site": "same-site"}, False),
        ({"host": "127.0.0.1:1", "sec-fetch-site": "none"}, False),
        ({"host": "a:1", "origin": "http://a:1", "sec-fetch-site": "cross-site"}, False),
        ({"host": "127.0.0.1:1"}, False),
    ],
)
def test_a_form_must_come_from_our_own_page(headers: dict[str, str], is_same: bool) -> None:
    assert is_same_origin(headers) is is_same


def opened(logins: Logins, *, now_s: float = 0, name: str = "ann") -> Login:
    login = logins.open(logins.issue(now_s=now_s), name=name, now_s=now_s)
    assert login is not None
    return login


def test_a_login_needs_the_token_and_ends() -> None:
    logins = Logins(port=1)
    assert logins.open("", name="ann", now_s=0) is None  # none is issued yet
    token = logins.issue(now_s=0)
    for wrong in ("", token[:-1], f"{token}x", "ä"):
        assert logins.open(wrong, name="ann", now_s=0) is None
    login = logins.open(token, name="ann", now_s=0)
    assert login is not None
    cookies = f"other=1; {logins.cookie}={login.login_id}"
    assert logins.find(cookies, now_s=1) is login
    assert logins.find(f"wearon_web_2={login.login_id}", now_s=1) is None
    assert logins.find(f"{logins.cookie}=", now_s=1) is None
    assert logins.find(cookies, now_s=LOGIN_LIFE_S + 1) is None
    assert logins.find(cookies, now_s=1) is None  # it is forgotten


def test_a_token_is_valid_once_and_for_ten_minutes() -> None:
    logins = Logins(port=1)
    used = logins.issue(now_s=0)
    assert logins.is_valid(used, now_s=1)
    assert logins.is_valid(used, now_s=1)  # asking does not use it up
    assert logins.open(used, name="ann", now_s=1) is not None
    assert logins.open(used, name="eve", now_s=1) is None
    replaced, old = logins.issue(now_s=1), logins.issue(now_s=1)
    assert logins.open(replaced, name="eve", now_s=1) is None
    assert logins.open(old, name="eve", now_s=1 + TOKEN_LIFE_S) is None
    assert TOKEN_LIFE_S == 600


def test_logins_can_be_ended_and_their_number_is_bounded() -> None:
    logins = Logins(port=1)
    first, second, *_ = [opened(logins) for _ in range(MOST_LOGINS + 1)]
    assert logins.find(f"{logins.cookie}={first.login_id}", now_s=0) is None
    assert logins.find(f"{logins.cookie}={second.login_id}", now_s=0) is second
    logins.close(second)
    assert logins.find(f"{logins.cookie}={second.login_id}", now_s=0) is None


def test_each_login_has_a_form_token_of_its_own() -> None:
    logins = Logins(port=1)
    one, two = opened(logins), opened(logins)
    assert is_csrf_right(one, {"csrf": one.csrf})
    assert not is_csrf_right(one, {"csrf": two.csrf})
    assert not is_csrf_right(one, {})


def test_a_form_with_too_many_fields_is_rejected() -> None:
    assert read_form(b"a=1&b=x%20y&a=2&c=") == {"a": "2", "b": "x y", "c": ""}
    assert read_form("ä=1".encode()) == {}
    assert read_form(b"&".join(b"%d=1" % n for n in range(100))) == {}


def test_a_name_is_one_line_of_bounded_length() -> None:
    assert checked_name("  Ann \n of\tsupport\x00 ") == "Ann of support"
    assert checked_name("\n \x07") == ""
    assert len(checked_name("a" * 500)) == 80


SIGNED = "https://x.supabase.co/storage/v1/object/sign/b/stores/1/a.jpg?token=eyJhbGciOi.J9.abc"


@pytest.mark.parametrize(
    "text",
    [
        SIGNED,
        f'{{"image_urls": ["{SIGNED}"]}}',
        f"could not fetch {SIGNED}, gave up",
        SIGNED.replace("https", "HTTPS"),
        "rediss://default:geheim@redis.example:6379/0",
        "key sk-proj-abcdefgh1234 refused",
        "eyJhbGciOiJI.eyJyb2xlIjoi.c2VjcmV0",
        "ann.lee+shop@mail.shop.example wrote",
        "ann.lee@münchen.example wrote",
        'cut off: {"url": "https:\\/\\/b.example\\/a.jpg?sig=geheim',
        'cut off: {"url": "https://b.example/a.jpg?e=1\\u0026sig=geheim',
    ],
)
def test_pages_contain_no_secrets_and_no_e_mails(text: str) -> None:
    shown = redacted(text)
    for secret in ("token=e", "geheim", "abcdefgh1234", "c2VjcmV0", "ann.lee"):
        assert secret not in shown


def test_useful_values_are_not_redacted() -> None:
    assert redacted(SIGNED).startswith("https://x.supabase.co/storage/v1/object/sign/b/stores/1/a")
    assert redacted("400, invalid_image_file (request req_1)").endswith("(request req_1)")
    assert redacted("a@b.test", show_emails=True) == "a@b.test"
    assert masked_email("ann@shop.example") == "a•••@shop.example"


def problem_page(*, message: str = "", hint: str = "", query: str = "") -> str:
    return Pages().render(
        "problem.html",
        message=message,
        hint=hint,
        code=500,
        path="/",
        query=query,
        is_local=False,
        allow_actions=False,
        csrf="c",
        show_emails=False,
    )


def test_every_value_of_a_template_is_escaped_and_redacted() -> None:
    html = problem_page(
        message='<script>alert("x")</script> ann@shop.example',
        hint=f"see {SIGNED}",
        query='"><img src=x>',
    )
    assert "<script>alert" not in html
    assert "<img src=x" not in html
    assert "ann@" not in html
    assert "token=" not in html


def test_commands_in_a_sentence_are_set_as_code() -> None:
    """Seen: hints of the doctor showed their backticks."""
    html = problem_page(hint="run `wearon model pull`, `a<b`, <b> ann@shop.example and one ` alone")
    assert (
        "Run <code>wearon model pull</code>, <code>a&lt;b</code>, &lt;b&gt; a•••@shop.example "
        "and one ` alone." in html
    )


@pytest.mark.parametrize(
    ("host", "is_here"),
    [("127.0.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("ops", False)],
)
def test_loopback_addresses_are_recognised(host: str, is_here: bool) -> None:
    assert is_loopback(host) is is_here


@pytest.mark.parametrize(
    ("host", "opens"),
    [
        pytest.param("0.0.0.0", "127.0.0.1", id="every address"),
        pytest.param("::", "[::1]", id="every address of IPv6"),
        pytest.param("::1", "[::1]", id="loopback of IPv6"),
        pytest.param("10.1.2.3", "10.1.2.3", id="one address"),
        pytest.param("ops.shop.example", "ops.shop.example", id="a name"),
    ],
)
def test_the_address_to_log_in_at_opens_in_a_browser(host: str, opens: str) -> None:
    assert host_to_open(host) == opens


def test_times_and_money_are_formatted() -> None:
    assert [span_words(s) for s in (0, 119, 120, 7200, 200_000)] == [
        "0 s", "119 s", "2 min", "2 h", "2 d",
    ]  # fmt: skip
    amounts = (None, 0.0, 0.05, 0.0131, 0.1, 1234.5)
    assert [usd(x) for x in amounts] == ["-", "$0.00", "$0.05", "$0.0131", "$0.10", "$1,234.50"]
