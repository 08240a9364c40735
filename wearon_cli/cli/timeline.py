"""A session's timeline: a line for each event; on a narrow terminal its facts are below it."""

import textwrap
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from rich.console import Group, RenderableType
from rich.text import Text

from wearon_cli.cli.durations import local as local_time
from wearon_cli.cli.looks import Tone
from wearon_cli.cli.tables import ByWidth

#: Members of an entry that have their own column.
_HEAD: Final = frozenset({"at", "event"})
#: Below this width, facts are printed under their event, so that ids are not broken.
NARROW: Final = 80
#: The column where facts begin next to their event: after the time, a symbol and the longest name.
FACTS_AT: Final = 38
_TONES: Final = {
    "picture_stored": Tone.OK,
    "row_failed": Tone.FAILED,
    "settling": Tone.FAILED,
    "handed_back": Tone.WAITING,
    "expired": Tone.HALTED,
    "worker_lost": Tone.WARNING,
    "late_picture": Tone.WARNING,
}
#: The outcome of a purchase or a job decides how its last line looks.
_BY_END: Final = {
    "completed": Tone.OK,
    "failed": Tone.FAILED,
    "parked": Tone.FAILED,
    "lost": Tone.WARNING,
    "not_billed": Tone.WARNING,
    "unused": Tone.WARNING,
}

type TimelineLine = Mapping[str, object]


def timeline(lines: Sequence[TimelineLine]) -> RenderableType:
    """The lines, oldest first, in this machine's zone. No id in them is cut or broken."""
    if not lines:
        return "no timeline (it is kept for 7 days)"
    return ByWidth(lambda width: Group(*(each for line in lines for each in _shown(line, width))))


def _shown(line: TimelineLine, width: int) -> list[Text]:
    """One event: its facts next to it, or below it where they do not fit."""
    facts = _facts(line)
    head = Text.assemble((_time(line), "dim"), "  ", _event(line), no_wrap=True)
    beside = width - FACTS_AT
    longest = max(map(len, facts.split()), default=0)
    if width < NARROW or longest > beside or len(head) > FACTS_AT:
        return [head, *(_fact_line(" " * 4, part) for part in _wrapped(facts, width - 4))]
    first, *rest = _wrapped(facts, beside) or [""]
    head.append(" " * (FACTS_AT - len(head)) + first)
    return [head, *(_fact_line(" " * FACTS_AT, part) for part in rest)]


def _wrapped(facts: str, width: int) -> list[str]:
    return textwrap.wrap(facts, max(width, 1), break_long_words=False, break_on_hyphens=False)


def _fact_line(indent: str, part: str) -> Text:
    return Text(indent + part, no_wrap=True, overflow="ignore")


def _time(line: TimelineLine) -> str:
    return local_time(datetime.fromisoformat(str(line["at"])))


def _event(line: TimelineLine) -> Text:
    event = str(line["event"])
    end = line.get("ending") or line.get("outcome")
    tone = _TONES.get(event) or _BY_END.get(str(end))
    return tone.text(event) if tone else Text(f"  {event}")


def _facts(line: TimelineLine) -> str:
    return " ".join(_fact(name, value) for name, value in line.items() if name not in _HEAD)


def _fact(name: str, value: object) -> str:
    is_money = name.endswith("_usd") and isinstance(value, int | float)
    return f"{name}={value:.4f}" if is_money else f"{name}={value}"
