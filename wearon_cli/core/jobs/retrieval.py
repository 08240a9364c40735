"""
Gets the picture of a purchase, even if its answer was lost.

The provider is asked before anything is bought again: by its ticket, or by our own marker. Only a
purchase that cannot be looked up, or does not exist, counts as lost or never made.
"""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial

from wearon_cli.core.errors import (
    CallAmbiguous,
    GeneratorError,
    GeneratorFault,
    GeneratorUnreachable,
    PictureProblem,
    PurchaseUnresolved,
    QueueUnavailable,
    RateLimited,
    WearonError,
)
from wearon_cli.core.events import emit
from wearon_cli.core.jobs.events import PurchaseFetched, PurchaseLost
from wearon_cli.core.jobs.journal import Claim, Journal, Purchase, PurchaseOutcome
from wearon_cli.core.jobs.keeping import BoughtPicture
from wearon_cli.core.jobs.last_writes import end_purchase, write_last
from wearon_cli.core.pictures.marking import Marking
from wearon_cli.core.pictures.ports import PixelPool
from wearon_cli.core.providers import GeneratedPicture, Pending, Provider, Ticket, Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class Retriever:
    """Collects purchases. One instance serves all jobs of a process."""

    journal: Journal
    providers: Mapping[str, Provider]
    pixels: PixelPool
    marking: Marking
    timeout_s: float  # one purchase, from its ticket to its picture
    with_small: bool  # make the small copies that the checks need

    async def recover(
        self, claim: Claim, *, within_s: float | None = None
    ) -> BoughtPicture | PurchaseOutcome | None:
        """
        The picture of a purchase that an earlier attempt left open, or its outcome: LOST or
        NOT_BILLED. None: there is no open purchase.

        Args:
            claim: The job.
            within_s: How long to ask; None: as long as for a new purchase, 0: once.

        Raises:
            PurchaseUnresolved: It cannot be told yet.
            GeneratorError: It ended without a picture.
        """
        purchase = claim.purchase
        if purchase is None:
            return None
        provider = self.providers.get(purchase.provider)
        ticket = ticket_of(purchase)
        try:
            if provider is not None and ticket is not None and provider.powers.fetch:
                state = Pending(ticket=ticket, after_s=0.0)
                return await self._collected(
                    claim, purchase, state, PurchaseOutcome.FETCHED, within_s=within_s
                )
            loss = CallAmbiguous("its worker died")
            return await self.look_up(claim, purchase, loss, within_s=within_s)
        except CallAmbiguous:
            return PurchaseOutcome.LOST
        except GeneratorUnreachable:
            return PurchaseOutcome.NOT_BILLED

    async def look_up(
        self,
        claim: Claim,
        purchase: Purchase,
        loss: CallAmbiguous,
        *,
        within_s: float | None = None,
    ) -> BoughtPicture:
        """
        Find a purchase whose submit had no answer, by our marker. `within_s`: as `recover`.

        Raises:
            CallAmbiguous: It cannot be looked up: it is lost.
            GeneratorUnreachable: Nothing was bought.
            PurchaseUnresolved: It cannot be told yet.
        """
        provider = self.providers.get(purchase.provider)
        if provider is None or purchase.marker is None:
            await self._lose(claim, purchase, loss)
            raise loss
        try:
            ticket = await provider.find(model=purchase.model, marker=purchase.marker)
        except CallAmbiguous as exc:
            await self._lose(claim, purchase, exc)
            raise
        except GeneratorError as exc:
            raise PurchaseUnresolved(
                f"could not ask {provider.name}: {exc}", retry_after_s=_told_s(exc)
            ) from exc
        if ticket is None:
            await end_purchase(self.journal, claim, PurchaseOutcome.NOT_BILLED, cause=loss)
            raise GeneratorUnreachable(f"nothing was bought from {provider.name}") from loss
        state = Pending(ticket=ticket, after_s=0.0)
        return await self._collected(
            claim, purchase, state, PurchaseOutcome.FETCHED, within_s=within_s
        )

    async def collect(
        self, claim: Claim, purchase: Purchase, state: Pending | GeneratedPicture
    ) -> BoughtPicture:
        """
        The picture of a purchase just made.

        Raises:
            PurchaseUnresolved: It was not ready in time; its ticket is in the journal.
            CallAmbiguous: It was bought, but cannot be fetched.
            GeneratorError: It ended without a picture.
        """
        if isinstance(state, GeneratedPicture):
            return await self._verified(claim, purchase, state, None, PurchaseOutcome.KEPT)
        return await self._collected(claim, purchase, state, PurchaseOutcome.KEPT)

    async def bill(self, purchase: Purchase) -> Usage:
        """What an open purchase cost whose picture is in storage; otherwise an estimate."""
        ticket, provider = ticket_of(purchase), self.providers.get(purchase.provider)
        if ticket is not None and provider is not None and provider.powers.fetch:
            with suppress(GeneratorError):
                answer = await provider.collect(ticket)
                if isinstance(answer, GeneratedPicture):
                    return answer.usage
        return Usage(
            provider=purchase.provider,
            model=purchase.model,
            cost_usd=purchase.expected_usd,
            is_estimate=True,
        )

    async def forget(self, ticket: Ticket | None) -> None:
        """Have a provider delete its data of an ended purchase. Failures are ignored."""
        provider = self.providers.get(ticket.provider) if ticket else None
        if ticket is not None and provider is not None:
            with suppress(GeneratorError):
                await provider.forget(ticket)

    async def forget_ended(self, claim: Claim) -> None:
        """
        As `forget`, of the purchases of earlier attempts that are over. A job that is being failed
        waits for none: one that is open got the picture for which it is failed.
        """
        await self.forget(claim.to_forget)
        if claim.intent is not None and claim.purchase is not None:
            await self.forget(ticket_of(claim.purchase))

    async def abandon(self, claim: Claim) -> BoughtPicture | None:
        """
        The session has ended: cancel an open purchase. Returns its picture if there is one already.

        Raises:
            PurchaseUnresolved: It cannot be told yet.
        """
        return await self._stopped(claim, within_s=None)

    async def give_up(self, claim: Claim) -> BoughtPicture | None:
        """
        Stop the purchase that is open now: its job does not wait for it. Its picture, if it is
        there already. Afterwards no purchase is open, unless there is a picture.
        """
        claim = await self._with_open(claim)
        try:
            return await self._stopped(claim, within_s=0.0)
        except PurchaseUnresolved as exc:
            if claim.purchase is not None:
                await self._lose(claim, claim.purchase, exc)
                await self.forget(ticket_of(claim.purchase))
            return None

    async def write_off(self, claim: Claim, cause: WearonError) -> None:
        """
        Nothing will ask for the purchase that is open now: it is lost. Its provider still keeps it.
        """
        claim = await self._with_open(claim)
        await self._cancel(claim)
        if claim.purchase is not None:
            await self._lose(claim, claim.purchase, cause)

    async def _with_open(self, claim: Claim) -> Claim:
        """With the purchase that is open now, which this attempt may have begun."""
        return replace(claim, purchase=await write_last(partial(self.journal.open_purchase, claim)))

    async def _stopped(self, claim: Claim, *, within_s: float | None) -> BoughtPicture | None:
        await self._cancel(claim)
        try:
            found = await self.recover(claim, within_s=within_s)
        except PurchaseUnresolved:
            raise
        except GeneratorError:
            return None
        return found if isinstance(found, BoughtPicture) else None

    async def _cancel(self, claim: Claim) -> None:
        ticket = ticket_of(claim.purchase) if claim.purchase else None
        provider = self.providers.get(ticket.provider) if ticket else None
        if ticket is not None and provider is not None:
            with suppress(GeneratorError):
                await provider.cancel(ticket)

    async def _collected(
        self,
        claim: Claim,
        purchase: Purchase,
        state: Pending,
        outcome: PurchaseOutcome,
        *,
        within_s: float | None = None,
    ) -> BoughtPicture:
        with suppress(QueueUnavailable):  # it can still be found by its marker
            await self.journal.purchase_submitted(claim, state.ticket.provider_id)
        provider = self.providers[purchase.provider]
        clock = asyncio.get_running_loop().time
        give_up_s = clock() + (self.timeout_s if within_s is None else within_s)
        while True:
            await asyncio.sleep(min(state.after_s, self.timeout_s))
            try:
                answer = await provider.collect(state.ticket)
            except CallAmbiguous as exc:
                await self._lose(claim, purchase, exc)
                await self.forget(state.ticket)
                raise
            except GeneratorError as exc:
                await end_purchase(self.journal, claim, PurchaseOutcome.NOT_BILLED, cause=exc)
                await self.forget(state.ticket)
                raise
            if isinstance(answer, GeneratedPicture):
                return await self._verified(claim, purchase, answer, state.ticket, outcome)
            state = answer
            if clock() + state.after_s > give_up_s:
                raise PurchaseUnresolved(
                    f"no picture of {state.ticket.provider_id} from {provider.name} yet",
                    retry_after_s=_told_s(state.failure),
                )

    async def _verified(
        self,
        claim: Claim,
        purchase: Purchase,
        picture: GeneratedPicture,
        ticket: Ticket | None,
        outcome: PurchaseOutcome,
    ) -> BoughtPicture:
        try:
            verified = await self.pixels.verify(picture.data, with_small=self.with_small)
        except PictureProblem as exc:
            usage = picture.usage
            await end_purchase(
                self.journal, claim, PurchaseOutcome.UNUSED, cost_usd=usage.cost_usd, cause=exc
            )
            await self.forget(ticket)
            raise GeneratorFault("the answer contains no usable picture") from exc
        if outcome is PurchaseOutcome.FETCHED:
            emit(PurchaseFetched(provider=picture.usage.provider, model=picture.usage.model))
        if picture.revised_prompt:
            with suppress(QueueUnavailable):
                await self.journal.note(
                    claim.session_id, "prompt_revised", prompt=picture.revised_prompt[:500]
                )
        marked = await self.marking.mark_generated(verified.jpeg, picture)
        return BoughtPicture(
            jpeg=marked.jpeg,
            small=verified.small,
            usage=picture.usage,
            number=purchase.number,
            marked_by=marked.by,
            outcome=outcome,
            ticket=ticket,
            request_id=picture.request_id,
        )

    async def _lose(self, claim: Claim, purchase: Purchase, loss: WearonError) -> None:
        emit(
            PurchaseLost(
                provider=purchase.provider,
                model=purchase.model,
                number=purchase.number,
                detail=str(loss),
            )
        )
        await end_purchase(self.journal, claim, PurchaseOutcome.LOST, cause=loss)


def ticket_of(purchase: Purchase) -> Ticket | None:
    """The ticket of a purchase, if the journal has it."""
    if purchase.ticket is None:
        return None
    return Ticket(
        provider=purchase.provider,
        model=purchase.model,
        provider_id=purchase.ticket,
        marker=purchase.marker,
    )


def _told_s(failure: GeneratorError | None) -> float:
    """The pause that the provider asked for; 0 when none."""
    if isinstance(failure, RateLimited | GeneratorFault):
        return failure.retry_after_s
    return 0.0
