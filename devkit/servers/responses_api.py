"""
A loopback of OpenAI's Responses and conversations, with faults and a book of purchases.

In process for `httpx.ASGITransport` (`ResponsesApi().app`), or as a process of its own:

    python -m devkit.servers.responses_api --latency 39~58 --faults lose_submit:0.1,lose_poll:0.05

Controlled under /control, like the image API (`Drawings.routes`). In addition, `conversations` says
whether it accepts them: yes, no, or not with pictures.
"""

import asyncio
import json
import time
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from devkit.servers.background_drawings import (
    HANG_SUBMIT,
    LOSE_POLL,
    LOSE_REQUEST,
    LOSE_RESULT,
    LOSE_SUBMIT,
    ODD_SUBMIT,
    PAGE_POLL,
    PAGE_SUBMIT,
    RATE_LIMITED_POLL,
    TAKEN,
    Drawing,
    Drawings,
)
from devkit.servers.image_api import MODELS, model_told, require_key
from devkit.servers.image_api_answers import drop, page
from devkit.servers.image_api_faults import PAGES, REJECTIONS
from devkit.servers.image_api_rules import Edit, Rejection
from devkit.servers.loopback import options, serve
from devkit.servers.responses_documents import document_of, output_of, status_of
from devkit.servers.responses_rules import (
    OUTER_IN_USD,
    OUTER_OUT_USD,
    UNASKED_USD,
    Asked,
    invalid,
    picture_usd,
    read_metadata,
    read_request,
)


class Conversations(StrEnum):
    """Whether conversations are accepted."""

    YES = "yes"
    NO = "no"  # there are none
    NOT_WITH_PICTURES = "not_with_pictures"  # refused together with background and the image tool


@dataclass(slots=True, kw_only=True)
class Conversation:
    conversation_id: str
    metadata: dict[str, str]
    items: list[dict[str, Any]] = field(default_factory=list)
    running: Drawing | None = None
    blind_looks: int = 0  # how many reads do not show its new items yet


class ResponsesApi:
    """The application and its book (`drawings`)."""

    def __init__(self, *, conversations: str = "yes", blind_looks: int = 0, **told: Any) -> None:
        """
        Args:
            conversations: One of `Conversations`.
            blind_looks: How often new items are not shown after a conversation was unlocked.
            told: As `Drawings`.
        """
        self.blind_looks = blind_looks
        self.drawings = Drawings(**told)
        self.open_models = frozenset(MODELS)
        self.takes = Conversations(conversations)
        self.conversations: dict[str, Conversation] = {}
        self._busy: dict[str, Conversation] = {}  # in which a response runs
        self.orphaned_items: list[
            dict[str, Any]
        ] = []  # items of deleted conversations, which still exist
        self._serial = 0
        self.app = Starlette(
            routes=[
                Route("/v1/models/{model_id}", self._model),
                Route("/v1/conversations", self._open, methods=["POST"]),
                Route("/v1/conversations/{id}", self._close, methods=["DELETE"]),
                Route("/v1/conversations/{id}/items", self._items),
                Route("/v1/conversations/{id}/items/{item}", self._drop_item, methods=["DELETE"]),
                Route("/v1/responses", self._submit, methods=["POST"]),
                Route("/v1/responses/{id}", self._get),
                Route("/v1/responses/{id}", self._delete, methods=["DELETE"]),
                Route("/v1/responses/{id}/cancel", self._cancel, methods=["POST"]),
                *self.drawings.routes(),
            ],
            exception_handlers={Rejection: _rejected},
        )

    async def _model(self, request: Request) -> Response:
        return model_told(request, self.open_models)

    def kept(self) -> int:
        """Responses and conversation items with customers' photos that were never deleted."""
        self._settle()
        items = [item for each in self.conversations.values() for item in each.items]
        photos = [item for item in (*items, *self.orphaned_items) if item["has_photo"]]
        kept = [d for d in self.drawings.taken.values() if not d.facts.get("deleted")]
        return len(photos) + len(kept)

    # ------------------------------------------------------------------ conversations

    async def _open(self, request: Request) -> Response:
        require_key(request)
        if self.takes is Conversations.NO:
            raise Rejection(status=404, code=None, message="Not found")
        if fault := self._question_fault(""):
            return await self._spoilt(fault, request)
        metadata = read_metadata(await request.body())
        opened = Conversation(conversation_id=self._id("conv"), metadata=metadata)
        self.conversations[opened.conversation_id] = opened
        return JSONResponse(
            {
                "id": opened.conversation_id,
                "object": "conversation",
                "created_at": int(time.time()),
                "metadata": metadata,
            }
        )

    async def _items(self, request: Request) -> Response:
        require_key(request)
        self._settle()
        conversation = self._conversation(request.path_params["id"])
        session = conversation.metadata.get("session_id", "")
        if fault := self._question_fault(session):
            return await self._spoilt(fault, request)
        told = [{k: v for k, v in item.items() if k != "has_photo"} for item in conversation.items]
        if request.query_params.get("order", "desc") == "desc":
            told.reverse()
        told = told[: int(request.query_params.get("limit", "20"))]
        return JSONResponse({"object": "list", "data": told, "has_more": False})

    async def _drop_item(self, request: Request) -> Response:
        require_key(request)
        self._settle()
        conversation = self._conversation(request.path_params["id"])
        left = [i for i in conversation.items if i["id"] != request.path_params["item"]]
        if len(left) == len(conversation.items):
            raise Rejection(status=404, code=None, message="Item not found.")
        conversation.items = left
        return JSONResponse({"id": conversation.conversation_id, "object": "conversation"})

    async def _close(self, request: Request) -> Response:
        """Delete a conversation; its items are not deleted."""
        require_key(request)
        conversation = self._conversation(request.path_params["id"])
        self.orphaned_items += conversation.items
        del self.conversations[conversation.conversation_id]
        return JSONResponse({"id": conversation.conversation_id, "deleted": True})

    def _conversation(self, conversation_id: str) -> Conversation:
        if conversation_id not in self.conversations:
            raise Rejection(status=404, code=None, message="Conversation not found.")
        return self.conversations[conversation_id]

    # ----------------------------------------------------------------------- responses

    async def _submit(self, request: Request) -> Response:
        require_key(request)
        session = request.headers.get("x-client-request-id", "").rpartition(".")[0]
        if self.drawings.fires(session, "", among=frozenset({LOSE_REQUEST})):
            self.drawings.arrived()
            return await drop(request)
        asked = read_request(await request.body(), open_models=self.open_models)
        conversation = self._unlocked(asked)
        if asked.edit is None:
            return self._answer_in_words(asked, conversation)
        self.drawings.arrived()
        self.drawings.limit.admit()
        session = asked.metadata.get("session_id", "")
        fault = self.drawings.fires(session, asked.edit.model)
        if fault in REJECTIONS:
            raise REJECTIONS[fault]()
        if fault in PAGES:
            return page(PAGES[fault])
        drawing = self._taken(asked, asked.edit, session, fault)
        if conversation is not None:
            conversation.running = drawing
            self._busy[conversation.conversation_id] = conversation
        if fault in TAKEN:
            return await _answer_lost(fault, request)
        return JSONResponse(document_of(drawing))

    def _unlocked(self, asked: Asked) -> Conversation | None:
        if asked.conversation is None:
            return None
        if self.takes is Conversations.NOT_WITH_PICTURES and asked.edit is not None:
            raise invalid("conversation", "unsupported_parameter")
        self._settle()
        conversation = self._conversation(asked.conversation)
        if conversation.running is not None:
            raise Rejection(
                status=400,
                code="conversation_locked",
                message="Another process is currently operating on this conversation.",
            )
        return conversation

    def _answer_in_words(self, asked: Asked, conversation: Conversation | None) -> Response:
        """An immediate response of the outer model alone."""
        cost = (asked.input_tokens * OUTER_IN_USD + 2 * OUTER_OUT_USD) / 1e6
        self.drawings.other_usd += cost
        if conversation is not None:
            conversation.items += [
                {"id": self._id("msg"), "type": "message", "role": role, "has_photo": False}
                for role in ("user", "assistant")
            ]
        return JSONResponse({"id": self._id("resp"), "status": "completed", "output": []})

    def _taken(self, asked: Asked, edit: Edit, session: str, fault: str | None) -> Drawing:
        outer = (asked.input_tokens, 40)
        outer_usd = (outer[0] * OUTER_IN_USD + outer[1] * OUTER_OUT_USD) / 1e6
        return self.drawings.take(
            Drawing(
                number=self.drawings.orders,
                drawing_id=self._id("resp"),
                session=session,
                marker=asked.conversation or "",
                model=edit.model,
                pictures=len(edit.pictures),
                fault=fault,
                cost_usd=(UNASKED_USD if asked.is_careless else picture_usd(edit)) + outer_usd,
                facts={
                    "outer": outer,
                    "outer_model": asked.outer_model,
                    "metadata": asked.metadata,
                    "usage": edit.usage(),
                    "size": edit.size,
                    "quality": edit.quality,
                    "output_format": edit.output_format,
                    "prompt": edit.prompt,
                },
            )
        )

    async def _get(self, request: Request) -> Response:
        require_key(request)
        drawing = self._drawing(request)
        if fault := self._question_fault(drawing.session):
            return await self._spoilt(fault, request)
        document = document_of(drawing)
        if drawing.is_done and self.drawings.fires(
            drawing.session, drawing.model, among=frozenset({LOSE_RESULT})
        ):
            body = json.dumps(document).encode()
            return await drop(request, start=body[: len(body) // 2], length=len(body))
        return JSONResponse(document)

    async def _cancel(self, request: Request) -> Response:
        require_key(request)
        drawing = self._drawing(request)
        drawing.cancel()
        return JSONResponse(document_of(drawing))

    async def _delete(self, request: Request) -> Response:
        require_key(request)
        drawing = self._drawing(request)
        self._settle()
        drawing.facts["deleted"] = True
        return JSONResponse({"id": drawing.drawing_id, "deleted": True})

    def _drawing(self, request: Request) -> Drawing:
        drawing = self.drawings.taken.get(request.path_params["id"])
        if drawing is None or drawing.facts.get("deleted"):
            raise Rejection(status=404, code=None, message="Response not found.")
        return drawing

    def _settle(self) -> None:
        """Unlock the conversations whose response has ended, and add its items."""
        for conversation in [*self._busy.values()]:
            drawing = conversation.running
            assert drawing is not None
            if not drawing.is_done:
                continue
            conversation.running, conversation.blind_looks = None, self.blind_looks
            del self._busy[conversation.conversation_id]
            if status_of(drawing) == "completed":
                sent: list[dict[str, Any]] = [
                    {"type": "input_text", "text": drawing.facts["prompt"]},
                    *[{"type": "input_image", "image_url": None}] * drawing.pictures,
                ]
                conversation.items.append(
                    {
                        "id": self._id("msg"),
                        "type": "message",
                        "role": "user",
                        "content": sent,
                        "has_photo": True,
                    }
                )
                conversation.items += [{**i, "has_photo": True} for i in output_of(drawing)]

    def _question_fault(self, session: str) -> str | None:
        self.drawings.questions += 1
        among = frozenset({LOSE_POLL, PAGE_POLL, RATE_LIMITED_POLL})
        return self.drawings.fires(session, "", among=among)

    async def _spoilt(self, fault: str, request: Request) -> Response:
        if fault == RATE_LIMITED_POLL:
            raise REJECTIONS["rate_limited"]()
        return page(502) if fault == PAGE_POLL else await drop(request)

    def _id(self, kind: str) -> str:
        self._serial += 1
        return f"{kind}_{self._serial:016x}"


async def _rejected(_: Request, exc: Exception) -> Response:
    assert isinstance(exc, Rejection)
    return JSONResponse(exc.body(), exc.status, headers=dict(exc.headers))


async def _answer_lost(fault: str, request: Request) -> Response:
    """The order was accepted, but its sender gets no answer."""
    if fault in {ODD_SUBMIT, PAGE_SUBMIT}:
        return page(200 if fault == ODD_SUBMIT else 502)
    if fault == HANG_SUBMIT:
        await asyncio.sleep(3600)
    assert fault in {LOSE_SUBMIT, HANG_SUBMIT}
    return await drop(request)


def main() -> None:
    parser = options("Loopback Responses API")
    parser.add_argument("--conversations", default="yes", choices=list(Conversations))
    told = parser.parse_args()
    api = ResponsesApi(
        conversations=told.conversations,
        latency=told.latency,
        faults=told.faults,
        requests_per_minute=told.limit,
        seed=told.seed,
    )
    serve(api.app, port=told.port)


if __name__ == "__main__":
    main()
