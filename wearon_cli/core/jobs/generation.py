"""
From a claimed job to a completed row.

begin -> look for a picture that is stored -> get one (`drawing`) -> store -> sign -> complete. Any
step may raise an error of the tree; `runner` decides what happens to the job.
"""

import asyncio
from dataclasses import dataclass, replace
from typing import Final

from wearon_cli.core.contract import Task
from wearon_cli.core.errors import (
    JobGaveUp,
    ObjectNotFound,
    SessionFinal,
    SessionNotFound,
    StorageRefused,
    StoreUnavailable,
)
from wearon_cli.core.events import emit
from wearon_cli.core.jobs.drawing import Drawing, is_of_open_purchase
from wearon_cli.core.jobs.events import JobCompleted, StoredPictureFound
from wearon_cli.core.jobs.journal import Claim, Journal, PurchaseOutcome
from wearon_cli.core.jobs.keeping import BoughtPicture, Keeper
from wearon_cli.core.jobs.retrieval import Retriever, ticket_of
from wearon_cli.core.providers import Ticket, Usage
from wearon_cli.core.session import (
    WAITING,
    Completion,
    Session,
    Sessions,
    Status,
    complete,
    complete_again,
    start,
    utc_now,
)
from wearon_cli.core.storage import SIGNED_URL_LIFE_S, Storage, previous_path

#: The shopper's message with a preview.
PREVIEW_NOTICE: Final = "This is a preview: a composite, not a generated picture."


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """Gets pictures for claimed jobs. One instance serves all jobs of a process."""

    sessions: Sessions
    storage: Storage
    journal: Journal
    drawing: Drawing
    keeper: Keeper

    async def make(self, claim: Claim, task: Task, *, max_wait_s: float) -> Usage | None:
        """
        Complete the row. Buys nothing if a picture is already stored or held.

        Args:
            claim: The job.
            task: Its payload.
            max_wait_s: How long a bought picture may wait for storage.

        Returns:
            What the picture cost; None when no longer known.
        """
        started_s = asyncio.get_running_loop().time()
        row = await self._begin_or_leave(claim, task)
        found = await self._stored_picture(claim, task, row)
        if found is None:
            picture = await self.drawing.picture(claim, task, row)
            redraw = task.replay is not None and task.replay.fresh
            try:
                url = await self.keeper.keep(
                    claim, row, picture, redraw=redraw, max_wait_s=max_wait_s
                )
            except (StorageRefused, JobGaveUp):  # the picture is lost: its provider's copy too
                await self.retriever.forget(picture.ticket)
                raise
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
        """The session has ended: cancel what an earlier attempt bought, or keep it for a person."""
        row = await self.sessions.get(task.key)
        if claim.stored or row is None:
            return
        if row.status is Status.COMPLETED:  # by an attempt that could not record its picture
            if claim.purchase is not None:
                await self._stored_usage(claim, completed=row)
                await self.retriever.forget(ticket_of(claim.purchase))
            return
        picture = await self._late_picture(claim)
        if picture is not None:
            await self.keeper.keep_for_a_person(claim, row, picture)
            await self.retriever.forget(picture.ticket)

    async def _late_picture(self, claim: Claim) -> BoughtPicture | None:
        """What was bought for a session that has ended since."""
        held = await self.drawing.held(claim)
        if held is None:
            return await self.retriever.abandon(claim)
        if claim.purchase is None or is_of_open_purchase(claim, held.number):
            return held
        return await self.retriever.give_up(claim) or held  # a second one was being generated

    @property
    def retriever(self) -> Retriever:
        return self.drawing.retriever

    def stop_buying(self) -> None:
        """Start no more purchases."""
        self.drawing.buyer.gate.is_open = False

    async def begin(self, task: Task) -> Session:
        """Move the row to processing for this job, or raise why that is not possible."""
        if task.replay and task.replay.from_status.is_final:
            return await self._unmoved(task)
        row = await self.sessions.apply(task.key, start())
        row = row or await self.sessions.get(task.key)
        if row is None:
            raise SessionNotFound(f"no row of this id in {task.channel.table}")
        if row.status.is_final:
            raise SessionFinal(f"the row is already {row.status.value}")
        if row.status in WAITING:
            raise StoreUnavailable("the row was requeued while the job started")
        return row  # the row is processing and the job is ours: an earlier attempt died

    async def _unmoved(self, task: Task) -> Session:
        """A replayed row, which must be as it was when the replay was planned."""
        row = await self.sessions.get(task.key)
        if row is None:
            raise SessionNotFound(f"no row of this id in {task.channel.table}")
        if task.replay is None or row.status is not task.replay.from_status:
            raise SessionFinal(f"the row became {row.status.value} after the replay was planned")
        return row

    async def _stored_picture(self, claim: Claim, task: Task, row: Session) -> "_Found | None":
        """The result if it is already in storage; then nothing is bought."""
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
        What the stored picture cost; recorded now if an earlier attempt could not.

        Args:
            claim: The job.
            completed: Its row, if that attempt completed it: the cost is in it.
        """
        if claim.usage is not None:
            return claim.usage
        usage = await self._usage_of(claim)
        if usage is None:
            return None
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

    async def _usage_of(self, claim: Claim) -> Usage | None:
        held, purchase = await self.drawing.held(claim), claim.purchase
        if held and (purchase is None or is_of_open_purchase(claim, held.number)):
            return held.usage
        return await self.retriever.bill(purchase) if purchase else None

    async def _is_redrawn(self, claim: Claim, row: Session) -> bool:
        """Whether an earlier attempt stored the new picture and was killed before it recorded
        that.
        """
        if not claim.previous_kept:
            return False
        try:
            old = await self.storage.get(previous_path(row.result_path))
            return await self.storage.get(row.result_path) != old
        except ObjectNotFound:
            return False

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
            raise SessionFinal("the row was ended by another process")
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
