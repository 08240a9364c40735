"""
Gets the picture for a job: held, recovered or bought; checked, and bought again if the check fails.

fetch -> prepare -> check -> buy -> verify -> check. A suspect picture is held in Redis before
another one is bought, and its purchase counts as kept until a better one is stored: whatever
happens to the second, the first can still be delivered. If it cannot be held, no second one is
bought.

A job at its cap of deaths gets the picture that is held, or none: nothing is bought, decoded or
checked for it any more, since its workers may have died of that.
"""

import asyncio
from collections.abc import Awaitable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from wearon_cli.core.checks.findings import PictureFinding
from wearon_cli.core.contract import Task
from wearon_cli.core.errors import (
    JobGaveUp,
    JobTooOld,
    QueueUnavailable,
    ResultRefused,
    SessionFinal,
    StoreUnavailable,
    UpstreamError,
    WearonError,
)
from wearon_cli.core.events import emit
from wearon_cli.core.jobs.checking import (
    TOO_MANY_DEATHS,
    CheckAction,
    CheckedInputs,
    Checker,
    Stage,
    better,
    emit_suspect,
)
from wearon_cli.core.jobs.crashes import result_of
from wearon_cli.core.jobs.events import HeldPictureFound, PicturesLeftOut
from wearon_cli.core.jobs.journal import Claim, Journal, Purchase, PurchaseOutcome
from wearon_cli.core.jobs.keeping import BoughtPicture, Keeper
from wearon_cli.core.jobs.last_writes import end_purchase
from wearon_cli.core.jobs.purchasing import Buyer, OpenCheck, PurchaseOrder
from wearon_cli.core.jobs.retrieval import Retriever, ticket_of
from wearon_cli.core.jobs.settlement import intent_for
from wearon_cli.core.pictures.ports import Fetcher, PixelPool, PreparedPicture
from wearon_cli.core.pictures.slots import FairSlots
from wearon_cli.core.prompt import default_prompt
from wearon_cli.core.providers import TryOnRequest
from wearon_cli.core.session import WAITING, Channel, Session, Sessions, utc_now
from wearon_cli.core.settings import Settings


@dataclass(slots=True, kw_only=True)
class _Job:
    """A running job, and what is known about it so far."""

    claim: Claim
    task: Task
    row: Session
    inputs: CheckedInputs | None = None
    bought: int = 0  # purchases made for it
    is_held: bool = False  # its picture was held in Redis


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """Gets pictures for claimed jobs. One instance serves all jobs of a process."""

    sessions: Sessions
    journal: Journal
    fetcher: Fetcher
    pixels: PixelPool
    checker: Checker
    buyer: Buyer
    keeper: Keeper
    #: One slot for each original picture in memory; a job without a slot waits. Originals have up
    #: to 10 MB each, prepared pictures 0.3.
    originals: FairSlots
    preparing: FairSlots  # those waiting for, or in, a pixel process
    settings: Settings

    @property
    def retriever(self) -> Retriever:
        return self.buyer.retriever

    async def picture(self, claim: Claim, task: Task, row: Session) -> BoughtPicture:
        """
        The picture to keep for a job.

        Raises:
            PhotoRefused: Its photos are unusable; nothing was bought.
            ResultRefused: The generated picture is unusable, and the settings say to fail then.
            JobGaveUp: Too many workers died while they had the job, and no picture is held.
            WearonError: As `Buyer.buy` and `Retriever.recover`.
        """
        if claim.deaths >= self.settings.max_deaths:
            return await self._only_held(claim)
        job = _Job(claim=claim, task=task, row=row, bought=claim.purchases)
        picture = await self._first(job)
        try:
            return await self._judged(job, picture)
        except asyncio.CancelledError:
            await self.keeper.hold(claim, picture)
            raise

    async def _only_held(self, claim: Claim) -> BoughtPicture:
        held, end = await self.held(claim), too_many_deaths(claim)
        if held is None or not is_of_open_purchase(claim, held.number):
            await self.retriever.write_off(claim, end)
        if held is None:
            raise end
        emit(HeldPictureFound())
        if self.settings.check_results != "off" and not held.usage.is_preview:
            await self.checker.tell_not_checked(claim, Stage.RESULT, TOO_MANY_DEATHS)
        return held

    async def _first(self, job: _Job) -> BoughtPicture:
        claim = job.claim
        held = await self.held(claim)
        if held is not None:
            emit(HeldPictureFound())
            job.is_held = True
            return held
        recovered = await self.retriever.recover(claim)
        if isinstance(recovered, BoughtPicture):
            return recovered
        never_bought = claim.purchase if recovered is PurchaseOutcome.NOT_BILLED else None
        job.bought -= never_bought is not None
        return await self._bought(job, never_bought=never_bought)

    async def held(self, claim: Claim) -> BoughtPicture | None:
        """A bought picture of this job that is held in Redis."""
        held = await self.journal.kept_picture(claim.session_id) if claim.picture_held else None
        if held is None:
            return None
        purchase = claim.purchase if is_of_open_purchase(claim, held.number) else None
        return BoughtPicture(
            jpeg=held.jpeg,
            usage=held.usage,
            number=held.number,
            ticket=ticket_of(purchase) if purchase else None,
        )

    async def _bought(self, job: _Job, *, never_bought: Purchase | None = None) -> BoughtPicture:
        """Buy one within the time budget of an attempt."""
        self._require_young(job.row)
        seen_s = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(self.settings.attempt_budget_s):
                if job.inputs is None:
                    request = await self._request(job.task, job.row)
                    job.inputs = await self.checker.inputs(job.claim, request)
                look = partial(self._look_again, job.task, job.row)
                order = PurchaseOrder(
                    claim=job.claim,
                    request=job.inputs.request,
                    owner_id=job.row.owner_id,
                    check=OpenCheck(look=look, seen_s=seen_s),
                    never_bought=never_bought,
                    bought=job.bought,
                )
                picture = await self.buyer.buy(order)
        except TimeoutError as exc:
            raise UpstreamError("the attempt exceeded its time budget") from exc
        job.bought += 1
        return picture

    async def _look_again(self, task: Task, row: Session) -> None:
        """Before paying: the platform may have ended the session, or it may be too old."""
        self._require_young(row)
        now = await self.sessions.get(task.key)
        if now is not None and now.status in WAITING:  # ended by a worker that lost its lease
            raise StoreUnavailable("the row was requeued before anything was bought")
        if now is None or now.status is not row.status:
            raise SessionFinal("the row changed before anything was bought")

    def _require_young(self, row: Session) -> None:
        """The platform itself fails and refunds every b2c row that is open for ten minutes."""
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
        """
        As many as a model accepts: person, garment and the first accessories. Logged if not all.
        """
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

    # ------------------------------------------------------- checks of the generated picture

    async def _judged(self, job: _Job, picture: BoughtPicture) -> BoughtPicture:
        """The picture to keep: this one, or one that was bought to replace it."""
        findings = await self._findings(job, picture)
        claim, mode = job.claim, self.settings.check_results
        if job.is_held and claim.purchase and not is_of_open_purchase(claim, picture.number):
            # A worker died while the second picture was generated.
            second = self.retriever.recover(claim)
            return await self._better_or_first(job, picture, findings, second)
        if not findings:
            return picture
        if mode == "fail":
            await self._fail(job, picture, findings)
        may_buy = job.bought < self.settings.max_purchases
        if mode == "retry" and may_buy and not claim.bought_again:
            return await self._bought_again(job, picture, findings)
        await self.checker.tell(claim, Stage.RESULT, findings, CheckAction.FLAGGED)
        return picture

    async def _findings(self, job: _Job, picture: BoughtPicture) -> tuple[PictureFinding, ...]:
        """What is wrong with a picture; previews are not checked here."""
        if self.settings.check_results == "off" or picture.usage.is_preview:
            return ()
        if job.inputs is None:
            with suppress(WearonError, TimeoutError):
                async with asyncio.timeout(self.settings.fetch_timeout_s):
                    job.inputs = CheckedInputs(request=await self._request(job.task, job.row))
        return await self.checker.result(job.claim, picture.small or picture.jpeg, job.inputs)

    async def _fail(
        self, job: _Job, picture: BoughtPicture, findings: tuple[PictureFinding, ...]
    ) -> None:
        """
        End the purchase of a picture that is not delivered. The intent to fail the job is written
        first: a worker that dies after it buys nothing more.

        Raises:
            ResultRefused: Always.
        """
        await self.checker.tell(job.claim, Stage.RESULT, findings, CheckAction.FAILED)
        refused = ResultRefused(f"the generated picture failed its check: {', '.join(findings)}")
        usage, unused = picture.usage, PurchaseOutcome.UNUSED
        await self.journal.intend(job.claim, intent_for(refused))
        await end_purchase(self.journal, job.claim, unused, cost_usd=usage.cost_usd, cause=refused)
        await self.retriever.forget(picture.ticket)
        raise refused

    async def _bought_again(
        self, job: _Job, first: BoughtPicture, findings: tuple[PictureFinding, ...]
    ) -> BoughtPicture:
        if not await self.keeper.hold(job.claim, first):
            await self.checker.tell(job.claim, Stage.RESULT, findings, CheckAction.FLAGGED)
            return first
        words = emit_suspect(Stage.RESULT, findings, CheckAction.BOUGHT_AGAIN)
        try:
            await self.journal.buy_again(job.claim, first.usage, findings=words)
        except QueueUnavailable:
            await self.checker.tell(job.claim, Stage.RESULT, findings, CheckAction.FLAGGED)
            return first
        return await self._better_or_first(job, first, findings, self._second(job, first))

    async def _second(self, job: _Job, first: BoughtPicture) -> BoughtPicture:
        await self.retriever.forget(first.ticket)
        return await self._bought(job)

    async def _better_or_first(
        self,
        job: _Job,
        first: BoughtPicture,
        findings: tuple[PictureFinding, ...],
        second: Awaitable[BoughtPicture | PurchaseOutcome | None],
    ) -> BoughtPicture:
        """
        The second picture if it is better; else the first. Whatever happens to the second one, the
        first is delivered, and does not wait for it longer than for a purchase.
        """
        found = await result_of(second)
        if not isinstance(found, BoughtPicture):
            found = await result_of(self.retriever.give_up(job.claim))
        kept, left = first, findings
        if isinstance(found, BoughtPicture):
            of_second = await result_of(self._findings(job, found))
            of_second = () if isinstance(of_second, WearonError) else of_second  # not checked
            if better(findings, of_second):
                kept, left = found, of_second
            else:
                await self._leave(job, found)
        else:  # it is over, unless a crash left it open
            await end_purchase(self.journal, job.claim, PurchaseOutcome.LOST)
        if left:
            await self.checker.tell(job.claim, Stage.RESULT, left, CheckAction.FLAGGED)
        return kept

    async def _leave(self, job: _Job, second: BoughtPicture) -> None:
        """It was paid for, and is worse than the first."""
        cost_usd = second.usage.cost_usd
        await end_purchase(self.journal, job.claim, PurchaseOutcome.UNUSED, cost_usd=cost_usd)
        await result_of(self.retriever.forget(second.ticket))


def too_many_deaths(claim: Claim) -> JobGaveUp:
    """The end of a job at its cap of deaths."""
    return JobGaveUp(f"{claim.deaths} worker processes died while it was in flight")


def is_of_open_purchase(claim: Claim, number: int) -> bool:
    """
    Whether a picture is that of the purchase which an earlier attempt left open. A job that buys
    again may hold the picture of the purchase before that.
    """
    return claim.purchase is not None and claim.purchase.number == number
