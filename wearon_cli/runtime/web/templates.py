"""The templates: every value escaped and redacted, whatever a template does with it."""

import re
from datetime import datetime
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from markupsafe import Markup, escape

from wearon_cli.core.session import utc_now
from wearon_cli.runtime.web.redaction import redacted

STATIC_TYPES: Final = {
    "web.css": "text/css",
    "web.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}
_COMMAND: Final = re.compile(r"`([^`]+)`")
_SIZES: Final = ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s"))


@cache
def static_file(name: str) -> bytes:
    """The style sheet or the script."""
    return files(__package__).joinpath("static", name).read_bytes()


@cache
def static_address(name: str) -> str:
    """Its address, which changes with its content."""
    return f"/static/{name}?{sha256(static_file(name)).hexdigest()[:12]}"


class Pages:
    """Renders templates."""

    def __init__(self) -> None:
        self._environment = Environment(
            loader=PackageLoader("wearon_cli.runtime.web", "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            finalize=_put_out,
        )
        self._environment.globals["static"] = static_address
        self._environment.filters |= {
            "own": own,
            "commands": commands,
            "clock": clock,
            "moment": moment,
            "ago": ago,
            "span": span_words,
            "usd": usd,
            "machine_time": machine_time,
        }

    def render(self, template: str, /, **values: Any) -> str:
        """A template with these values."""
        return self._environment.get_template(template).render(**values)


@pass_context
def _put_out(context: Context, value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, Markup):
        return value
    return redacted(str(value), show_emails=bool(context.get("show_emails")))


@pass_context
def commands(context: Context, text: str) -> Markup:
    """A sentence of the commands, each text in backticks set as code."""
    escaped = str(escape(_put_out(context, text)))
    return Markup(_COMMAND.sub(r"<code>\1</code>", escaped))  # noqa: S704 - escaped above


def own(text: str) -> Markup:
    """What the reader has just typed, given back as it was."""
    return escape(text)


def clock(at: datetime) -> str:
    """A time of day, in UTC."""
    return f"{at:%H:%M:%S}"


def moment(at: datetime) -> str:
    """Day and time, in UTC."""
    return f"{at:%Y-%m-%d %H:%M:%S}"


def machine_time(at: datetime) -> str:
    """For the `datetime` attribute of a time."""
    return at.isoformat(timespec="milliseconds")


def ago(at: datetime) -> str:
    """How long ago."""
    return span_words((utc_now() - at).total_seconds())


def span_words(length_s: float) -> str:
    """A length of time in the unit that suits it: `41 s`, `12 min`, `3 h`, `2 d`."""
    seconds = max(0, int(length_s))
    size, unit = next(((n, u) for n, u in _SIZES if seconds >= 2 * n or n == 1), (1, "s"))
    return f"{seconds // size} {unit}"


def usd(amount: float | None) -> str:
    """Money: cents from a dollar on, below that as fine as a picture's price, where it is finer."""
    if amount is None:
        return "-"
    if amount and amount < 1:
        cents, _, finer = f"${amount:.4f}".partition(".")
        return f"{cents}.{finer[:2]}{finer[2:].rstrip('0')}"
    return f"${amount:,.2f}"
