"""
What no page shows: addresses that grant access, and e-mails unless somebody asks for them.

Applied to every value that a template puts out, whatever it is (`templates.py`).
"""

import re
from typing import Final
from urllib.parse import urlsplit

#: An address with its query, which may be a signature. Bytes that are no whole JSON are shown as
#: they came: some producers escape slashes there, others the & of a query.
_ADDRESS: Final = re.compile(
    r"\b(?:https?|rediss?|postgres(?:ql)?):(?:\\?/){2}(?:\\/|\\u[0-9a-f]{4}|[^\s\"'<>\\])+",
    re.IGNORECASE,
)
_EMAIL: Final = re.compile(r"[\w.%+'-]+@[\w-]+(?:\.[\w-]+)+")
#: Keys and signed tokens that may stand in free text: OpenAI's, Supabase's, JSON Web Tokens.
_SECRET: Final = re.compile(r"\b(?:sk-|sb_secret_)[\w-]{6,}|\beyJ[\w-]{6,}\.[\w-]+\.[\w-]*")
_HIDDEN: Final = "…"


def redacted(text: str, *, show_emails: bool = False) -> str:
    """The text without queries of addresses, logins in them, keys and e-mails."""
    text = _ADDRESS.sub(lambda found: shown_address(found[0]), text)
    text = _SECRET.sub(_HIDDEN, text)
    return text if show_emails else _EMAIL.sub(lambda found: masked_email(found[0]), text)


def shown_address(url: str) -> str:
    """An address without its login and its query, which may grant access."""
    plain, escaped, _ = url.replace("\\/", "/").partition("\\u")
    try:
        parts = urlsplit(plain)
    except ValueError:
        return _HIDDEN
    host = parts.netloc.rpartition("@")[2]
    query = "?" + _HIDDEN if parts.query or parts.fragment or escaped else ""
    return f"{parts.scheme}://{host}{parts.path}{query}"


def masked_email(email: str) -> str:
    """`ann@shop.example` as `a•••@shop.example`: enough to recognise, not to write to."""
    name, _, domain = email.partition("@")
    return f"{name[:1]}•••@{domain}"
