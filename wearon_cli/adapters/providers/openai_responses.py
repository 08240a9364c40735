"""
OpenAI's Responses API in background mode as a provider: pictures can be fetched later, and lost
ones found.

The paid call is sent once. Before it comes a conversation, free of charge, whose id the caller
journals: while a response runs in a conversation, a second one is refused there, and the output of
ended ones is among its items. So a purchase whose answer was lost can be distinguished from one
that never happened.

None of this was tested with a live account. Where the API refuses conversations together with
background and pictures, they are left out for a while and `powers` says so.
"""

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final

import httpx
from pydantic_core import from_json, to_json

from wearon_cli.adapters.providers.openai_edits import require_takes
from wearon_cli.adapters.providers.openai_errors import (
    ErrorBody,
    from_answer,
    read_error,
)
from wearon_cli.adapters.providers.polling import (
    LOOK_AGAIN_S,
    QUESTION_TIMEOUT_S,
    QUESTIONS_AT_ONCE,
    Pace,
)
from wearon_cli.adapters.providers.responses_answer import (
    RESPONSE_CODES,
    RUNNING,
    Submitted,
    read_conversation,
    read_response,
)
from wearon_cli.adapters.providers.responses_body import drawing_body, probe_body
from wearon_cli.adapters.providers.vendor_http import Answer, ask_free, order
from wearon_cli.core.errors import (
    CallAmbiguous,
    GeneratorError,
    GeneratorFault,
    ModelUnavailable,
    RequestRejected,
)
from wearon_cli.core.events import emit
from wearon_cli.core.image_models import OPENAI, POWERS, image_model
from wearon_cli.core.jobs.events import ConversationsRefused
from wearon_cli.core.providers import GeneratedPicture, Pending, Powers, Ticket, TryOnRequest

#: Conversations that were refused are asked for again after this time.
REFUSED_FOR_S: Final = 3600.0
#: No picture of medium quality is reported to have been faster than this.
FIRST_GUESS_S: Final = 8.0
#: More items than one response adds to a conversation.
MAX_ITEMS: Final = 100

#: Parameters that we choose ourselves: a refusal of one is not the shopper's fault.
_OUR_PARAMETERS: Final = frozenset(
    {
        *("model", "tools", "tool_choice", "max_tool_calls", "background", "store"),
        *("metadata", "instructions", "conversation"),
    }
)
_UNKNOWN: Final = "the provider no longer knows this purchase"
_LOCKED: Final = "conversation_locked"
_GONE: Final = frozenset({httpx.codes.NOT_FOUND, httpx.codes.GONE})


class OpenAIResponses:
    """Implements `Provider`. One instance serves all jobs of a process."""

    name = OPENAI

    def __init__(
        self,
        http: httpx.AsyncClient,
        *,
        outer_model: str,
        size: str,
        quality: str,
        submit_timeout_s: float,
        look_again_s: float = LOOK_AGAIN_S,
        pace: Pace | None = None,
    ) -> None:
        """
        Args:
            http: From `image_api_client`; closed by the caller. About 30 connections are enough for
                hundreds of pictures: none is held while a picture is generated.
            outer_model: The text model that calls the image tool.
            size: WIDTHxHEIGHT of the picture asked for, or auto. Always sent.
            quality: One of the models' qualities. Always sent: a call without was billed 0.21 USD.
            submit_timeout_s: The paid call, start to end; answered before the picture is generated.
            look_again_s: Pause between two lookups of a purchase that may just have ended.
            pace: How often to ask for a picture.
        """
        self._http = http
        self._outer_model = outer_model
        self._size = size
        self._quality = quality
        self._submit_timeout_s = submit_timeout_s
        self._look_again_s = look_again_s
        self._pace = pace or Pace(first_guess_s=FIRST_GUESS_S)
        self._questions = asyncio.Semaphore(QUESTIONS_AT_ONCE)
        self._refused_until_s = 0.0

    @property
    def powers(self) -> Powers:
        powers = POWERS["openai responses"]
        return powers if self._takes_conversations else replace(powers, find=False)

    # ------------------------------------------------------------------------- buying

    async def prepare(self, session_id: str, *, after: str | None = None) -> str | None:
        """Open a conversation, and delete that of the previous purchase."""
        if after is not None:
            with suppress(GeneratorError):  # only a little text is left there
                await self._delete_conversation(after)
        if not self._takes_conversations:
            return None
        body = to_json({"metadata": {"session_id": session_id}})
        answer = await self._ask_free("POST", "conversations", content=body)
        if answer.status in {400, 403, 404, 405}:
            self._note_refused(answer.status, read_error(answer.raw))
            return None
        opened = _document(self._require_ok(answer)).get("id")
        if not isinstance(opened, str):
            raise GeneratorFault("the answer contains no conversation")
        return opened

    async def submit(
        self, request: TryOnRequest, *, model: str, marker: str | None
    ) -> Pending | GeneratedPicture:
        rules = image_model(model)
        require_takes(rules, request, size=self._size, quality=self._quality)
        answer = await order(
            self._http,
            "responses",
            provider=self.name,
            model=model,
            session_id=request.session_id,
            timeout_s=self._submit_timeout_s,
            content=drawing_body(
                rules,
                request,
                outer_model=self._outer_model,
                size=self._size,
                quality=self._quality,
                conversation=marker,
            ),
            headers={"Content-Type": "application/json"},
        )
        ticket = Ticket(provider=self.name, model=model, provider_id=marker or "", marker=marker)
        if answer.status == httpx.codes.OK:
            ticket = replace(ticket, provider_id=_response_id(answer))
            return Pending(ticket=ticket, after_s=self._pace.first_s(ticket))
        error = read_error(answer.raw)
        if error.code == _LOCKED and marker is not None:
            return Pending(ticket=ticket, after_s=self._pace.next_s(ticket))  # bought before
        raise self._submit_error(answer, error, has_marker=marker is not None)

    # --------------------------------------------------------------------- collecting

    async def collect(self, ticket: Ticket) -> Pending | GeneratedPicture:
        if ticket.provider_id == ticket.marker:
            return await self._collect_from_conversation(ticket, ticket.provider_id)
        try:
            answer = await self._ask_free("GET", f"responses/{ticket.provider_id}")
            document = None if answer.status in _GONE else _document(self._require_ok(answer))
        except GeneratorError as exc:
            return self._not_answered(ticket, exc)
        if document is None:
            return await self._collect_gone(ticket)
        if document.get("status") in RUNNING:
            return Pending(ticket=ticket, after_s=self._pace.next_s(ticket))
        self._pace.ended(ticket)
        return read_response(document, self._asked(ticket))

    async def _collect_gone(self, ticket: Ticket) -> Pending | GeneratedPicture:
        """The response is deleted; its conversation may still have the picture."""
        if ticket.marker is None:
            raise CallAmbiguous(_UNKNOWN)
        return await self._collect_from_conversation(ticket, ticket.marker)

    async def _collect_from_conversation(
        self, ticket: Ticket, conversation: str
    ) -> Pending | GeneratedPicture:
        try:
            running, items = await self._look(conversation)
        except CallAmbiguous:
            raise  # the conversation is deleted
        except GeneratorError as exc:
            return self._not_answered(ticket, exc)
        picture = read_conversation(items, self._asked(ticket))
        if picture is not None:
            return picture
        if running:
            return Pending(ticket=ticket, after_s=self._pace.next_s(ticket))
        raise GeneratorFault("the purchase ended without a picture")

    async def find(self, *, model: str, marker: str) -> Ticket | None:
        running, items = await self._look(marker)
        ticket = Ticket(provider=self.name, model=model, provider_id=marker, marker=marker)
        if running:
            return ticket
        try:
            picture = read_conversation(items, self._asked(ticket))
        except GeneratorError:
            return ticket  # `collect` reports how it ended
        return None if picture is None else ticket

    async def _look(self, conversation: str) -> tuple[bool, Sequence[dict[str, Any]]]:
        """
        Whether a response runs in a conversation, and the items of those that have ended.

        The lock is checked before the items, so that whatever ran before is among them. In the
        other order, a picture finished in between would be missed and bought again. It is checked
        again after the pause: an order whose answer was lost may have arrived only then.
        """
        items = await self._conversation_items(conversation)
        if _has_image_call(items):
            return False, items
        if await self._is_locked(conversation):
            return True, []
        items = await self._conversation_items(conversation)
        if not _has_image_call(items):  # whether the lock is released first is not documented
            await asyncio.sleep(self._look_again_s)
            if await self._is_locked(conversation):
                return True, []
            items = await self._conversation_items(conversation)
        return False, items

    async def _is_locked(self, conversation: str) -> bool:
        body = probe_body(conversation, outer_model=self._outer_model)
        answer = await self._ask_free("POST", "responses", content=body)
        if answer.status != httpx.codes.OK and read_error(answer.raw).code == _LOCKED:
            return True
        self._require_ok(answer)
        return False

    async def _conversation_items(self, conversation: str) -> list[dict[str, Any]]:
        answer = await self._ask_free(
            "GET",
            f"conversations/{conversation}/items",
            params={"limit": MAX_ITEMS, "order": "asc"},
        )
        told = _document(self._require_ok(answer)).get("data")
        if not isinstance(told, list):
            raise GeneratorFault("the answer contains no list of items")
        return [item for item in told if isinstance(item, dict)]

    # ------------------------------------------------------------------------ tidying

    async def cancel(self, ticket: Ticket) -> None:
        if ticket.provider_id == ticket.marker:
            return  # only the id of a response can be cancelled, and it was lost
        answer = await self._ask_free("POST", f"responses/{ticket.provider_id}/cancel")
        if answer.status not in {*_GONE, httpx.codes.BAD_REQUEST, httpx.codes.CONFLICT}:
            self._require_ok(answer)

    async def forget(self, ticket: Ticket) -> None:
        """Delete the response, its conversation, and the conversation's items one by one."""
        if ticket.provider_id != ticket.marker:
            await self._delete(f"responses/{ticket.provider_id}")
        if ticket.marker is not None:
            await self._delete_conversation(ticket.marker)

    async def _delete_conversation(self, conversation: str) -> None:
        """A conversation's items outlive it, so they are deleted first."""
        try:
            items = await self._conversation_items(conversation)
        except CallAmbiguous:  # it is gone
            return
        for item in items:
            await self._delete(f"conversations/{conversation}/items/{item.get('id')}")
        await self._delete(f"conversations/{conversation}")

    async def _delete(self, path: str) -> None:
        answer = await self._ask_free("DELETE", path)
        if answer.status not in _GONE:
            self._require_ok(answer)

    # ------------------------------------------------------------------------ answers

    async def _ask_free(self, method: str, path: str, **sent: Any) -> Answer:
        headers = {"Content-Type": "application/json"} if "content" in sent else {}
        async with self._questions:
            return await ask_free(
                self._http, method, path, timeout_s=QUESTION_TIMEOUT_S, headers=headers, **sent
            )

    def _require_ok(self, answer: Answer) -> Answer:
        """
        The answer, if it is one.

        Raises:
            CallAmbiguous: What was asked for does not exist.
            GeneratorError: Any other refusal.
        """
        if answer.status == httpx.codes.OK:
            return answer
        if answer.status in _GONE:
            raise CallAmbiguous(_UNKNOWN)
        error = read_error(answer.raw)
        raise from_answer(answer.status, answer.headers, error, RESPONSE_CODES)

    def _submit_error(
        self, answer: Answer, error: ErrorBody, *, has_marker: bool
    ) -> GeneratorError:
        """Our error for an answer to the paid call that is not a purchase."""
        parameter = (error.param or "").partition("[")[0].partition(".")[0]
        if parameter == "conversation" or error.code == "conversation_not_supported":
            self._note_refused(answer.status, error)
            return GeneratorFault("conversations are refused; the next call goes without one")
        if answer.status in _GONE and error.code is None and has_marker:
            return GeneratorFault("the conversation is gone; the next call opens another one")
        if answer.status >= httpx.codes.INTERNAL_SERVER_ERROR and not error.is_json:
            return CallAmbiguous(f"something before the image API answered {answer.status}")
        made = from_answer(answer.status, answer.headers, error, RESPONSE_CODES)
        if isinstance(made, RequestRejected) and parameter in _OUR_PARAMETERS:
            return ModelUnavailable(str(made), hint="use another model in OPENAI_IMAGE_MODELS")
        return made

    def _asked(self, ticket: Ticket) -> Submitted:
        return Submitted(
            ticket=ticket,
            outer_model=self._outer_model,
            size=self._size,
            quality=self._quality,
        )

    def _not_answered(self, ticket: Ticket, failure: GeneratorError) -> Pending:
        return Pending(ticket=ticket, after_s=Pace.after_failure_s(failure), failure=failure)

    @property
    def _takes_conversations(self) -> bool:
        return time.monotonic() >= self._refused_until_s

    def _note_refused(self, status: int, error: ErrorBody) -> None:
        self._refused_until_s = time.monotonic() + REFUSED_FOR_S
        emit(ConversationsRefused(status=status, code=error.code, parameter=error.param))


def _has_image_call(items: Sequence[dict[str, Any]]) -> bool:
    return any(item.get("type") == "image_generation_call" for item in items)


def _document(answer: Answer) -> dict[str, Any]:
    """
    The object of an answer.

    Raises:
        GeneratorFault: There is none.
    """
    try:
        document = from_json(answer.raw)
    except ValueError as exc:
        raise GeneratorFault("the answer is not JSON") from exc
    if not isinstance(document, dict):
        raise GeneratorFault("the answer is not a JSON object")
    return document


def _response_id(answer: Answer) -> str:
    """The id of the response that was just bought; without an id it has to be found."""
    try:
        bought = _document(answer).get("id")
    except GeneratorFault as exc:
        raise CallAmbiguous(f"unexpected answer to the purchase: {exc}") from exc
    if not isinstance(bought, str) or not bought:
        raise CallAmbiguous("the purchase was answered without an id")
    return bought
