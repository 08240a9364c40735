"""Times on the command line: parsing spans, formatting times."""

import re
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Final

import typer

from wearon_cli.core.session import utc_now

_SPAN: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([smhd])")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_SIZES: Final = ((86_400, "d"), (3600, "h"), (60, "m"))


class Span(timedelta):
    """A default span of an option; the help page prints it as typed: 2h, 7d."""

    def __str__(self) -> str:
        seconds = int(self.total_seconds())
        size, unit = next(((n, u) for n, u in _SIZES if seconds % n == 0), (1, "s"))
        return f"{seconds // size}{unit}"


AN_HOUR: Final = Span(hours=1)
A_DAY: Final = Span(days=1)
A_WEEK: Final = Span(days=7)


def parse_span(text: str | timedelta) -> timedelta:
    """
    "90s", "15m", "2h", "7d". A default is passed as a `Span`.

    Raises:
        typer.BadParameter: It is not a span.
    """
    if isinstance(text, timedelta):
        return text
    found = _SPAN.fullmatch(text.strip().lower())
    if found is None:
        raise typer.BadParameter("use a span such as 90s, 15m, 2h or 7d")
    return timedelta(**{_UNITS[found[2]]: float(found[1])})


SinceOption = Annotated[
    timedelta,
    typer.Option(
        "--since",
        parser=parse_span,
        metavar="SPAN",
        help="How far to look back, such as 15m, 2h or 7d.",
    ),
]


def whole_days(since: timedelta) -> tuple[date, date]:
    """The first and the last UTC day of a look back: both count whole."""
    now = utc_now().astimezone(UTC)
    return (now - since).date(), now.date()


def local(time: datetime) -> str:
    """Date and time in this machine's zone."""
    return f"{time.astimezone():%m-%d %H:%M:%S}"


def ago(time: datetime) -> str:
    """How long ago, in one unit."""
    return span(utc_now() - time)


def span(length: timedelta) -> str:
    """A length of time in a suitable unit."""
    return span_s(length.total_seconds())


def span_s(length_s: float) -> str:
    """As `span`, of seconds."""
    seconds = max(0, int(length_s))
    if seconds < 120:
        return f"{seconds} s"
    if seconds < 7200:
        return f"{seconds // 60} min"
    return f"{seconds // 3600} h" if seconds < 172_800 else f"{seconds // 86_400} days"
