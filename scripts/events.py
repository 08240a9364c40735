"""
Write docs/events.md from the classes of log events: `python -m scripts.events`.

A test compares the two, so the page is never stale.
"""

import inspect
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from types import ModuleType
from typing import Any

import wearon_cli.core.events as base
import wearon_cli.core.jobs.events as jobs
import wearon_cli.core.pictures.events as pictures
import wearon_cli.runtime.events as processes
from wearon_cli.core.events import ErrorEvent, Event, WarningEvent
from wearon_cli.runtime.ops.metrics import Meters

PAGE = Path(__file__).parents[1] / "docs" / "events.md"
#: Title of a section, and the module whose events it lists.
SECTIONS = (
    ("Jobs", jobs),
    ("Pictures", pictures),
    ("Processes", processes),
    ("Metrics", base),
)
HEAD = """# Log events

Every event that WearOn logs, by the name in the field `event`. Lines with other texts come from
libraries. Written by `python -m scripts.events` from `wearon_cli/core/jobs/events.py`,
`wearon_cli/core/pictures/events.py`, `wearon_cli/runtime/events.py` and
`wearon_cli/core/events.py`.

Every line also has `timestamp` (UTC), `level` and `role`. Lines about a job have `session_id`,
`request_id` and `channel` (`b2c` or `b2b`); lines about an HTTP request have `request_id`. Fields
ending in `_s`, `_ms` and `_usd` are seconds, milliseconds and US dollars; `error` is a code of
[errors.md](errors.md). An event marked "yes" is counted by a metric ([metrics.md](metrics.md)),
whatever the log level (`WEARON_LOG_LEVEL`).
"""
TABLE = """
## {title}

| event | level | fields | counted | what happened |
|---|---|---|---|---|
"""


def events() -> tuple[type[Event], ...]:
    """Every event, in the order of the source code."""
    return tuple(event for _, module in SECTIONS for event in _defined_in(module))


def page() -> str:
    """The whole page."""
    counted = Meters().counted
    tables = [
        TABLE.format(title=title)
        + "".join(_row(event, event in counted) for event in _defined_in(module))
        for title, module in SECTIONS
    ]
    return HEAD + "".join(tables)


def _defined_in(module: ModuleType) -> Iterator[type[Event]]:
    for each in vars(module).values():
        if not inspect.isclass(each) or not issubclass(each, Event):
            continue
        if each.__module__ == module.__name__ and each not in {Event, WarningEvent, ErrorEvent}:
            yield each


def _row(event: type[Event], counted: bool) -> str:
    facts = "<br>".join(f"`{each.name}`: {_kind(each.type)}" for each in fields(event))
    text = " ".join((event.__doc__ or "").split())
    is_counted = "yes" if counted else ""
    return f"| `{event.name()}` | {event.level} | {facts} | {is_counted} | {text} |\n"


def _kind(annotation: Any) -> str:
    name = annotation.__name__ if isinstance(annotation, type) else str(annotation)
    return {"str": "text", "int": "whole number", "float": "number"}.get(
        name.removesuffix(" | None"), name
    ) + (" or null" if name.endswith(" | None") else "")


def main() -> None:
    PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
