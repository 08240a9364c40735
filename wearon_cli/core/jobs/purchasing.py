"""
Buying a picture: the paid call, journalled before it leaves, and what became of it.

Nothing is bought while a breaker is open, without a permit of the rate limit, for a session that
has ended meanwhile, or more often than the cap allows.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from wearon_cli.core.errors import (
    CallAmbiguous,
    CallsHalted,
    GeneratorError,
    GeneratorFault,
    Interrupted,
    JobGaveUp,
    NoPermit,
    PictureProblem,
    QueueUnavailable,
)
from wearon_cli.core.events import emit
from wearon_cli.core.generator import GeneratedPicture, Generator, TryOnRequest
from wearon_cli.core.jobs.breakers import STORAGE, Breakers, provider_breaker
from wearon_cli.core.jobs.events import PurchaseLost, PurchaseStarted
from wearon_cli.core.jobs.journal import Claim, Journal, Purchase, PurchaseOutcome
from wearon_cli.core.jobs.keeping import BoughtPicture, Keeper
from wearon_cli.core.pictures.ports import PixelPool
from wearon_cli.core.session import utc_now
from wearon_cli.core.settings import Settings

#: A row that was seen open longer ago than this is looked at again before anything is bought.
SEEN_FOR_S: Final = 3.0
PROVIDER: Final = "openai"


@dataclass(slots=True)
class OpenCheck:
    """Looks at the row again when it was last seen too long ago."""

    look: Callable[[], Awaitable[None]]  # raises when the session may not be bought for
    seen_s: float  # by the event loop's clock

    async def __call__(self) -> None:
        clock = asyncio.get_running_loop().time
        if clock() - self.seen_s > SEEN_FOR_S:
            await self.look()
            self.seen_s = clock()


@dataclass(slots=True)
class Gate:
    """Closed when this process is told to stop: no purchase begins any more."""

    is_open: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Buyer:
    """Buys pictures. One instance serves all jobs of a process."""

    journal: Journal
    generator: Generator
    breakers: Breakers
    pixels: PixelPool
    keeper: Keeper
    gate: Gate
    settings: Settings

    async def settle_open_purchase(self, claim: Claim) -> None:
        """A purchase that an earlier attempt left open, without a picture, was lost with it."""
        if claim.purchase is None:
            return
        await self.journal.end_purchase(claim, PurchaseOutcome.LOST)
        emit(
            PurchaseLost(
                model=claim.purchase.model,
                number=claim.purchase.number,
                detail="its worker stopped or died before the answer",
            )
        )

    async def buy(self, claim: Claim, request: TryOnRequest, check: OpenCheck) -> BoughtPicture:
        """
        Buy one picture and verify it.

        Raises:
            JobGaveUp: This job has bought as many as it may.
            CallsHalted, NoPermit, Interrupted: Not now, or not here.
            SessionFinal, JobTooOld: From `check`: not for this session any more.
            GeneratorError: The call failed; the journal says whether it was billed.
        """
        if claim.purchases >= self.settings.max_purchases:
            raise JobGaveUp(f"{claim.purchases} pictures were bought for it, and none was kept")
        wished = request.model is not None  # an operator's own choice: nobody else's concern
        await self._require_admission(wished=wished)
        await self._start(claim, request, check)
        picture = await self._answer(claim, request, wished=wished)
        return await self._verified(claim, picture)

    async def _require_admission(self, *, wished: bool) -> None:
        storage = await self.breakers.admit(STORAGE)
        if storage.wait_s > 0:
            raise CallsHalted("picture storage is away", retry_after_s=storage.wait_s)
        if storage.is_probe:
            await self.keeper.require_storage()
        if wished:
            return
        provider = await self.breakers.admit(provider_breaker(PROVIDER))
        if provider.wait_s > 0:
            raise CallsHalted(retry_after_s=provider.wait_s)

    async def _start(self, claim: Claim, request: TryOnRequest, check: OpenCheck) -> None:
        """Wait for a permit; with it, the purchase is in the journal."""
        clock = asyncio.get_running_loop().time
        begun_s = clock()
        model = self._model(request)
        while True:
            if not self.gate.is_open:
                raise Interrupted("this worker is stopping")
            await check()
            purchase = Purchase(
                number=claim.purchases + 1, provider=PROVIDER, model=model, started_at=utc_now()
            )
            wait_s = await self.journal.start_purchase(
                claim, purchase, pictures=len(request.pictures)
            )
            if wait_s <= 0:
                break
            if clock() + wait_s > begun_s + self.settings.permit_wait_s:
                raise NoPermit
            await asyncio.sleep(wait_s)
        waited_ms = round((clock() - begun_s) * 1000)
        emit(PurchaseStarted(model=model, number=claim.purchases + 1, waited_ms=waited_ms))

    async def _answer(
        self, claim: Claim, request: TryOnRequest, *, wished: bool
    ) -> GeneratedPicture:
        try:
            picture = await self.generator.generate(request)
        except CallAmbiguous as exc:
            number, model = claim.purchases + 1, self._model(request)
            emit(PurchaseLost(model=model, number=number, detail=str(exc)))
            await self.journal.end_purchase(claim, PurchaseOutcome.LOST)
            raise
        except GeneratorError:
            await self.journal.end_purchase(claim, PurchaseOutcome.NOT_BILLED)
            raise
        if not wished:
            with suppress(QueueUnavailable):  # never at the price of the picture
                await self.breakers.reset(provider_breaker(PROVIDER))
        return picture

    def _model(self, request: TryOnRequest) -> str:
        return request.model or self.settings.openai_image_models[0]

    async def _verified(self, claim: Claim, picture: GeneratedPicture) -> BoughtPicture:
        try:
            jpeg = await self.pixels.verify(picture.data)
        except PictureProblem as exc:
            await self.journal.end_purchase(
                claim, PurchaseOutcome.UNUSED, cost_usd=picture.usage.cost_usd
            )
            raise GeneratorFault("the answer holds no usable picture") from exc
        return BoughtPicture(jpeg=jpeg, usage=picture.usage)
