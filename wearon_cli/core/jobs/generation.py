"""
From a claimed job to a completed row: the way to a picture.

begin -> look for a stored picture -> fetch -> prepare -> permit -> generate -> verify -> store ->
sign -> complete. Leaves by an error of the tree at any step; `runner` decides what becomes of it.
"""

import asyncio
from dataclasses import dataclass
from typing import Final

from wearon_cli.core.contract import Task
from wearon_cli.core.errors import (
    CallAmbiguous,
    CallsHalted,
    GeneratorError,
    JobGaveUp,
    NoPermit,
    ObjectNotFound,
    PictureProblem,
    QueueUnavailable,
    SessionFinal,
    SessionNotFound,
    StoreUnavailable,
    UpstreamError,
)
from wearon_cli.core.events import emit
from wearon_cli.core.generator import GeneratedPicture, Generator, TryOnRequest, Usage
from wearon_cli.core.jobs.events import (
    JobCompleted,
    PermitGranted,
    PurchaseLost,
    StoredPictureFound,
    StoredPictureNotJournalled,
    UploadFailed,
)
from wearon_cli.core.jobs.journal import Claim, Journal
from wearon_cli.core.jobs.pacing import Breaker, Limiter
from wearon_cli.core.pictures.ports import Fetcher, PixelPool, PreparedPicture
from wearon_cli.core.prompt import default_prompt
from wearon_cli.core.session import WAITING, Completion, Session, Sessions, complete, start, utc_now
from wearon_cli.core.settings import Settings
from wearon_cli.core.storage import SIGNED_URL_LIFE_S, Storage

#: A picture that is paid for is worth waiting for storage this long before it is let go.
STORE_MAX_WAIT_S: Final = 180.0
STORE_PAUSE_S: Final = 2.0
#: A stopping worker gives a picture in its hands this long to reach storage.
STORE_GRACE_S: Final = 8.0
#: What the shopper reads beside a picture that is only a composite.
PREVIEW_NOTICE: Final = "This is a preview: a composite, not a generated picture."


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """Makes pictures for claimed jobs. One instance serves all jobs of a process."""

    sessions: Sessions
    storage: Storage
    journal: Journal
    fetcher: Fetcher
    generator: Generator
    limiter: Limiter
    breaker: Breaker
    pixels: PixelPool
    #: One place for each original picture in memory; who finds none waits. They have up to 10 MB
    #: each, what is sent on has 0.3.
    originals: asyncio.Semaphore
    settings: Settings

    async def make(self, claim: Claim, task: Task) -> None:
        """Bring the row to completed. Buys nothing when the picture is stored already."""
        clock = asyncio.get_running_loop().time
        started_s = clock()
        row = await self._begin(task)
        await self._count_lost_call(claim)
        stored = await self._stored_picture(claim, task, row)
        url, usage, preview = stored or await self._bought_picture(claim, task, row)
        done = Completion(
            generated_image_url=url,
            processing_time_ms=round((clock() - started_s) * 1000),
            completed_at=utc_now(),
            input_tokens=usage.input_tokens if usage else None,
            output_tokens=usage.output_tokens if usage else None,
            estimated_cost_usd=usage.cost_usd if usage else None,
            notice=PREVIEW_NOTICE if preview else None,
        )
        if await self.sessions.apply(task.key, complete(done)) is None:
            raise SessionFinal("somebody else brought the row to its end")
        emit(
            JobCompleted(
                channel=task.channel.value,
                took_ms=done.processing_time_ms,
                model=usage.model if usage else None,
                cost_usd=done.estimated_cost_usd,
            )
        )

    async def _begin(self, task: Task) -> Session:
        """The row in processing, for this job; or the reason why not."""
        row = await self.sessions.apply(task.key, start())
        row = row or await self.sessions.get(task.key)
        if row is None:
            raise SessionNotFound(f"no row of this id in {task.channel.table}")
        if row.status.is_final:
            raise SessionFinal(f"the row is already {row.status.value}")
        if row.status in WAITING:
            raise StoreUnavailable("the row was put back to queued while the job began")
        return row  # processing, and the lease is ours: an attempt of this job that died

    async def _count_lost_call(self, claim: Claim) -> None:
        """An open paid call found at the claim was lost with its worker."""
        if claim.open_call is not None:
            lost = await self.journal.call_lost(claim)
            detail = "the worker died with the call under way"
            emit(PurchaseLost(model=claim.open_call.model, lost=lost, detail=detail))

    async def _stored_picture(
        self, claim: Claim, task: Task, row: Session
    ) -> tuple[str, Usage | None, bool] | None:
        """The result, if it is in storage already: then nothing is bought."""
        if task.replay and task.replay.fresh and not claim.stored:
            return None
        try:
            url = await self.storage.sign(row.result_path, life_s=SIGNED_URL_LIFE_S)
        except ObjectNotFound:
            return None
        emit(StoredPictureFound())
        return url, claim.usage, claim.usage is not None and claim.usage.is_preview

    async def _bought_picture(
        self, claim: Claim, task: Task, row: Session
    ) -> tuple[str, Usage, bool]:
        lost = claim.ambiguous + (claim.open_call is not None)
        if lost > self.settings.ambiguous_repeats:
            raise JobGaveUp(f"{lost} paid calls with unknown outcome")
        try:
            async with asyncio.timeout(self.settings.attempt_budget_s):
                request = await self._request(task)
                await self._permit(task)
                jpeg, usage = await self._buy(claim, request)
        except TimeoutError as exc:
            raise UpstreamError("the attempt ran out of its time budget") from exc
        url = await self._store(claim, row, jpeg, usage)
        return url, usage, usage.is_preview

    async def _request(self, task: Task) -> TryOnRequest:
        pictures = await asyncio.gather(*map(self._prepared, task.image_urls))
        return TryOnRequest(
            session_id=str(task.session_id),
            pictures=tuple(pictures),
            prompt=task.prompt or default_prompt(len(pictures)),
            model=task.replay.model if task.replay else None,
        )

    async def _prepared(self, url: str) -> PreparedPicture:
        async with self.originals:
            data = await self.fetcher.fetch(url)
            max_px = self.settings.max_picture_px
            return await self.pixels.prepare(data, max_px=max_px)

    async def _permit(self, task: Task) -> None:
        halted_s = await self.breaker.wait_s()
        if halted_s > 0:
            raise CallsHalted(retry_after_s=halted_s)
        clock = asyncio.get_running_loop().time
        begun_s = clock()
        granted = await self.limiter.acquire(
            pictures=len(task.image_urls), max_wait_s=self.settings.permit_wait_s
        )
        if not granted:
            raise NoPermit
        emit(PermitGranted(waited_ms=round((clock() - begun_s) * 1000)))

    async def _buy(self, claim: Claim, request: TryOnRequest) -> tuple[bytes, Usage]:
        """The paid call. It stays open in the journal until its picture is stored."""
        model = request.model or self.settings.openai_image_models[0]
        await self.journal.call_started(claim, model)
        try:
            picture = await self.generator.generate(request)
            jpeg = await self._verified(picture)
        except CallAmbiguous as exc:
            lost = await self.journal.call_lost(claim)
            emit(PurchaseLost(model=model, lost=lost, detail=str(exc)))
            if lost > self.settings.ambiguous_repeats:
                raise JobGaveUp(f"{lost} paid calls with unknown outcome") from exc
            raise
        except GeneratorError:
            await self.journal.call_ended(claim)
            raise
        await self.breaker.reset()
        return jpeg, picture.usage

    async def _verified(self, picture: GeneratedPicture) -> bytes:
        try:
            return await self.pixels.verify(picture.data)
        except PictureProblem as exc:
            raise CallAmbiguous("the answer holds no usable picture") from exc

    async def _store(self, claim: Claim, row: Session, jpeg: bytes, usage: Usage) -> str:
        """Store and sign. A worker told to stop still gives a bought picture its chance."""
        storing = asyncio.create_task(
            self._upload_with_retries(claim, row.result_path, jpeg, usage)
        )
        try:
            return await asyncio.shield(storing)
        except asyncio.CancelledError:
            await asyncio.wait({storing}, timeout=STORE_GRACE_S)
            storing.cancel()
            raise

    async def _upload_with_retries(self, claim: Claim, path: str, jpeg: bytes, usage: Usage) -> str:
        clock = asyncio.get_running_loop().time
        give_up_s = clock() + STORE_MAX_WAIT_S
        while True:
            try:
                await self.storage.put(path, jpeg, content_type="image/jpeg")
                break
            except StoreUnavailable:
                if clock() > give_up_s:
                    raise
                emit(UploadFailed(left_s=round(give_up_s - clock())))
                await asyncio.sleep(STORE_PAUSE_S)
        try:
            await self.journal.picture_stored(claim, usage)
        except QueueUnavailable:
            emit(StoredPictureNotJournalled())  # the row is what counts: go on
        return await self.storage.sign(path, life_s=SIGNED_URL_LIFE_S)
