"""When to ask for a picture: short requests, few of them, no connection held in between."""

from collections import deque
from typing import Final

from wearon_cli.core.errors import GeneratorError, RateLimited

#: Between two questions about one picture.
EVERY_S: Final = 2.0
#: After a question that failed, unless the provider names a time.
AFTER_FAILURE_S: Final = 4.0
#: The first question waits at most this long, however long pictures took before.
MAX_FIRST_S: Final = 30.0
#: The first question comes at this share of the shortest recent time: earlier ones are wasted, and
#: a request costs about as much processor time as encoding a tenth of a photo.
_SHARE: Final = 0.8
_REMEMBERED: Final = 50


class Pace:
    """Learns how long pictures take. One for each provider."""

    def __init__(self, every_s: float = EVERY_S) -> None:
        self.every_s = every_s
        self._took_s: deque[float] = deque(maxlen=_REMEMBERED)

    def first_s(self) -> float:
        """Seconds from the purchase to the first question."""
        shortest_s = min(self._took_s, default=0.0)
        return max(self.every_s, min(shortest_s * _SHARE, MAX_FIRST_S))

    def took(self, seconds: float) -> None:
        """Remember how long a picture took."""
        if seconds > 0:
            self._took_s.append(seconds)

    @staticmethod
    def after_failure_s(failure: GeneratorError) -> float:
        """Seconds to the next question after one that failed."""
        told_s = failure.retry_after_s if isinstance(failure, RateLimited) else 0.0
        return max(told_s, AFTER_FAILURE_S)
