"""
How likely a replay is to succeed, by the error class of the failure.

It uses the outcomes of recent replays of that class, or a rule when there are too few.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from wearon_cli.core import errors
from wearon_cli.core.jobs.journal import SessionRecord
from wearon_cli.core.session import Session, Status

#: Least number of replays of an error class for their rate to be used.
ENOUGH: Final = 5


class Chance(StrEnum):
    """The rule, in a word."""

    LOW = "low"
    EVEN = "even"
    HIGH = "high"


#: By class of error, subclasses included; the most specific one counts.
_RULES: Final[dict[type[errors.WearonError], tuple[Chance, str]]] = {
    errors.WearonError: (Chance.EVEN, "the cause is unknown"),
    errors.InputError: (Chance.LOW, "its payload or a setting is wrong and will stay so"),
    errors.PictureProblem: (Chance.LOW, "the photo is the problem"),
    errors.UpstreamError: (Chance.HIGH, "a service was unavailable or busy"),
    errors.StoreRefused: (Chance.LOW, "the store will refuse again until it is changed"),
    errors.FetchFailed: (Chance.EVEN, "the photo's host was unavailable"),
    errors.GenerationRefused: (Chance.LOW, "the safety system refuses the same photos again"),
    errors.RequestRejected: (Chance.LOW, "the image API cannot use these pictures"),
    errors.ModelUnavailable: (
        Chance.HIGH,
        "if another model is configured now or set with --model",
    ),
    errors.AccountBlocked: (Chance.HIGH, "once the account works again: check `wearon status`"),
    errors.CallAmbiguous: (Chance.HIGH, "an answer was lost"),
    errors.JobGaveUp: (Chance.EVEN, "it was already retried many times"),
    errors.JobTooOld: (Chance.HIGH, "it only waited too long"),
    errors.JobOrphaned: (Chance.HIGH, "its job was lost before the first attempt"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayChance:
    """How likely a replay of this class of error is to succeed."""

    error_class: str
    chance: Chance
    reason: str
    succeeded: int = 0  # of the known replays
    replays: int = 0


def replay_chance(error_class: str, known: "Outcomes | None" = None) -> ReplayChance:
    """Estimate the chance, and say why."""
    succeeded, replays = known.of(error_class) if known else (0, 0)
    chance, reason = _rule(error_class)
    if replays >= ENOUGH:
        share = succeeded / replays
        chance = Chance.HIGH if share > 2 / 3 else Chance.LOW if share < 1 / 3 else Chance.EVEN
        reason = f"{succeeded} of {replays} recent replays succeeded"
    return ReplayChance(
        error_class=error_class,
        chance=chance,
        reason=reason,
        succeeded=succeeded,
        replays=replays,
    )


@dataclass(slots=True)
class Outcomes:
    """Outcomes of replays, by the class of error that was replayed."""

    succeeded: Counter[str]
    replays: Counter[str]

    @classmethod
    def none(cls) -> "Outcomes":
        return cls(Counter(), Counter())

    def add(self, error_class: str, *, succeeded: bool) -> None:
        self.replays[error_class] += 1
        self.succeeded[error_class] += succeeded

    def of(self, error_class: str) -> tuple[int, int]:
        """Succeeded, and how many there were."""
        return self.succeeded[error_class], self.replays[error_class]


def outcomes_of(sessions: Iterable[tuple[Session, SessionRecord | None]]) -> Outcomes:
    """The outcomes of these sessions' replays, as far as their records show."""
    known = Outcomes.none()
    for row, record in sessions:
        if record is not None and record.replays and record.error_code:
            known.add(record.error_code, succeeded=row.status is Status.COMPLETED)
    return known


def _rule(error_class: str) -> tuple[Chance, str]:
    kind = _classes().get(error_class, errors.WearonError)
    return next(_RULES[each] for each in kind.__mro__ if each in _RULES)


def _classes() -> dict[str, type[errors.WearonError]]:
    found: dict[str, type[errors.WearonError]] = {}
    todo: Sequence[type[errors.WearonError]] = [errors.WearonError]
    while todo:
        found |= {each().code: each for each in todo}
        todo = [sub for each in todo for sub in each.__subclasses__()]
    return found
