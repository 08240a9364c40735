"""
A loopback image API with the contract's behaviour, faults, and a book of purchases.

In process for `httpx.ASGITransport` (`ImageApi().app`), or as a process of its own:

    python -m devkit.servers.image_api --latency 39~58 --faults server_error:0.1,html_502:0.05

which prints one JSON line with its port, and is controlled under /control (see `ImageApi`).
"""

import asyncio
import hashlib
import random
import time
from bisect import bisect_left
from collections import Counter
from dataclasses import asdict
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from devkit.servers.image_api_answers import ApiCall, drawn, drop, page
from devkit.servers.image_api_faults import (
    AFTER_DRAWING,
    BILLED,
    PAGES,
    REJECTIONS,
    SLOW,
    UNREAD,
    WINDOW_S,
    Latency,
    RateLimit,
    Rule,
)
from devkit.servers.image_api_rules import Rejection, model_not_found, read_edit
from devkit.servers.loopback import options, serve
from devkit.servers.responses_rules import picture_usd

KEY = "sk-test-loopback"
MODELS = {
    "gpt-image-1.5": "2026-12-01",
    "gpt-image-1-mini": "2026-12-01",
    "gpt-image-2": None,
    "gpt-image-2-2026-04-21": None,
    "gpt-image-2.5-sunburst": None,
    "gpt-image-2.5-flare": None,
    "gpt-image-2.6-sunburst": None,
    "gpt-image-2.6-flare": None,
}


class ImageApi:
    """
    The application and its book.

    Control: `GET /control/book` (sums, and every call), `POST /control/rules` with any of `faults`
    (a list of rules), `latency`, `limit`, `open_models`, `gather` (pictures are drawn only once so
    many calls have been in flight at the same time); `POST /control/reset` empties the book.
    """

    def __init__(
        self,
        *,
        latency: str = "0",
        faults: str = "",
        requests_per_minute: int | None = None,
        seed: int = 1,
    ) -> None:
        self.calls: list[ApiCall] = []
        self.rules = Rule.parse_all(faults)
        self.latency = Latency(latency)
        self.limit = RateLimit(requests_per_minute)
        self.open_models = frozenset(MODELS)
        self.in_flight = 0
        self.most_in_flight = 0
        self._gather = 0
        self._gathered = asyncio.Event()
        self._gathered.set()
        self._chance = random.Random(seed)
        self.app = Starlette(
            routes=[
                Route("/v1/images/edits", self._edit, methods=["POST"]),
                Route("/v1/models/{model_id}", self._model),
                Route("/control/book", self._book),
                Route("/control/rules", self._set_rules, methods=["POST"]),
                Route("/control/reset", self._reset, methods=["POST"]),
            ]
        )

    # ------------------------------------------------------------------- the book

    def purchases(self) -> Counter[str]:
        """How many pictures were billed, by session."""
        return Counter(call.session for call in self.calls if call.billed)

    def peak_per_minute(self) -> int:
        """The most requests that arrived in any 60 seconds."""
        times = [call.at_s for call in self.calls]
        return max(
            (n + 1 - bisect_left(times, at_s - WINDOW_S) for n, at_s in enumerate(times)), default=0
        )

    def summary(self) -> dict[str, Any]:
        return {
            "calls": len(self.calls),
            "billed": sum(call.billed for call in self.calls),
            "by_status": dict(Counter(str(call.status) for call in self.calls)),
            "by_fault": dict(Counter(call.fault for call in self.calls if call.fault)),
            "peak_per_minute": self.peak_per_minute(),
            "in_flight": self.in_flight,
            "most_in_flight": self.most_in_flight,
            "purchases": dict(self.purchases()),
        }

    # ------------------------------------------------------------------ endpoints

    async def _edit(self, request: Request) -> Response:
        call = ApiCall(
            number=len(self.calls) + 1, at_s=time.monotonic(), session=_session_of(request)
        )
        self.calls.append(call)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        self._look_who_is_here()
        try:
            answer = await self._answer(request, call)
        except Rejection as rejection:
            answer = JSONResponse(
                rejection.body(), rejection.status, headers=dict(rejection.headers)
            )
        finally:
            self.in_flight -= 1
        call.status = answer.status_code
        answer.headers["x-request-id"] = f"req_{call.number:08x}"
        answer.headers["x-ratelimit-limit-requests"] = str(self.limit.per_minute or 10_000)
        return answer

    async def _answer(self, request: Request, call: ApiCall) -> Response:
        require_key(request)
        if self._fires(call, only=UNREAD):
            return await drop(request)
        body = await request.body()
        edit = read_edit(
            request.headers.get("content-type", ""), body, open_models=self.open_models
        )
        call.model, call.pictures = edit.model, len(edit.pictures)
        if call.session == "":
            call.session = hashlib.sha256(edit.pictures[0].data).hexdigest()[:16]
        self.limit.admit()
        fault = self._fires(call)
        if fault in PAGES:
            return page(PAGES[fault])
        if fault in REJECTIONS and fault not in AFTER_DRAWING:
            raise REJECTIONS[fault]()
        call.billed = fault is None or fault in BILLED or fault == SLOW
        call.cost_usd = picture_usd(edit)
        await self._gathered.wait()
        await asyncio.sleep(self.latency.draw_s(self._chance) * (10 if fault == SLOW else 1))
        if fault in REJECTIONS:
            raise REJECTIONS[fault]()
        return await drawn(request, call, edit)

    def _fires(self, call: ApiCall, *, only: str | None = None) -> str | None:
        """The fault of this call, written into the book."""
        for rule in self.rules:
            if (rule.name == UNREAD) != (only == UNREAD):
                continue
            if rule.fires(self._chance, session=call.session, model=call.model):
                call.fault = rule.name
                return rule.name
        return None

    def _look_who_is_here(self) -> None:
        if self.in_flight >= self._gather:
            self._gathered.set()

    async def _model(self, request: Request) -> Response:
        return model_told(request, self.open_models)

    async def _book(self, request: Request) -> Response:
        calls = [asdict(call) for call in self.calls] if "calls" in request.query_params else []
        return JSONResponse({**self.summary(), "list": calls})

    async def _set_rules(self, request: Request) -> Response:
        changes = await request.json()
        if "faults" in changes:
            self.rules = [Rule(**rule) for rule in changes["faults"]]
        if "latency" in changes:
            self.latency = Latency(str(changes["latency"]))
        if "limit" in changes:
            self.limit.per_minute = changes["limit"]
        if "open_models" in changes:
            self.open_models = frozenset(changes["open_models"])
        if "gather" in changes:
            self._gather = int(changes["gather"])
            self._gathered.clear()
            self._look_who_is_here()
        return JSONResponse({})

    async def _reset(self, _: Request) -> Response:
        self.calls.clear()
        self.limit.forget()
        self.most_in_flight = self.in_flight
        return JSONResponse({})


def model_told(request: Request, open_models: frozenset[str]) -> Response:
    """OpenAI's description of one model."""
    model_id = request.path_params["model_id"]
    try:
        require_key(request)
        if model_id not in open_models:
            raise model_not_found(model_id)
    except Rejection as rejection:
        return JSONResponse(rejection.body(), rejection.status)
    facts = {"id": model_id, "object": "model", "created": 1, "owned_by": "system"}
    return JSONResponse({**facts, "shutdown_date": MODELS.get(model_id)})


def _session_of(request: Request) -> str:
    """The caller's id of the call is SESSION.RANDOM; without one it is in the first picture."""
    return request.headers.get("x-client-request-id", "").rpartition(".")[0]


def require_key(request: Request) -> None:
    if request.headers.get("authorization") != f"Bearer {KEY}":
        raise REJECTIONS["invalid_api_key"]()


def main() -> None:
    args = options("Loopback image API").parse_args()
    api = ImageApi(
        latency=args.latency,
        faults=args.faults,
        requests_per_minute=args.limit,
        seed=args.seed,
    )
    serve(api.app, port=args.port)


if __name__ == "__main__":
    main()
