"""
Buys a picture: the paid call, journalled before it is sent, and its outcome.

Nothing is bought while a breaker is open, without a permit of the rate limit, for a session that
has ended meanwhile, or more often than the cap allows. Before anything is bought again, the
provider of an open purchase is asked for it (`retrieval`).
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

from wearon_cli.core.cross_checks import SEEN_FOR_S
from wearon_cli.core.errors import (
    AccountBlocked,
    CallAmbiguous,
    CallsHalted,
    GenerationRefused,
    GeneratorError,
    Interrupted,
    JobGaveUp,
    ModelUnavailable,
    NoPermit,
    QueueUnavailable,
)
from wearon_cli.core.events import emit
from wearon_cli.core.image_models import PREVIEW
from wearon_cli.core.jobs.breakers import STORAGE, Breakers, provider_breaker
from wearon_cli.core.jobs.events import ImageModelUnavailable, PreviewStarted, PurchaseStarted
from wearon_cli.core.jobs.journal import Claim, Journal, Purchase, PurchaseOutcome
from wearon_cli.core.jobs.keeping import BoughtPicture, Keeper
from wearon_cli.core.jobs.last_writes import end_purchase
from wearon_cli.core.jobs.offers import Catalogue, Offer, expected_usd
from wearon_cli.core.jobs.retrieval import Retriever
from wearon_cli.core.providers import TryOnRequest
from wearon_cli.core.session import utc_now
from wearon_cli.core.settings import Settings


@dataclass(slots=True)
class OpenCheck:
    """Reads the row again when it was last read too long ago."""

    look: Callable[[], Awaitable[None]]  # raises when the session may not be bought for
    seen_s: float  # by the event loop's clock

    async def __call__(self) -> None:
        clock = asyncio.get_running_loop().time
        if clock() - self.seen_s > SEEN_FOR_S:
            await self.look()
            self.seen_s = clock()


@dataclass(slots=True)
class Gate:
    """Closed when this process is told to stop: no more purchases are started."""

    is_open: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class PurchaseOrder:
    """What to buy, and for whom."""

    claim: Claim
    request: TryOnRequest
    owner_id: str
    check: OpenCheck
    never_bought: Purchase | None = None  # of an earlier attempt, known not to exist
    bought: int = 0  # purchases that this job has made, this attempt's included

    @property
    def is_wished(self) -> bool:
        """An operator named the model: its failure says nothing about other jobs."""
        return self.request.model is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Buyer:
    """Buys pictures. One instance serves all jobs of a process."""

    journal: Journal
    catalogue: Catalogue
    breakers: Breakers
    retriever: Retriever
    keeper: Keeper
    gate: Gate
    settings: Settings

    async def buy(self, order: PurchaseOrder) -> BoughtPicture:
        """
        Buy one picture and verify it, from the first offer that serves.

        Raises:
            JobGaveUp: This job has reached the limit of purchases.
            CallsHalted, NoPermit, Interrupted: Not now, or not here.
            SessionFinal, JobTooOld: From the check: nothing is bought for this session any more.
            GeneratorError: The call failed; the journal says whether it was billed.
        """
        await self._require_storage()
        if order.bought >= self.settings.max_purchases:
            raise JobGaveUp(f"{order.bought} pictures were bought for it and none was kept")
        error: GeneratorError = ModelUnavailable()
        refusals: dict[str, GenerationRefused] = {}
        for offer in self._offers(order):
            if offer.provider.name in refusals:
                continue  # its other models follow the same policy, and a refusal can be billed
            try:
                return await self._from(offer, order)
            except (ModelUnavailable, AccountBlocked, CallsHalted) as exc:
                error = exc
            except GenerationRefused as exc:
                if not self.settings.next_provider_on_refusal:
                    raise
                refusals[offer.provider.name] = exc
        raise next(iter(refusals.values()), error)

    def _offers(self, order: PurchaseOrder) -> list[Offer]:
        if order.request.model is not None:
            return [self.catalogue.wished(order.request.model)]
        pictures = len(order.request.pictures)
        return list(self.catalogue.offers_for(order.owner_id, pictures=pictures))

    async def _require_storage(self) -> None:
        storage = await self.breakers.admit(STORAGE)
        if storage.wait_s > 0:
            raise CallsHalted("picture storage is unavailable", retry_after_s=storage.wait_s)
        if storage.is_probe:
            await self.keeper.require_storage()

    async def _from(self, offer: Offer, order: PurchaseOrder) -> BoughtPicture:
        """Buy from this offer, and open or close its breaker by the result."""
        if order.is_wished:
            return await self._bought(offer, order)
        breaker = provider_breaker(offer.provider.name)
        admission = await self.breakers.admit(breaker)
        if admission.wait_s > 0:
            raise CallsHalted(retry_after_s=admission.wait_s)
        try:
            picture = await self._bought(offer, order)
        except ModelUnavailable as exc:
            self.catalogue.pass_over(offer)
            emit(ImageModelUnavailable(model=offer.model.key, detail=str(exc)))
            if not self.catalogue.has_model_of(offer.provider):
                await self._halt(breaker, exc)
            raise
        except AccountBlocked as exc:
            await self._halt(breaker, exc)
            raise
        with suppress(QueueUnavailable):  # must not cost the picture
            await self.breakers.reset(breaker)
        return picture

    async def _halt(self, breaker: str, error: GeneratorError) -> None:
        with suppress(QueueUnavailable):
            await self.breakers.trip(breaker, error.code)

    async def _bought(self, offer: Offer, order: PurchaseOrder) -> BoughtPicture:
        marker = await offer.provider.prepare(
            order.request.session_id, after=_marker_before(offer, order)
        )
        purchase = await self._start(offer, order, marker)
        try:
            state = await offer.provider.submit(order.request, model=offer.model_id, marker=marker)
        except CallAmbiguous as exc:
            return await self.retriever.look_up(order.claim, purchase, exc)
        except GeneratorError as exc:
            await end_purchase(self.journal, order.claim, PurchaseOutcome.NOT_BILLED, cause=exc)
            raise
        return await self.retriever.collect(order.claim, purchase, state)

    async def _start(self, offer: Offer, order: PurchaseOrder, marker: str | None) -> Purchase:
        """Wait for a permit; with it, the purchase is in the journal."""
        pictures = len(order.request.pictures)
        purchase = Purchase(
            number=order.bought + 1,
            provider=offer.provider.name,
            model=offer.model_id,
            started_at=utc_now(),
            expected_usd=expected_usd(
                offer,
                size=self.settings.image_size,
                quality=self.settings.image_quality,
                pictures=pictures,
            ),
            marker=marker,
            is_free=offer.provider.name == PREVIEW,
        )
        waited_s = await self._write_down(purchase, order, pictures=pictures)
        if purchase.is_free:
            emit(PreviewStarted())
        else:
            emit(
                PurchaseStarted(
                    provider=purchase.provider,
                    model=purchase.model,
                    number=purchase.number,
                    waited_ms=round(waited_s * 1000),
                )
            )
        return purchase

    async def _write_down(
        self, purchase: Purchase, order: PurchaseOrder, *, pictures: int
    ) -> float:
        """Journal it as soon as the rate limit lets it. Returns how many seconds that took."""
        clock_s = asyncio.get_running_loop().time
        begun_s = clock_s()
        while True:
            if not self.gate.is_open:
                raise Interrupted("this worker is stopping")
            await order.check()
            wait_s = await self.journal.start_purchase(order.claim, purchase, pictures=pictures)
            if wait_s <= 0:
                return clock_s() - begun_s
            if clock_s() + wait_s > begun_s + self.settings.permit_wait_s:
                raise NoPermit
            await asyncio.sleep(wait_s)


def _marker_before(offer: Offer, order: PurchaseOrder) -> str | None:
    """The marker of a purchase that did not happen, as far as this provider knows."""
    earlier = order.never_bought
    return earlier.marker if earlier and earlier.provider == offer.provider.name else None
