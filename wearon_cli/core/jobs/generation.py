"""
From a claimed job to a completed row: the way to a picture.

begin -> look for a picture that is stored or held -> fetch -> prepare -> buy -> verify -> store ->
sign -> complete. Leaves by an error of the tree at any step; `runner` decides what becomes of it.
"""

import asyncio
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from wearon_cli.core.contract import Task
from wearon_cli.core.errors import (
    JobTooOld,
    ObjectNotFound,
    SessionFinal,
    SessionNotFound,
    StoreUnavailable,
    UpstreamError,
)
from wearon_cli.core.events import emit
from wearon_cli.core.jobs.events import (
    HeldPictureFound,
    JobCompleted,
    PicturesLeftOut,
    StoredPictureFound,
)
from wearon_cli.core.jobs.journal import Claim, Journal, PurchaseOutcome
from wearon_cli.core.jobs.keeping import BoughtPicture, Keeper
from wearon_cli.core.jobs.purchasing import Buyer, OpenCheck, Order
from wearon_cli.core.jobs.retrieval import Retriever, ticket_of
from wearon_cli.core.pictures.ports import Fetcher, PixelPool, PreparedPicture
from wearon_cli.core.pictures.slots import FairSlots
from wearon_cli.core.prompt import default_prompt
from wearon_cli.core.providers import Ticket, TryOnRequest, Usage
from wearon_cli.core.session import (
    WAITING,
    Channel,
    Completion,
    Session,
    Sessions,
    Status,
    complete,
    complete_again,
    start,
    utc_now,
)
from wearon_cli.core.settings import Settings
from wearon_cli.core.storage import SIGNED_URL_LIFE_S, Storage, previous_path

#: What the shopper reads with a picture that is only a composite.
PREVIEW_NOTICE: Final = "This is a preview: a composite, not a generated picture."


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """Makes pictures for claimed jobs. One instance serves all jobs of a process."""

    sessions: Sessions
    storage: Storage
    journal: Journal
    fetcher: Fetcher
    pixels: PixelPool
    buyer: Buyer
    keeper: Keeper
    #: One slot for each original picture in memory; a job that finds none waits. Originals have
    #: up to 10 MB each, what is sent on has 0.3.
    originals: FairSlots
    preparing: FairSlots  # those of them that wait for a pixel process, or are in one
    settings: Settings

    async def make(self, claim: Claim, task: Task, *, max_wait_s: float) -> Usage | None:
        """
        Bring the row to completed. Buys nothing when a picture is stored or held already.

        Args:
            claim: The job.
            task: Its payload.
            max_wait_s: How long a bought picture may wait for storage.

        Returns:
            What the picture used up; None when that is not known any more.
        """
        started_s = asyncio.get_running_loop().time()
        row = await self._begin_or_leave(claim, task)
        found = await self._stored_picture(claim, task, row)
        if found is None:
            picture = await self._picture(claim, task, row)
            redraw = task.replay is not None and task.replay.fresh
            url = await self.keeper.keep(claim, row, picture, redraw=redraw, max_wait_s=max_wait_s)
            found = _Found(url=url, usage=picture.usage, ticket=picture.ticket)
        waited_s = (claim.claimed_at - claim.started_at).total_seconds()
        took_s = waited_s + asyncio.get_running_loop().time() - started_s
        try:
            await self._complete(task, found.url, found.usage, took_ms=round(took_s * 1000))
        except SessionFinal:
            await self.retriever.forget(found.ticket)
            raise
        await self.retriever.forget(found.ticket)
        return found.usage

    async def _begin_or_leave(self, claim: Claim, task: Task) -> Session:
        try:
            return await self.begin(task)
        except SessionFinal:
            await self._leave(claim, task)
            raise

    async def _leave(self, claim: Claim, task: Task) -> None:
        """The session has ended: stop what an earlier attempt bought, or keep it for a person."""
        row = await self.sessions.get(task.key)
        if claim.purchase is None or row is None:
            return
        if row.status is Status.COMPLETED:  # by an attempt that could not write down its picture
            await self._stored_usage(claim, completed=row)
            await self.retriever.forget(ticket_of(claim.purchase))
            return
        picture = await self._held_picture(claim) or await self.retriever.abandon(claim)
        if picture is not None:
            await self.keeper.keep_for_a_person(claim, row, picture)
            await self.retriever.forget(picture.ticket)

    @property
    def retriever(self) -> Retriever:
        return self.buyer.retriever

    async def begin(self, task: Task) -> Session:
        """The row in processing, for this job; or the reason why not."""
        if task.replay and task.replay.from_status.is_final:
            return await self._unmoved(task)
        row = await self.sessions.apply(task.key, start())
        row = row or await self.sessions.get(task.key)
        if row is None:
            raise SessionNotFound(f"no row of this id in {task.channel.table}")
        if row.status.is_final:
            raise SessionFinal(f"the row is already {row.status.value}")
        if row.status in WAITING:
            raise StoreUnavailable("the row was put back to queued while the job began")
        return row  # processing, and the job is ours: an attempt of this job that died

    async def _unmoved(self, task: Task) -> Session:
        """A replayed row, still as it was when the replay was planned."""
        row = await self.sessions.get(task.key)
        if row is None:
            raise SessionNotFound(f"no row of this id in {task.channel.table}")
        if task.replay is None or row.status is not task.replay.from_status:
            raise SessionFinal(f"the row is {row.status.value} since the replay was planned")
        return row

    async def _stored_picture(self, claim: Claim, task: Task, row: Session) -> "_Found | None":
        """The result, if it is in storage already: then nothing is bought."""
        is_redraw = task.replay is not None and task.replay.fresh
        if is_redraw and not claim.stored and not await self._is_redrawn(claim, row):
            return None
        try:
            url = await self.storage.sign(row.result_path, life_s=SIGNED_URL_LIFE_S)
        except ObjectNotFound:
            return None
        emit(StoredPictureFound())
        usage = await self._stored_usage(claim)
        ticket = ticket_of(claim.purchase) if claim.purchase else None
        return _Found(url=url, usage=usage, ticket=ticket)

    async def _stored_usage(
        self, claim: Claim, *, completed: Session | None = None
    ) -> Usage | None:
        """
        What the stored picture used up; written down, where an earlier attempt could not.

        Args:
            claim: The job.
            completed: Its row, if that attempt completed it: what it cost stands there.
        """
        if claim.purchase is None:
            return claim.usage
        held = await self._held_picture(claim)
        usage = held.usage if held else await self.retriever.bill(claim.purchase)
        if usage.is_estimate and completed and completed.estimated_cost_usd is not None:
            usage = replace(
                usage,
                input_tokens=completed.input_tokens,
                output_tokens=completed.output_tokens,
                cost_usd=completed.estimated_cost_usd,
                is_estimate=False,
            )
        await self.journal.picture_stored(claim, usage, PurchaseOutcome.KEPT)
        return usage

    async def _is_redrawn(self, claim: Claim, row: Session) -> bool:
        """Whether an earlier attempt stored the new picture and was killed before it said so."""
        if not claim.previous_kept:
            return False
        try:
            old = await self.storage.get(previous_path(row.result_path))
            return await self.storage.get(row.result_path) != old
        except ObjectNotFound:
            return False

    async def _picture(self, claim: Claim, task: Task, row: Session) -> BoughtPicture:
        held = await self._held_picture(claim)
        if held is not None:
            emit(HeldPictureFound())
            return held
        recovered = await self.retriever.recover(claim)
        if isinstance(recovered, BoughtPicture):
            return recovered
        never_bought = recovered is PurchaseOutcome.NOT_BILLED
        self._require_young(row)
        seen_s = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(self.settings.attempt_budget_s):
                request = await self._request(task, row)
                check = OpenCheck(look=partial(self._look_again, task, row), seen_s=seen_s)
                order = Order(
                    claim=claim,
                    request=request,
                    owner_id=row.owner_id,
                    check=check,
                    never_bought=claim.purchase if never_bought else None,
                    bought=claim.purchases - never_bought,
                )
                return await self.buyer.buy(order)
        except TimeoutError as exc:
            raise UpstreamError("the attempt ran out of its time budget") from exc

    async def _held_picture(self, claim: Claim) -> BoughtPicture | None:
        """The picture of the open purchase, if it is held in Redis."""
        held = await self.journal.kept_picture(claim.session_id) if claim.picture_held else None
        if held is None:
            return None
        jpeg, usage = held
        ticket = ticket_of(claim.purchase) if claim.purchase else None
        return BoughtPicture(jpeg=jpeg, usage=usage, outcome=PurchaseOutcome.KEPT, ticket=ticket)

    async def _look_again(self, task: Task, row: Session) -> None:
        """Before paying: the platform may have ended the session, or it may be too old by now."""
        self._require_young(row)
        now = await self.sessions.get(task.key)
        if now is not None and now.status in WAITING:  # by a worker that lost its lease
            raise StoreUnavailable("the row was put back to queued before anything was bought")
        if now is None or now.status is not row.status:
            raise SessionFinal("the row moved on before anything was bought")

    def _require_young(self, row: Session) -> None:
        """The platform fails and refunds every open b2c row of ten minutes by itself."""
        if row.channel is not Channel.B2C or row.status.is_final:
            return
        age_s = (utc_now() - row.created_at).total_seconds()
        if age_s > self.settings.b2c_buy_within_s:
            raise JobTooOld(f"the session is {age_s:.0f} s old: a picture would come too late")

    async def _request(self, task: Task, row: Session) -> TryOnRequest:
        model = task.replay.model if task.replay else None
        urls = await self._first_urls(task, row, model)
        pictures = await asyncio.gather(*(self._prepared(url, task.owner_id) for url in urls))
        return TryOnRequest(
            session_id=str(task.session_id),
            pictures=tuple(pictures),
            prompt=task.prompt or default_prompt(len(pictures)),
            model=model,
        )

    async def _first_urls(self, task: Task, row: Session, model: str | None) -> tuple[str, ...]:
        """As many as a model takes: person, garment and the first accessories. Told if not all."""
        most = self.buyer.catalogue.most_pictures(row.owner_id, model=model)
        given = len(task.image_urls)
        if given > most:
            emit(PicturesLeftOut(given=given, sent=most))
            await self.journal.note(row.session_id, "pictures_left_out", given=given, sent=most)
        return task.image_urls[:most]

    async def _prepared(self, url: str, owner_id: str) -> PreparedPicture:
        async with self.originals.slot(owner_id):
            data = await self.fetcher.fetch(url)
            async with self.preparing.slot(owner_id):
                return await self.pixels.prepare(data, max_px=self.settings.max_picture_px)

    async def _complete(self, task: Task, url: str, usage: Usage | None, *, took_ms: int) -> None:
        done = Completion(
            generated_image_url=url,
            processing_time_ms=took_ms,
            completed_at=utc_now(),
            input_tokens=usage.input_tokens if usage else None,
            output_tokens=usage.output_tokens if usage else None,
            estimated_cost_usd=usage.cost_usd if usage else None,
            notice=PREVIEW_NOTICE if usage and usage.is_preview else None,
        )
        final = task.replay and task.replay.from_status.is_final
        move = (
            complete_again(task.replay.from_status, done)
            if task.replay and final
            else complete(done)
        )
        if await self.sessions.apply(task.key, move) is None:
            raise SessionFinal("somebody else brought the row to its end")
        emit(
            JobCompleted(
                channel=task.channel.value,
                took_ms=took_ms,
                provider=usage.provider if usage else None,
                model=usage.model if usage else None,
                cost_usd=done.estimated_cost_usd,
            )
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """A picture in storage."""

    url: str
    usage: Usage | None
    ticket: Ticket | None  # where its provider keeps it
