"""
Runware as a provider: its try-on models, and OpenAI's, under task ids that we choose.

The id of a purchase is journalled before it is sent, so that it can be looked up even if the answer
is lost. None of this was tested with a live account. Whether a second task with the same id is
accepted, refused or answered with the first is not documented, so it is looked up before it is sent
again, and all three answers are handled.
"""

import asyncio
import binascii
from collections.abc import Mapping
from typing import Any, Final
from uuid import uuid4

import httpx
from pydantic import SecretStr
from pydantic_core import from_json, to_json

from wearon_cli.adapters.providers.polling import (
    LOOK_AGAIN_S,
    QUESTION_TIMEOUT_S,
    QUESTIONS_AT_ONCE,
    Pace,
)
from wearon_cli.adapters.providers.runware_errors import (
    TaskError,
    class_for,
    from_error,
    read_error,
)
from wearon_cli.adapters.providers.runware_tasks import drawing_task, require_takes
from wearon_cli.adapters.providers.vendor_http import Answer, ask_free, order, vendor_client
from wearon_cli.core.errors import (
    CallAmbiguous,
    FetchFailed,
    GeneratorError,
    GeneratorFault,
    GeneratorUnreachable,
    PictureProblem,
    RateLimited,
)
from wearon_cli.core.events import emit
from wearon_cli.core.image_models import POWERS, RUNWARE, image_model
from wearon_cli.core.image_prices import try_on_usd
from wearon_cli.core.jobs.events import PictureFlagged
from wearon_cli.core.pictures.ports import Fetcher
from wearon_cli.core.providers import GeneratedPicture, Pending, Ticket, TryOnRequest, Usage

#: Its try-on models take a few seconds.
POLL_EVERY_S: Final = 1.0
JSON: Final = {"Content-Type": "application/json"}


def runware_client(
    *,
    base_url: str,
    api_key: SecretStr,
    connections: int,
    transport: httpx.AsyncBaseTransport | None = None,
) -> httpx.AsyncClient:
    """
    A client for Runware's API.

    Raises:
        ConfigError: RUNWARE_API_KEY cannot be a key.
    """
    return vendor_client(
        base_url=base_url,
        api_key=api_key,
        key_name="RUNWARE_API_KEY",
        connections=connections,
        transport=transport,
    )


class Runware:
    """Implements `Provider`. One instance serves all jobs of a process."""

    name = RUNWARE
    powers = POWERS[RUNWARE]

    def __init__(
        self,
        http: httpx.AsyncClient,
        fetcher: Fetcher,
        *,
        size: str,
        quality: str,
        submit_timeout_s: float,
        look_again_s: float = LOOK_AGAIN_S,
        pace: Pace | None = None,
    ) -> None:
        """
        Args:
            http: From `runware_client`; closed by the caller.
            fetcher: Downloads results: their addresses come from a vendor, and are trusted no more
                than a shopper's.
            size: WIDTHxHEIGHT, for models that take a size.
            quality: For models that take one.
            submit_timeout_s: The paid call, start to end; answered before the picture is generated.
            look_again_s: Pause between two lookups of a task.
            pace: How often to ask for a picture.
        """
        self._http = http
        self._url = str(http.base_url).rstrip("/")
        self._fetcher = fetcher
        self._size = size
        self._quality = quality
        self._submit_timeout_s = submit_timeout_s
        self._look_again_s = look_again_s
        self._pace = pace or Pace(POLL_EVERY_S)
        self._questions = asyncio.Semaphore(QUESTIONS_AT_ONCE)

    async def prepare(self, session_id: str, *, after: str | None = None) -> str:
        """A new id; the id of a purchase that never arrived is reused."""
        del session_id
        return after or str(uuid4())

    async def submit(
        self, request: TryOnRequest, *, model: str, marker: str | None
    ) -> Pending | GeneratedPicture:
        rules = image_model(model, RUNWARE)
        require_takes(rules, request, size=self._size, quality=self._quality)
        task_id = marker or str(uuid4())
        task = drawing_task(rules, request, task_id, size=self._size, quality=self._quality)
        answer = await order(
            self._http,
            self._url,
            provider=self.name,
            model=model,
            session_id=request.session_id,
            timeout_s=self._submit_timeout_s,
            headers=JSON,
            content=to_json([task]),
        )
        ticket = Ticket(provider=self.name, model=model, provider_id=task_id, marker=marker)
        pending = Pending(ticket=ticket, after_s=self._pace.first_s(ticket))
        data, error = read_answer(answer, task_id)
        if data is not None:
            return pending  # even if it already contains the picture: `collect` reads it
        if error is None:
            raise CallAmbiguous(f"unexpected answer to the purchase, status {answer.status}")
        if error.is_known_already:
            return pending
        raise from_error(error, status=answer.status, headers=answer.headers)

    async def collect(self, ticket: Ticket) -> Pending | GeneratedPicture:
        try:
            task = await self._found(ticket.provider_id)
            if task is None:
                raise CallAmbiguous("the provider no longer knows this purchase, or it failed")
            if _is_running(task):
                return Pending(ticket=ticket, after_s=self._pace.next_s(ticket))
            self._pace.ended(ticket)
            return await self._picture(ticket, task)
        except _NotAnswered as exc:
            after_s = Pace.after_failure_s(exc.failure)
            return Pending(ticket=ticket, after_s=after_s, failure=exc.failure)

    async def find(self, *, model: str, marker: str) -> Ticket | None:
        try:
            task = await self._found(marker)
        except _NotAnswered as exc:
            if isinstance(
                exc.failure, CallAmbiguous
            ):  # the status request failed, not the purchase
                raise GeneratorUnreachable(f"the status request failed: {exc.failure}") from exc
            raise exc.failure from exc
        if task is None:
            return None
        return Ticket(provider=self.name, model=model, provider_id=marker, marker=marker)

    async def cancel(self, ticket: Ticket) -> None:
        """Nothing: a task cannot be stopped."""

    async def forget(self, ticket: Ticket) -> None:
        """Nothing: a task cannot be deleted; its pictures are deleted after their `ttl`, an
        hour.
        """

    # ------------------------------------------------------------------------ looking

    async def _found(self, task_id: str) -> Mapping[str, Any] | None:
        """What is known of a task; None when two lookups, some seconds apart, find nothing."""
        task = await self._look(task_id)
        if task is None:
            await asyncio.sleep(self._look_again_s)
            task = await self._look(task_id)
        return task

    async def _look(self, task_id: str) -> Mapping[str, Any] | None:
        data, error = await self._ask("getResponse", task_id)
        if data is not None:
            return data
        if error is not None and not error.is_not_there:
            return {"error": error}
        details, _ = await self._ask("getTaskDetails", task_id)
        return None if details is None else _from_details(details, task_id)

    async def _ask(
        self, question: str, task_id: str
    ) -> tuple[Mapping[str, Any] | None, TaskError | None]:
        """
        Ask about a task.

        Returns:
            Its data, or the error that it ended with.

        Raises:
            _NotAnswered: The status request itself failed.
        """
        body = to_json([{"taskType": question, "taskUUID": task_id}])
        try:
            async with self._questions:
                answer = await ask_free(
                    self._http,
                    "POST",
                    self._url,
                    timeout_s=QUESTION_TIMEOUT_S,
                    content=body,
                    headers=JSON,
                )
        except GeneratorError as exc:
            raise _NotAnswered(exc) from exc
        data, error = read_answer(answer, task_id)
        if data is not None or (error is not None and _is_about_the_task(error, answer, task_id)):
            return data, error
        if answer.status == httpx.codes.OK and error is None:
            raise _NotAnswered(GeneratorFault("Runware's answer cannot be read"))
        raise _NotAnswered(
            from_error(error or TaskError(), status=answer.status, headers=answer.headers)
        )

    # ----------------------------------------------------------------------- pictures

    async def _picture(self, ticket: Ticket, task: Mapping[str, Any]) -> GeneratedPicture:
        """
        The picture of a task that has ended.

        Raises:
            CallAmbiguous: It was generated but cannot be downloaded.
            GeneratorError: It ended without one.
            _NotAnswered: Its download failed this time.
        """
        if "error" in task or task.get("status") == "error":
            error = task.get("error")
            told = error if isinstance(error, TaskError) else read_error(error or task)
            ended = from_error(told)
            if isinstance(
                ended, CallAmbiguous
            ):  # an internal time limit: the task may still be running
                raise _NotAnswered(ended)
            raise ended
        if task.get("NSFWContent") is True:
            emit(PictureFlagged(model=ticket.model))  # paid for: only our own checks reject it
        return GeneratedPicture(data=await self._data(task), usage=self._usage(ticket, task))

    async def _data(self, task: Mapping[str, Any]) -> bytes:
        address = task.get("imageURL")
        if isinstance(address, str):
            return await self._downloaded(address)
        encoded = task.get("imageBase64Data") or task.get("imageDataURI")
        if not isinstance(encoded, str):
            raise CallAmbiguous("the task succeeded but names no picture")
        try:
            return binascii.a2b_base64(encoded.rpartition(",")[2], strict_mode=True)
        except ValueError as exc:
            raise CallAmbiguous("the provider's picture is incomplete") from exc

    async def _downloaded(self, address: str) -> bytes:
        """The result; paid for, so an unexpected answer from its host is retried once."""
        try:
            return await self._fetched(address)
        except PictureProblem:
            await asyncio.sleep(self._look_again_s)
        try:
            return await self._fetched(address)
        except PictureProblem as exc:
            raise CallAmbiguous(f"the picture cannot be downloaded ({exc.code})") from exc

    async def _fetched(self, address: str) -> bytes:
        try:
            return await self._fetcher.fetch(address)
        except FetchFailed as exc:
            failure = GeneratorUnreachable("the picture could not be downloaded")
            raise _NotAnswered(failure) from exc

    def _usage(self, ticket: Ticket, task: Mapping[str, Any]) -> Usage:
        told = task.get("cost")
        is_told = isinstance(told, int | float) and not isinstance(told, bool)
        rules = image_model(ticket.model, RUNWARE)
        return Usage(
            provider=self.name,
            model=ticket.model,
            cost_usd=float(told)
            if is_told and told is not None
            else try_on_usd(rules, size=self._size, quality=self._quality),
            is_estimate=not is_told,
        )


class _NotAnswered(Exception):
    """A request failed; the task is unchanged."""

    def __init__(self, failure: GeneratorError) -> None:
        super().__init__(str(failure))
        self.failure = failure


def read_answer(answer: Answer, task_id: str) -> tuple[Mapping[str, Any] | None, TaskError | None]:
    """What an answer says about a task: its data, or an error; neither when it cannot be read."""
    try:
        document = from_json(answer.raw)
    except ValueError:
        return None, None if answer.status == httpx.codes.OK else TaskError()
    if not isinstance(document, dict):
        return None, TaskError()
    for each in _list(document.get("data")):
        if each.get("taskUUID") == task_id:
            return each, None
    errors = [read_error(each) for each in _list(document.get("errors"))]
    ours = [each for each in errors if each.task_id in {task_id, None}]
    return None, next(iter(ours or errors), None)


def _is_about_the_task(error: TaskError, answer: Answer, task_id: str) -> bool:
    """False: the request failed, and the task is unchanged."""
    if error.is_not_there:
        return True
    refused = answer.status not in {httpx.codes.OK, httpx.codes.BAD_REQUEST}
    return not refused and error.task_id == task_id and class_for(error) is not RateLimited


def _from_details(details: Mapping[str, Any], task_id: str) -> Mapping[str, Any]:
    """A past task, from its details."""
    response = details.get("response")
    response = response if isinstance(response, dict) else {}
    for each in (*_list(response.get("data")), response):
        if each.get("imageURL") or each.get("imageBase64Data") or each.get("imageDataURI"):
            return each
    for each in _list(response.get("errors")):
        return {"error": read_error({**each, "taskUUID": task_id})}
    return {"status": "success"}  # known, but without a picture


def _is_running(task: Mapping[str, Any]) -> bool:
    """A task that was just accepted has no status yet."""
    told = task.get("status")
    has_picture = any(key.startswith("image") and value for key, value in task.items())
    return told == "processing" or (told is None and "error" not in task and not has_picture)


def _list(value: Any) -> list[dict[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []
