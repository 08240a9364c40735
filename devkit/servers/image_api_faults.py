"""The ways the image API fails, by name, and how long it takes."""

import math
import random
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any, ClassVar, Final, Self

from devkit.servers.image_api_rules import Rejection, model_not_found

RETRY_AFTER_S = 2
WINDOW_S: Final = 60.0


def _rejection(status: int, code: str | None, message: str, **more: Any) -> Callable[[], Rejection]:
    return lambda: Rejection(status=status, code=code, message=message, **more)


def _refused(stage: str) -> Callable[[], Rejection]:
    return _rejection(
        400,
        "moderation_blocked",
        "Your request was rejected by the safety system. safety_violations=[sexual].",
        kind="image_generation_user_error",
        extra={"moderation_details": {"moderation_stage": stage, "categories": ["sexual"]}},
    )


def _rate_limited(**headers: str) -> Callable[[], Rejection]:
    return _rejection(
        429,
        "rate_limit_exceeded",
        "Rate limit reached on input-images per min: Limit 5, Used 5, Requested 1.",
        kind="input-images",
        headers=headers,
    )


def _rate_limited_until_a_date() -> Rejection:
    when = datetime.now(UTC) + timedelta(seconds=RETRY_AFTER_S)
    return _rate_limited(**{"retry-after": format_datetime(when, usegmt=True)})()


def _broke(code: str) -> Callable[[], Rejection]:
    return _rejection(429, code, "You have no credits remaining.", kind="insufficient_quota")


#: Faults that are an error answer in JSON. Nothing is drawn, nothing is billed.
REJECTIONS: dict[str, Callable[[], Rejection]] = {
    "moderation_input": _refused("input"),
    "moderation_output": _refused("output"),
    "content_policy": _rejection(400, "content_policy_violation", "Your request was rejected."),
    "invalid_image_file": _rejection(400, "invalid_image_file", "Invalid image file."),
    "unsupported_file_mimetype": _rejection(400, "unsupported_file_mimetype", "Invalid file."),
    "invalid_value": _rejection(400, "invalid_value", "Invalid value.", param="prompt"),
    "billing_hard_limit": _rejection(
        400, "billing_hard_limit_reached", "Billing hard limit has been reached"
    ),
    "invalid_api_key": _rejection(
        401, "invalid_api_key", "Incorrect API key provided: sk-test-secret."
    ),
    "not_verified": _rejection(
        403, None, "Your organization must be verified to use the model `gpt-image-1.5`."
    ),
    "model_not_found": lambda: model_not_found("gpt-image-1.5"),
    "model_forbidden": lambda: model_not_found("gpt-image-1.5", status=403),
    "insufficient_quota": _broke("insufficient_quota"),
    "credit_balance_exhausted": _broke("credit_balance_exhausted"),
    "organization_spend_limit": _broke("organization_spend_limit_exceeded"),
    "project_spend_limit": _broke("project_spend_limit_exceeded"),
    "organization_usage_limit": _broke("organization_usage_limit_exceeded"),
    "rate_limited": _rate_limited(**{"retry-after": str(RETRY_AFTER_S)}),
    "rate_limited_ms": _rate_limited(
        **{"retry-after-ms": str(RETRY_AFTER_S * 1000), "retry-after": "99"}
    ),
    "rate_limited_date": _rate_limited_until_a_date,
    "rate_limited_untold": _rate_limited(),
    "slow_down": _rejection(429, "slow_down", "Slow down.", headers={"retry-after": "1"}),
    "overloaded": _rejection(
        503, "server_is_overloaded", "The server is overloaded.", kind="server_error"
    ),
    "server_error": _rejection(
        500, "server_error", "The server had an error.", kind="server_error"
    ),
}
#: Faults that are the page of a proxy in between, by status. Nothing is billed.
PAGES = {"html_502": 502, "html_504": 504, "html_403": 403, "html_429": 429, "html_400": 400}
#: Faults after a purchase: the picture was drawn and billed but does not arrive.
BILLED = frozenset(
    {
        "html_200",  # a page with status 200
        "drop_after",  # the connection closes without an answer
        "truncated_body",  # the connection closes within the answer
        "empty_data",
        "no_data",
        "truncated_base64",
        "not_base64",
        "not_a_picture",
        "png_answer",  # another format than requested: usable
        "refused_in_200",  # an error object under status 200
        "error_in_200",
        "hang",  # no answer until the caller gives up
    }
)
#: The connection closes before the request is read. Nothing is billed.
UNREAD = "drop_before"
#: A complete answer after ten times the usual wait.
SLOW = "slow"
#: Refusals on the output side come after the drawing.
AFTER_DRAWING = frozenset({"moderation_output"})

NAMES = frozenset({*REJECTIONS, *PAGES, *BILLED, UNREAD, SLOW})


@dataclass(slots=True, kw_only=True)
class Rule:
    """When a fault happens. Matching rules are tried in order; the first that fires wins."""

    name: str
    probability: float = 1.0
    times: int | None = None  # how often at most
    session: str | None = None  # only calls for this session
    model: str | None = None  # only calls of this model

    names: ClassVar[frozenset[str]] = NAMES

    def __post_init__(self) -> None:
        if self.name not in self.names and not self.name.startswith("code="):
            raise ValueError(f"no fault {self.name!r}; there are {', '.join(sorted(self.names))}")

    def fires(self, chance: random.Random, *, session: str, model: str) -> bool:
        if self.times == 0 or self.session not in {None, session}:
            return False
        if self.model not in {None, model} or chance.random() >= self.probability:
            return False
        if self.times is not None:
            self.times -= 1
        return True

    @classmethod
    def parse_all(cls, text: str) -> list[Self]:
        """From "name[:probability[:times]],..."."""
        rules = []
        for item in filter(None, text.split(",")):
            name, _, rest = item.partition(":")
            probability, _, times = rest.partition(":")
            rules.append(
                cls(
                    name=name,
                    probability=float(probability or 1),
                    times=int(times) if times else None,
                )
            )
        return rules


@dataclass(frozen=True, slots=True)
class Latency:
    """How long a drawing takes, in seconds: "0.5", "0.3-0.9" (even), or "39~58" (median and 95th
    percentile).
    """

    text: str = "0"

    def draw_s(self, chance: random.Random) -> float:
        if "~" in self.text:
            median, _, p95 = self.text.partition("~")
            sigma = math.log(float(p95) / float(median)) / 1.645
            return chance.lognormvariate(math.log(float(median)), sigma)
        low, _, high = self.text.partition("-")
        return chance.uniform(float(low), float(high or low))


class RateLimit:
    """Lets so many orders through in any 60 s."""

    def __init__(self, per_minute: int | None) -> None:
        """
        Args:
            per_minute: How many; None: all of them.
        """
        self.per_minute = per_minute
        self._admitted_s: deque[float] = deque()

    def admit(self) -> None:
        """
        Let one order through.

        Raises:
            Rejection: The limit is reached.
        """
        if self.per_minute is None:
            return
        now_s = time.monotonic()
        while self._admitted_s and self._admitted_s[0] <= now_s - WINDOW_S:
            self._admitted_s.popleft()
        if len(self._admitted_s) >= self.per_minute:
            raise REJECTIONS["rate_limited"]()
        self._admitted_s.append(now_s)

    def forget(self) -> None:
        """Begin anew, with no order let through."""
        self._admitted_s.clear()
