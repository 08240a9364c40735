"""
A loopback Runware API with faults and a book of purchases.

In process for `httpx.ASGITransport` (`RunwareApi().app`), or as a process of its own:

    python -m devkit.servers.runware_api --latency 2~6 --faults lose_submit:0.1

Controlled under /control, like the image API (`Drawings.routes`). Undocumented behaviour is
configurable: `twice` says how a second task with the same id is answered, `details` whether the
details of a past task contain its picture.
"""

import asyncio
from enum import StrEnum
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from devkit.servers.background_drawings import (
    EMPTY,
    FAIL,
    HANG_SUBMIT,
    LOSE_POLL,
    LOSE_REQUEST,
    LOSE_RESULT,
    NO_USAGE,
    ODD_SUBMIT,
    PAGE_POLL,
    PAGE_SUBMIT,
    RATE_LIMITED_POLL,
    RESULT_GONE,
    SPOILT,
    TAKEN,
    UNBILLED,
    Drawing,
    Drawings,
)
from devkit.servers.image_api_answers import drop, page, stamped_picture
from devkit.servers.image_api_faults import PAGES, REJECTIONS
from devkit.servers.image_api_rules import Rejection
from devkit.servers.loopback import options, serve
from devkit.servers.runware_rules import Order, Refusal, read_order, read_tasks

KEY = "rw-test-loopback"


class Twice(StrEnum):
    """What a second task of the same id gets."""

    BILLED = "billed"  # it is drawn and billed again: the worst case
    REFUSED = "refused"
    SAME = "same"  # with the answer to the first one


class RunwareApi:
    """The application and its book (`drawings`)."""

    def __init__(
        self, *, twice: str = "billed", details: bool = False, blind_looks: int = 0, **told: Any
    ) -> None:
        """
        Args:
            twice: What a second task of the same id gets.
            details: Whether the details of a past task tell its picture.
            blind_looks: How often a task is not found after it was taken.
            told: As `Drawings`.
        """
        self.drawings = Drawings(**told)
        self.twice = Twice(twice)
        self.details = details
        self.blind_looks = blind_looks
        self.expired: set[str] = set()  # tasks whose results have expired
        self._latest: dict[str, Drawing] = {}
        self._looks: dict[str, int] = {}
        self.app = Starlette(
            routes=[
                Route("/v1", self._tasks, methods=["POST"]),
                Route("/results/{name}", self._result),
                *self.drawings.routes(),
            ],
            exception_handlers={Refusal: _refused, Rejection: _limited},
        )

    async def _tasks(self, request: Request) -> Response:
        if request.headers.get("authorization") != f"Bearer {KEY}":
            raise Refusal(code="invalidApiKey", status=401)
        session = request.headers.get("x-client-request-id", "").rpartition(".")[0]
        lost = frozenset({LOSE_REQUEST})
        if _is_large(request) and self.drawings.fires(session, "", among=lost):
            self.drawings.arrived()
            return await drop(request)
        (task,) = read_tasks(await request.body())
        kind = task.get("taskType")
        if kind == "imageInference":
            return await self._order(request, task, session or task["taskUUID"])
        if kind not in {"getResponse", "getTaskDetails"}:
            raise Refusal(code="unknownTaskType", parameter="taskType")
        self.drawings.questions += 1
        task_id = task["taskUUID"]
        drawing = self._latest.get(task_id)
        among = frozenset({LOSE_POLL, PAGE_POLL, RATE_LIMITED_POLL})
        if fault := self.drawings.fires(drawing.session if drawing else "", "", among=among):
            return await _question_spoilt(fault, request, task)
        if kind == "getTaskDetails":
            return self._past(task_id, drawing, str(request.base_url))
        return self._present(task_id, drawing, str(request.base_url))

    # ------------------------------------------------------------------------- orders

    async def _order(self, request: Request, task: dict[str, Any], session: str) -> Response:
        order = read_order(task)
        self.drawings.arrived()
        self.drawings.limit.admit()
        fault = self.drawings.fires(session, order.model)
        if fault in REJECTIONS:
            raise Refusal(code=_as_code(fault), status=REJECTIONS[fault]().status)
        if fault in PAGES:
            return page(PAGES[fault])
        accepted = {"data": [{"taskType": "imageInference", "taskUUID": order.task_id}]}
        if order.task_id in self._latest and self.twice is not Twice.BILLED:
            if self.twice is Twice.REFUSED:
                raise Refusal(code="duplicateTaskUUID", parameter="taskUUID", task_id=order.task_id)
            return JSONResponse(accepted)
        self._latest[order.task_id] = self._taken(order, session, fault)
        if fault in TAKEN:
            return await _answer_lost(fault, request)
        return JSONResponse(accepted)

    def _taken(self, order: Order, session: str, fault: str | None) -> Drawing:
        return self.drawings.take(
            Drawing(
                number=self.drawings.orders,
                drawing_id=f"{order.task_id}.{self.drawings.orders}",
                session=session,
                marker=order.task_id,
                model=order.model,
                pictures=order.pictures,
                fault=fault,
                cost_usd=order.cost_usd,
                facts={"order": order},
            )
        )

    # ---------------------------------------------------------------------- questions

    def _present(self, task_id: str, drawing: Drawing | None, base: str) -> Response:
        self._looks[task_id] = self._looks.get(task_id, 0) + 1
        if drawing is None or task_id in self.expired or self._looks[task_id] <= self.blind_looks:
            raise Refusal(code="taskFailedOrNotFound", task_id=task_id, task_type="getResponse")
        if not drawing.is_done:
            told = {"taskType": "imageInference", "taskUUID": task_id, "status": "processing"}
            return JSONResponse({"data": [told]})
        if code := _ended_with(drawing):
            raise Refusal(code=code, task_id=task_id)
        return JSONResponse({"data": [_result(drawing, base)]})

    def _past(self, task_id: str, drawing: Drawing | None, base: str) -> Response:
        if drawing is None or self._looks.get(task_id, 0) <= self.blind_looks:
            raise Refusal(code="taskFailedOrNotFound", task_id=task_id, task_type="getTaskDetails")
        told: dict[str, Any] = {
            "taskType": "getTaskDetails",
            "taskUUID": task_id,
            "request": [{"taskType": "imageInference", "taskUUID": task_id}],
            "response": {"data": [_result(drawing, base)]} if self.details else {},
        }
        return JSONResponse({"data": [told]})

    async def _result(self, request: Request) -> Response:
        drawing = self._latest.get(request.path_params["name"].removesuffix(".jpg"))
        if drawing is None or drawing.fault == RESULT_GONE:
            return Response("gone", 404)
        order: Order = drawing.facts["order"]
        stamp = f"session={drawing.session} call={drawing.number}".encode()
        data = stamped_picture(order.size, "jpeg", stamp)
        if self.drawings.fires(drawing.session, order.model, among=frozenset({LOSE_RESULT})):
            return await drop(request, start=data[:100], length=len(data), kind="image/jpeg")
        return Response(b"no picture" if drawing.fault == SPOILT else data, media_type="image/jpeg")


def _is_large(request: Request) -> bool:
    """A status request has a hundred bytes; an order has pictures."""
    return int(request.headers.get("content-length", "0")) > 1000


def _result(drawing: Drawing, base: str) -> dict[str, Any]:
    order: Order = drawing.facts["order"]
    told: dict[str, Any] = {
        "taskType": "imageInference",
        "taskUUID": order.task_id,
        "status": "success",
        "seed": drawing.number,
        "NSFWContent": False,
    }
    if drawing.fault != EMPTY:
        told["imageURL"] = f"{base}results/{order.task_id}.jpg"
    if order.has_cost and drawing.fault != NO_USAGE:
        told["cost"] = drawing.cost_usd
    return told


def _ended_with(drawing: Drawing) -> str | None:
    if drawing.fault in UNBILLED:
        return "inferenceError" if drawing.fault == FAIL else "contentPolicyViolation"
    return drawing.ended_with


def _as_code(fault: str) -> str:
    """The image API's rejections that Runware has too, under its names."""
    return {
        "rate_limited": "rateLimitExceeded",
        "server_error": "internalServerError",
        "overloaded": "serviceUnavailable",
        "moderation_input": "contentPolicyViolation",
        "invalid_value": "invalidValue",
        "insufficient_quota": "insufficientCredits",
        "invalid_api_key": "invalidApiKey",
        "model_not_found": "unknownModel",
    }.get(fault, "validationFailed")


async def _question_spoilt(fault: str, request: Request, task: dict[str, Any]) -> Response:
    if fault == RATE_LIMITED_POLL:
        raise Refusal(
            code="rateLimitExceeded",
            status=429,
            task_id=task["taskUUID"],
            task_type=task["taskType"],
        )
    return page(502) if fault == PAGE_POLL else await drop(request)


async def _answer_lost(fault: str, request: Request) -> Response:
    """The order was accepted, but its sender gets no answer."""
    if fault in {ODD_SUBMIT, PAGE_SUBMIT}:
        return page(200 if fault == ODD_SUBMIT else 502)
    if fault == HANG_SUBMIT:
        await asyncio.sleep(3600)
    return await drop(request)


async def _refused(_: Request, exc: Exception) -> Response:
    assert isinstance(exc, Refusal)
    headers = {"retry-after": "2"} if exc.status == 429 else {}
    return JSONResponse(exc.body(), exc.status, headers=headers)


async def _limited(request: Request, exc: Exception) -> Response:
    assert isinstance(exc, Rejection)
    return await _refused(request, Refusal(code="rateLimitExceeded", status=exc.status))


def main() -> None:
    parser = options("Loopback Runware")
    parser.add_argument("--twice", default="billed", choices=list(Twice))
    parser.add_argument("--details", action="store_true")
    told = parser.parse_args()
    api = RunwareApi(
        twice=told.twice,
        details=told.details,
        latency=told.latency,
        faults=told.faults,
        requests_per_minute=told.limit,
        seed=told.seed,
    )
    serve(api.app, port=told.port)


if __name__ == "__main__":
    main()
