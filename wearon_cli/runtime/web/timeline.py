"""The timeline of a session in words, for the page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from wearon_cli.runtime.web.templates import span_words, usd

#: (what happened, tone of its mark).
_EVENTS: Final = {
    "ordered": ("Ordered by an operator", "act"),
    "taken": ("Received by a consumer", "plain"),
    "replayed": ("Run again by an operator", "act"),
    "adopted": ("The row was open without a job: it is failed and settled", "warn"),
    "claimed": ("Claimed by a worker", "plain"),
    "purchase_started": ("Asked the provider for a picture", "money"),
    "purchase_submitted": ("The provider took the request", "plain"),
    "purchase_ended": ("The purchase ended without a picture", "warn"),
    "preview_started": ("Started to make a preview", "plain"),
    "preview_ended": ("The preview could not be made", "warn"),
    "picture_stored": ("Picture stored", "ok"),
    "picture_held": ("Picture held in Redis: storage was unavailable", "warn"),
    "late_picture": ("A picture arrived late", "warn"),
    "previous_kept": ("The earlier picture was kept for an undo", "plain"),
    "charged": ("A credit was taken for this replay", "money"),
    "handed_back": ("Handed back to the queue", "warn"),
    "worker_lost": ("Its worker was lost", "bad"),
    "worker_left": ("Its worker shut down", "warn"),
    "expired": ("Waited longer than allowed", "bad"),
    "settling": ("Failed: settling its credit", "bad"),
    "row_failed": ("The row moved to failed", "bad"),
    "closed": ("Closed", "plain"),
    "undone": ("An operator restored the earlier picture", "act"),
    "reconciled": ("An operator returned its credit", "act"),
    "picture_suspect": ("A check marked a picture as suspect", "warn"),
    "picture_not_checked": ("A picture could not be checked", "warn"),
    "pictures_left_out": ("Accessories were left out of this replay", "warn"),
    "forgetting": ("An operator began to delete its data", "act"),
    "forgotten": ("Earlier lines were deleted on request", "act"),
    "letter_dropped": ("An operator dropped its dead letter", "act"),
}
_ENDINGS: Final = {"completed": "ok", "failed": "bad", "parked": "bad", "dropped": "plain"}
#: Fields shown elsewhere in the line.
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
