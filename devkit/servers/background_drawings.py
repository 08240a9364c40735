"""
Drawings that continue after their order was answered, for the loopback APIs with powers.

A drawing is billed when its order is accepted, unless it ends without a picture or is cancelled
before it is done. The book is by session, like that of the image API.
"""

import math
import random
import time
from collections import Counter, defaultdict, deque
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from devkit.servers.image_api_faults import PAGES, REJECTIONS, WINDOW_S, Latency, RateLimit, Rule

#: Faults of the order; with those in `TAKEN` it is still accepted.
LOSE_REQUEST = "lose_request"  # the connection closes before anything is read
LOSE_SUBMIT = "lose_submit"  # accepted, and the connection closes without an answer
HANG_SUBMIT = "hang_submit"  # accepted, and never answered
ODD_SUBMIT = "odd_submit"  # taken, and answered with a page
PAGE_SUBMIT = "page_submit"  # taken, and answered with a page of status 502
TAKEN = frozenset({LOSE_SUBMIT, HANG_SUBMIT, ODD_SUBMIT, PAGE_SUBMIT})
#: Faults of a status request; the drawing continues.
LOSE_POLL = "lose_poll"
PAGE_POLL = "page_poll"
RATE_LIMITED_POLL = "rate_limited_poll"
LOSE_RESULT = "lose_result"  # the answer with the picture is truncated
QUESTION_FAULTS = frozenset({LOSE_POLL, PAGE_POLL, RATE_LIMITED_POLL, LOSE_RESULT})
#: Ways a drawing ends without a picture; not billed.
REFUSE, FAIL = "refuse", "fail"
REFUSE_RESPONSE, REFUSE_INCOMPLETE = "refuse_response", "refuse_incomplete"
UNBILLED = frozenset({REFUSE, REFUSE_RESPONSE, REFUSE_INCOMPLETE, FAIL})
#: Ways a drawing is billed although its picture is unusable.
SPOILT, EMPTY, RESULT_GONE = "spoilt", "empty", "result_gone"
HOLD, SLOW, NO_USAGE = "hold", "slow", "no_usage"


class BackgroundRule(Rule):
    """When a fault of such an API happens."""

    names: ClassVar[frozenset[str]] = frozenset(
        {
            *(LOSE_REQUEST, *TAKEN, *QUESTION_FAULTS, *UNBILLED),
            *(SPOILT, EMPTY, RESULT_GONE, HOLD, SLOW, NO_USAGE, *REJECTIONS, *PAGES),
        }
    )


@dataclass(slots=True, kw_only=True)
class Drawing:
    """One accepted order."""

    number: int
    drawing_id: str
    session: str
    marker: str = ""
    model: str = ""
    pictures: int = 0
    at_s: float = 0.0  # epoch
    done_s: float = 0.0  # epoch; infinite: held
    fault: str | None = None
    billed: bool = True
    cost_usd: float = 0.0
    cancelled: bool = False
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def is_done(self) -> bool:
        return self.cancelled or time.time() >= self.done_s

    @property
    def ended_with(self) -> str | None:
        """The vendor's code with which it ends, if a rule says so."""
        told = self.fault or ""
        return told.removeprefix("code=") if told.startswith("code=") else None

    def cancel(self) -> None:
        if not self.is_done:
            self.cancelled, self.billed = True, False


class Drawings:
    """The drawings of one API, its faults and its book."""

    def __init__(
        self,
        *,
        latency: str = "0",
        faults: str = "",
        requests_per_minute: int | None = None,
        seed: int = 1,
    ) -> None:
        self.taken: dict[str, Drawing] = {}
        self.orders = 0  # orders that arrived, accepted or not
        self.questions = 0
        self.other_usd = 0.0  # billed for anything but pictures
        self.rules: list[BackgroundRule] = BackgroundRule.parse_all(faults)
        self.latency = Latency(latency)
        self.limit = RateLimit(requests_per_minute)
        self.seen_faults: Counter[str] = Counter()
        self.arrived_s: list[float] = []
        self._chance = random.Random(seed)

    # ---------------------------------------------------------------------- taking

    def take(self, drawing: Drawing) -> Drawing:
        """Accept an order, with the outcome that the rules give it."""
        drawing.fault = drawing.fault or self.fires(drawing.session, drawing.model)
        took_s = self.latency.draw_s(self._chance) * (10 if drawing.fault == SLOW else 1)
        drawing.at_s = time.time()
        drawing.done_s = math.inf if drawing.fault == HOLD else drawing.at_s + took_s
        drawing.billed = drawing.fault not in UNBILLED and drawing.ended_with is None
        self.taken[drawing.drawing_id] = drawing
        return drawing

    def fires(self, session: str, model: str, *, among: frozenset[str] | None = None) -> str | None:
        """
        The fault that happens now.

        Args:
            session: Whose order.
            model: Which model.
            among: Only these; None: all faults of an order, except a lost request.
        """
        for rule in self.rules:
            fits = (
                rule.name not in (QUESTION_FAULTS | {LOSE_REQUEST})
                if among is None
                else (rule.name in among)
            )
            if fits and rule.fires(self._chance, session=session, model=model):
                self.seen_faults[rule.name] += 1
                return rule.name
        return None

    def release(self) -> None:
        """Finish the held drawings."""
        for drawing in self.taken.values():
            if math.isinf(drawing.done_s):
                drawing.done_s = time.time()

    # ---------------------------------------------------------------------- the book

    def purchases(self) -> Counter[str]:
        """How many pictures were billed, by session."""
        return Counter(each.session for each in self.taken.values() if each.billed)

    def cost_usd(self) -> float:
        """The total that was billed."""
        return self.other_usd + sum(each.cost_usd for each in self.taken.values() if each.billed)

    def book(self, *, calls: bool) -> dict[str, Any]:
        drawings = list(self.taken.values())
        by_session: defaultdict[str, float] = defaultdict(float)
        for each in drawings:
            by_session[each.session] += each.cost_usd if each.billed else 0.0
        return {
            "calls": self.orders,
            "questions": self.questions,
            "billed": sum(each.billed for each in drawings),
            "cost_usd": self.cost_usd(),
            "cost_by_session": dict(by_session),
            "by_fault": dict(self.seen_faults),
            "peak_per_minute": self.peak_per_minute(),
            "in_flight": sum(not each.is_done for each in drawings),
            "purchases": dict(self.purchases()),
            "list": [_told(each) for each in drawings] if calls else [],
        }

    def peak_per_minute(self) -> int:
        """The most orders that arrived in any 60 seconds."""
        window: deque[float] = deque()
        most = 0
        for at_s in self.arrived_s:
            window.append(at_s)
            while window[0] <= at_s - WINDOW_S:
                window.popleft()
            most = max(most, len(window))
        return most

    def arrived(self) -> None:
        """Record that an order arrived, accepted or not."""
        self.orders += 1
        self.arrived_s.append(time.monotonic())

    # ---------------------------------------------------------------------- control

    def routes(self) -> list[Route]:
        return [
            Route("/control/book", self._book),
            Route("/control/rules", self._set_rules, methods=["POST"]),
            Route("/control/release", self._release, methods=["POST"]),
            Route("/control/reset", self._reset, methods=["POST"]),
        ]

    async def _book(self, request: Request) -> Response:
        return JSONResponse(self.book(calls="calls" in request.query_params))

    async def _set_rules(self, request: Request) -> Response:
        told = await request.json()
        if "faults" in told:
            self.rules = [BackgroundRule(**rule) for rule in told["faults"]]
        if "latency" in told:
            self.latency = Latency(str(told["latency"]))
        if "limit" in told:
            self.limit.per_minute = told["limit"]
        return JSONResponse({})

    async def _release(self, _: Request) -> Response:
        self.release()
        return JSONResponse({})

    async def _reset(self, _: Request) -> Response:
        self.taken.clear()
        self.arrived_s.clear()
        self.limit.forget()
        self.seen_faults.clear()
        self.orders = self.questions = 0
        self.other_usd = 0.0
        return JSONResponse({})


def _told(drawing: Drawing) -> dict[str, Any]:
    facts = asdict(drawing)
    del facts["facts"]
    facts["done_s"] = None if math.isinf(drawing.done_s) else drawing.done_s
    return facts
