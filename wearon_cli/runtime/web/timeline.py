"""The timeline of a session in words, for the page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from wearon_cli.runtime.web.templates import span_words, usd

#: (what happened, tone of its mark).
_EVENTS: Final = {
    "ordered": ("Ordered by an operator", "act"),
    "taken": ("Taken in by a consumer", "plain"),
    "replayed": ("Run again by an operator", "act"),
    "adopted": ("Found without its job, and adopted", "warn"),
    "claimed": ("Claimed by a worker", "plain"),
    "purchase_started": ("Asked the provider for a picture", "money"),
    "purchase_submitted": ("The provider took the request", "plain"),
    "purchase_ended": ("The purchase ended without a picture", "warn"),
    "picture_stored": ("Picture stored", "ok"),
    "picture_held": ("Picture held in Redis: storage was away", "warn"),
    "late_picture": ("A picture came late", "warn"),
    "previous_kept": ("The earlier picture was put aside", "plain"),
    "charged": ("A credit was taken for this replay", "money"),
    "handed_back": ("Handed back to the queue", "warn"),
    "worker_lost": ("Its worker died", "bad"),
    "worker_left": ("Its worker left", "warn"),
    "expired": ("Waited longer than a job may", "bad"),
    "settling": ("Being failed: its credit is settled", "bad"),
    "row_failed": ("The row moved to failed", "bad"),
    "closed": ("Closed", "plain"),
    "undone": ("An operator brought the earlier picture back", "act"),
    "reconciled": ("An operator gave credits back", "act"),
    "picture_suspect": ("A check found something wrong with a picture", "warn"),
    "letter_dropped": ("An operator threw its dead letter away", "act"),
}
_ENDINGS: Final = {"completed": "ok", "failed": "bad", "parked": "bad", "dropped": "plain"}
#: Members that are told elsewhere in the line.
_TOLD: Final = frozenset({"at", "event", "detail"})
_LABELS: Final = {
    "error": "cause",
    "error_code": "cause",
    "vendor_request_id": "provider's request",
    "cost_usd": "cost",
    "after_s": "again after",
    "from_status": "was",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """One line."""

    at: datetime
    after_s: float  # since the line before it
    words: str
    tone: str
    facts: Sequence[tuple[str, str]]
    detail: str


def moments(timeline: Sequence[Mapping[str, object]]) -> list[Moment]:
    """Every line, oldest first."""
    found: list[Moment] = []
    for line in timeline:
        at = datetime.fromisoformat(str(line["at"]))
        event = str(line.get("event", ""))
        words, tone = _EVENTS.get(event, (event.replace("_", " ").capitalize(), "plain"))
        if event == "closed":
            tone = _ENDINGS.get(str(line.get("ending")), tone)
        found.append(
            Moment(
                at=at,
                after_s=(at - found[-1].at).total_seconds() if found else 0.0,
                words=words,
                tone=tone,
                facts=[_fact(k, v) for k, v in line.items() if k not in _TOLD and v is not None],
                detail=str(line.get("detail") or ""),
            )
        )
    return found


def _fact(name: str, value: object) -> tuple[str, str]:
    label = _LABELS.get(name, name.removesuffix("_s").replace("_", " "))
    if isinstance(value, bool):
        return label, "yes" if value else "no"
    if isinstance(value, int | float):
        if name.endswith("_usd"):
            return label, usd(float(value))
        if name.endswith("_s"):
            return label, span_words(float(value))
    return label, str(value)
