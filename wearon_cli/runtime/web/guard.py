"""
Authentication and request checks of the page.

Loopback alone does not protect it: any page in the operator's browser can send requests there, and
an attacker's domain name can point there (DNS rebinding). So the Host header is checked, a login is
required, and every change must come from one of our pages with its login's CSRF token.
"""

import hmac
import ipaddress
import secrets
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qs, urlsplit

#: Most logins remembered; the least recently used is dropped first.
MOST_LOGINS: Final = 100
TOKEN_BYTES: Final = 32
#: An address logs in one browser, within this time: what is left in a browser's history, in a
#: terminal's scrollback or in a log is worth nothing.
TOKEN_LIFE_S: Final = 600
#: A working day.
LOGIN_LIFE_S: Final = 12 * 3600
#: Most characters of a name that goes into a timeline.
MAX_NAME_CHARS: Final = 80


@dataclass(slots=True, kw_only=True)
class Login:
    """A logged-in browser."""

    login_id: str
    csrf: str
    ends_at_s: float  # by the clock of `Logins`
    name: str  # who acts


class Logins:
    """The current logins, and the token for the next one. In memory only: a restart ends them."""

    def __init__(self, *, port: int) -> None:
        #: Cookies are shared by all ports of a host, so the port is part of the name.
        self.cookie = f"wearon_web_{port}"
        self._token = ""  # none
        self._token_ends_at_s = 0.0
        self._open: OrderedDict[str, Login] = OrderedDict()

    def issue(self, *, now_s: float) -> str:
        """A token for one login. The token before it is no longer valid."""
        self._token = secrets.token_urlsafe(TOKEN_BYTES)
        self._token_ends_at_s = now_s + TOKEN_LIFE_S
        return self._token

    def is_valid(self, token: str, *, now_s: float) -> bool:
        """Whether a token opens a login. Asking does not use it up."""
        is_right = hmac.compare_digest(token.encode(), self._token.encode())
        return is_right and bool(token) and now_s < self._token_ends_at_s

    def open(self, token: str, *, name: str, now_s: float) -> Login | None:
        """A new login, once for each token; None for any other text."""
        if not self.is_valid(token, now_s=now_s):
            return None
        self._token = ""
        login = Login(
            login_id=secrets.token_urlsafe(TOKEN_BYTES),
            csrf=secrets.token_urlsafe(TOKEN_BYTES),
            ends_at_s=now_s + LOGIN_LIFE_S,
            name=name,
        )
        self._open[login.login_id] = login
        while len(self._open) > MOST_LOGINS:
            self._open.popitem(last=False)
        return login

    def find(self, cookies: str, *, now_s: float) -> Login | None:
        """The login that a Cookie header brings."""
        for part in cookies.split(";"):
            name, _, value = part.strip().partition("=")
            login = self._open.get(value) if name == self.cookie else None
            if login is not None:
                if login.ends_at_s > now_s:
                    self._open.move_to_end(value)
                    return login
                del self._open[value]
        return None

    def close(self, login: Login) -> None:
        """Log out."""
        self._open.pop(login.login_id, None)


def is_own_host(header: str, *, listening_on: str) -> bool:
    """
    Whether a Host header is one that an attacker's DNS cannot produce.

    Args:
        header: `name[:port]`. A tunnel may have another port than the listener.
        listening_on: The host that was asked for, which may be a name.
    """
    try:
        name = urlsplit(f"//{header}").hostname or ""
    except ValueError:
        return False
    if name in {"localhost", listening_on.lower()}:
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def is_same_origin(headers: Mapping[str, str]) -> bool:
    """Whether a page of ours sent a form. A browser says so in one of these headers or both."""
    origin, site = headers.get("origin"), headers.get("sec-fetch-site")
    if origin is None and site is None:
        return False
    return site in {None, "same-origin"} and (
        origin is None or origin.partition("://")[2] == headers.get("host", "")
    )


def read_form(body: bytes) -> dict[str, str]:
    """The fields of a form; of several of one name the last."""
    try:
        fields = parse_qs(body.decode("ascii"), keep_blank_values=True, max_num_fields=50)
    except ValueError:
        return {}
    return {name: values[-1] for name, values in fields.items()}


def is_csrf_right(login: Login, form: Mapping[str, str]) -> bool:
    """Whether a form carries its login's own token."""
    return hmac.compare_digest(form.get("csrf", "").encode(), login.csrf.encode())


def checked_name(text: str) -> str:
    """A name as it may stand in a timeline: one line, not too long; empty when it is none."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:MAX_NAME_CHARS]
