"""
Buys one picture outside any session, for a comparison or to probe a provider.

There is no journal here, so nothing is bought twice: a lost picture is searched for, then reported.
"""

import asyncio
from collections.abc import Awaitable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final

from wearon_cli.core.errors import CallAmbiguous, GeneratorError, PictureProblem, WearonError
from wearon_cli.core.jobs.offers import Offer
from wearon_cli.core.pictures.marking import MarkedBy, Marking
from wearon_cli.core.pictures.marks import Marks, read_marks
from wearon_cli.core.pictures.ports import PixelPool
from wearon_cli.core.providers import GeneratedPicture, Pending, Ticket, TryOnRequest, collected

#: A reported cost that differs from our price by more than this share is flagged.
PRICE_TOLERANCE: Final = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Retrieval:
    """Whether a purchase can be fetched again. None: its provider does not claim to support it."""

    found_while_generated: bool | None = None  # by our marker, right after the purchase
    found_after: bool | None = None  # by our marker, once its picture was there
    fetched_again: bool | None = None  # by its ticket: the same picture

    @property
    def works(self) -> bool | None:
        answers = (self.found_while_generated, self.found_after, self.fetched_again)
        told = [answer for answer in answers if answer is not None]
        return all(told) if told else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One attempted purchase, and its outcome."""

    name: str  # PROVIDER:MODEL
    took_s: float
    expected_usd: float | None  # by our table; None: the model is not in it
    picture: GeneratedPicture | None = None
    jpeg: bytes = b""  # the picture verified and marked: what a job would store
    marked_by: MarkedBy | None = None
    error: WearonError | None = None  # why there is none
    retrieval: Retrieval = Retrieval()

    @property
    def cost_usd(self) -> float | None:
        """The reported cost; None: not reported, or there is no picture."""
        return self.picture.usage.cost_usd if self.picture else None

    @property
    def price_differs(self) -> bool:
        """The reported cost differs from our table."""
        if self.picture is None or self.picture.usage.is_estimate:
            return False
        if self.cost_usd is None or self.expected_usd is None:
            return False
        return abs(self.cost_usd - self.expected_usd) > PRICE_TOLERANCE * self.expected_usd

    @property
    def marks(self) -> Marks:
        """The marks in the received bytes."""
        return read_marks(self.picture.data) if self.picture else Marks()

    @property
    def keeps_marks(self) -> bool:
        """A job would store the picture with the marks it arrived with."""
        return not self.marks.any or read_marks(self.jpeg) == self.marks


@dataclass(frozen=True, slots=True, kw_only=True)
class Trials:
    """Tries offers. Nothing here touches a session, a credit or the book of purchases."""

    pixels: PixelPool
    marking: Marking
    within_s: float  # one purchase, start to end

    async def try_out(
        self,
        name: str,
        offer: Offer,
        request: TryOnRequest,
        *,
        expected_usd: float | None,
        look_again: bool = False,
    ) -> Trial:
        """
        Buy one picture; on failure the trial says why.

        Args:
            name: The trial's name.
            offer: Who draws.
            request: What.
            expected_usd: Its price in our table; None: not in the table.
            look_again: Also test whether the purchase can be found and fetched again.
        """
        clock = asyncio.get_running_loop().time
        purchase = _Purchase(
            offer=offer, request=request, within_s=self.within_s, look_again=look_again
        )
        started_s = clock()
        trial = Trial(name=name, took_s=0.0, expected_usd=expected_usd)
        try:
            picture = await purchase.picture()
            trial = replace(trial, picture=picture, took_s=clock() - started_s)
            if look_again:
                trial = replace(trial, retrieval=await purchase.retrieval(picture))
            verified = await self.pixels.verify(picture.data)
            marked = await self.marking.mark_generated(verified.jpeg, picture)
            trial = replace(trial, jpeg=marked.jpeg, marked_by=marked.by)
        except (GeneratorError, PictureProblem) as exc:
            trial = replace(trial, error=exc, took_s=trial.took_s or clock() - started_s)
        await purchase.forget()
        return trial


@dataclass(slots=True)
class _Purchase:
    """One running purchase."""

    offer: Offer
    request: TryOnRequest
    within_s: float
    look_again: bool
    marker: str | None = None
    ticket: Ticket | None = None
    found_while_generated: bool | None = None

    async def picture(self) -> GeneratedPicture:
        """
        Buy the picture, and wait for it.

        Raises:
            GeneratorError: There is none.
        """
        state = await self._submitted()
        if isinstance(state, GeneratedPicture):
            return state
        self.ticket = state.ticket
        if self.look_again:
            self.found_while_generated = await self._is_found()
        return await collected(self.offer.provider, state, within_s=self.within_s)

    async def retrieval(self, picture: GeneratedPicture) -> Retrieval:
        """Fetch the picture again, as a job does after its worker was killed."""
        again: bool | None = None
        if self.ticket is not None:
            again = await _told(self._is_same(picture, self.ticket))
        return Retrieval(
            found_while_generated=self.found_while_generated,
            found_after=await self._is_found(),
            fetched_again=again,
        )

    async def forget(self) -> None:
        """Have the provider delete its data: they are photos of people."""
        if self.ticket is not None:
            with suppress(GeneratorError):
                await self.offer.provider.forget(self.ticket)

    async def _submitted(self) -> Pending | GeneratedPicture:
        provider = self.offer.provider
        before = provider.powers
        try:
            return await self._submit()
        except CallAmbiguous:
            return await self._look_up()
        except GeneratorError:
            if provider.powers == before:
                raise
        return await self._submit()  # it does not support markers after all, and nothing was bought

    async def _submit(self) -> Pending | GeneratedPicture:
        provider = self.offer.provider
        self.marker = await provider.prepare(self.request.session_id)
        return await provider.submit(self.request, model=self.offer.model_id, marker=self.marker)

    async def _look_up(self) -> Pending:
        """The answer was lost: find what was bought."""
        provider = self.offer.provider
        if self.marker is not None and provider.powers.find:
            ticket = await provider.find(model=self.offer.model_id, marker=self.marker)
            if ticket is not None:
                return Pending(ticket=ticket, after_s=0.0)
        raise CallAmbiguous

    async def _is_found(self) -> bool | None:
        provider = self.offer.provider
        if self.marker is None or not provider.powers.find:
            return None
        return await _told(self._finds(self.marker))

    async def _finds(self, marker: str) -> bool:
        found = await self.offer.provider.find(model=self.offer.model_id, marker=marker)
        return found is not None

    async def _is_same(self, picture: GeneratedPicture, ticket: Ticket) -> bool:
        again = await self.offer.provider.collect(ticket)
        return isinstance(again, GeneratedPicture) and again.data == picture.data


async def _told(question: Awaitable[bool]) -> bool:
    """The answer; False when there is none."""
    try:
        return await question
    except GeneratorError:
        return False
