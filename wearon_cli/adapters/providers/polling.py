"""Decides when to poll for a picture: few short requests, no connection held in between."""

import time
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable
from typing import Final

from wearon_cli.core.errors import GeneratorError, GeneratorFault, RateLimited
from wearon_cli.core.providers import Ticket

#: Shortest pause between two polls for one picture.
EVERY_S: Final = 2.0
#: The pause is at least this share of the picture's age: it is noticed at most 10 % late.
EVERY_SHARE: Final = 0.1
#: Pause after a failed poll, unless the provider names one.
AFTER_FAILURE_S: Final = 4.0
#: Pause between two lookups of a purchase that may just have arrived or ended.
LOOK_AGAIN_S: Final = 3.0
#: Concurrent status requests. The connection pool gets slow when many wait for it.
QUESTIONS_AT_ONCE: Final = 16
#: Time limit of a free request. The answer with the picture has about 1.5 MB.
QUESTION_TIMEOUT_S: Final = 20.0
#: The first poll comes after this time at the latest, however long earlier pictures took.
MAX_FIRST_S: Final = 60.0

#: How many recent durations are kept for a model, and how many are needed before they are used.
_REMEMBERED: Final = 50
_ENOUGH: Final = 5
#: The first poll comes when one picture in ten is ready. An earlier one rarely finds a picture, and
#: each costs about 2 ms of CPU (`make bench`, bench_providers).
_QUANTILE: Final = 0.1
#: More purchases than one process ever has in flight; the age of older ones is dropped.
_MOST_TICKETS: Final = 5000


class Pace:
    """Learns how long each model's pictures take. One for each provider."""

    def __init__(
        self,
        every_s: float = EVERY_S,
        *,
        first_guess_s: float | None = None,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """
        Args:
            every_s: Shortest time between two polls.
            first_guess_s: From a purchase to the first poll, until enough durations are known.
            clock_s: A monotonic clock.
        """
        self._every_s = every_s
        self._first_guess_s = every_s if first_guess_s is None else first_guess_s
        self._clock_s = clock_s
        self._begun_s: OrderedDict[str, float] = OrderedDict()
        self._took_s: defaultdict[str, deque[float]] = defaultdict(
            lambda: deque(maxlen=_REMEMBERED)
        )

    def first_s(self, ticket: Ticket) -> float:
        """Seconds from this purchase, made now, to the first poll."""
        self._begun_s[ticket.provider_id] = self._clock_s()
        if len(self._begun_s) > _MOST_TICKETS:
            self._begun_s.popitem(last=False)
        took_s = sorted(self._took_s[ticket.model])
        if len(took_s) < _ENOUGH:
            return self._first_guess_s
        return max(self._every_s, min(took_s[int(len(took_s) * _QUANTILE)], MAX_FIRST_S))

    def next_s(self, ticket: Ticket) -> float:
        """Seconds to the next poll for a picture that is not there yet."""
        begun_s = self._begun_s.get(ticket.provider_id, self._clock_s())
        return max(self._every_s, (self._clock_s() - begun_s) * EVERY_SHARE)

    def ended(self, ticket: Ticket) -> None:
        """Record how long a picture took."""
        begun_s = self._begun_s.pop(ticket.provider_id, None)
        if begun_s is not None:
            self._took_s[ticket.model].append(self._clock_s() - begun_s)

    @staticmethod
    def after_failure_s(failure: GeneratorError) -> float:
        """Seconds to the next poll after one that failed."""
        told_s = failure.retry_after_s if isinstance(failure, RateLimited | GeneratorFault) else 0.0
        return max(told_s, AFTER_FAILURE_S)
