"""
The contract of image providers: a picture is bought once, and fetched if an answer was lost.

    marker = await provider.prepare(session_id)          free
    journal: intent (provider, model, marker)
    state = await provider.submit(request, ...)          the paid call
    journal: submitted (ticket)
    state = await provider.collect(ticket)               free, until a picture comes
    picture into storage
    await provider.forget(ticket)                        free

Recovery asks before it buys again. With a ticket it collects. With only an intent it calls `find`,
if the provider has that power: None means that nothing was bought and nothing will be, so
`prepare(session_id, after=marker)` may start the next purchase. Without powers the purchase counts
as lost.
"""

import asyncio
from dataclasses import dataclass
from typing import Protocol

from wearon_cli.core.errors import CallAmbiguous, GeneratorError
from wearon_cli.core.pictures.ports import PreparedPicture


@dataclass(frozen=True, slots=True, kw_only=True)
class TryOnRequest:
    """What a provider needs. Pictures in order: person, garment, accessories."""

    session_id: str
    pictures: tuple[PreparedPicture, ...]
    prompt: str
    model: str | None = None  # only this model; None: the configured ones in order


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """The cost of a purchase, as the provider reports it."""

    model: str
    provider: str = "openai"
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: float | None = None  # the total: the picture, and a model around it
    is_estimate: bool = False  # the provider reported no cost: estimated by our table
    is_preview: bool = False  # a composite, not a generation


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneratedPicture:
    """A provider's unverified picture."""

    data: bytes
    usage: Usage
    revised_prompt: str | None = None  # the prompt that was used, if a model changed ours
    request_id: str | None = None  # the provider's id of this answer, for its support


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldPicture:
    """A bought picture that waits in Redis for whichever worker has its job next."""

    jpeg: bytes
    usage: Usage
    number: int  # of its purchase


@dataclass(frozen=True, slots=True, kw_only=True)
class Powers:
    """What a provider supports after an answer was lost."""

    own_id: bool = False  # the marker is also the provider's id: we choose it
    fetch: bool = False  # `collect` may be repeated, even by another process
    find: bool = False  # `find` looks up a `submit` without an answer


NO_POWERS = Powers()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """A purchase that a provider knows. Plain strings, kept in the journal."""

    provider: str
    model: str
    provider_id: str  # the provider's id of the purchase, or of the place of its result
    marker: str | None = None  # from `prepare`


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """A purchase whose picture is not ready yet."""

    ticket: Ticket
    after_s: float  # ask again then; asking sooner only costs a request
    failure: GeneratorError | None = None  # why the status request failed


class Provider(Protocol):
    """
    Draws pictures of a person wearing garments, for money. One instance serves all jobs of a
    process.

    Every implementation must:

    - bill at most once per `submit`, retry nothing, and never change the model: what is asked is
      what the caller journalled;
    - raise `GeneratorError` or a subclass, nothing else, without any text of the vendor;
    - not modify the request, and keep no reference to it after `submit` has returned.
    """

    @property
    def name(self) -> str:
        """A short, stable name, used in journal, rows, metrics and settings."""

    @property
    def powers(self) -> Powers:
        """The current powers. A power that the vendor refused is removed."""

    async def prepare(self, session_id: str, *, after: str | None = None) -> str | None:
        """
        Get the marker of one purchase. Free; may ask the provider.

        Args:
            session_id: Sent to the provider for its support.
            after: The marker of an earlier purchase for which `find` returned None.

        Returns:
            What to journal before `submit`; None: this provider has no markers.
        """

    async def submit(
        self, request: TryOnRequest, *, model: str, marker: str | None
    ) -> Pending | GeneratedPicture:
        """
        Buy one picture: the paid call.

        Returns:
            `Pending` with the ticket to journal, or the picture from a provider without powers.

        Raises:
            GeneratorUnreachable: The request was not sent.
            CallAmbiguous: It was sent without an answer: it may have been bought.
            GeneratorError: Any other: nothing was bought.
        """

    async def collect(self, ticket: Ticket) -> Pending | GeneratedPicture:
        """
        Ask for the picture of a purchase. Free, and may be repeated.

        A failed status request returns `Pending` with its `failure`: the purchase is unchanged. An
        exception is the end of the purchase.

        Raises:
            CallAmbiguous: It was bought, but its picture cannot be fetched (any more).
            GeneratorError: It ended without a picture.
        """

    async def find(self, *, model: str, marker: str) -> Ticket | None:
        """
        Look up the purchase with this marker. Free, or far below a cent.

        None is certain: no picture was bought under this marker, and none will be by a `submit`
        that has ended. May take some seconds.

        Raises:
            CallAmbiguous: It can no longer be found out: the provider has deleted the marker.
            GeneratorError: The lookup failed this time.
        """

    async def cancel(self, ticket: Ticket) -> None:
        """
        Cancel the drawing, if the provider can. May be repeated; the picture may still be billed.

        Raises:
            GeneratorError: It could not be told this time.
        """

    async def forget(self, ticket: Ticket) -> None:
        """
        Delete what the provider keeps of the purchase: customers' photos. May be repeated.

        Raises:
            GeneratorError: Some of it may remain; try again later.
        """


class OneShot:
    """The other methods of a `Provider` without powers, whose `submit` returns the picture."""

    powers = NO_POWERS

    async def prepare(self, session_id: str, *, after: str | None = None) -> str | None:
        del session_id, after
        return None

    async def collect(self, ticket: Ticket) -> Pending | GeneratedPicture:
        raise CallAmbiguous(f"{ticket.provider} does not store pictures")

    async def find(self, *, model: str, marker: str) -> Ticket | None:
        del model, marker
        raise CallAmbiguous("this provider cannot find a purchase")

    async def cancel(self, ticket: Ticket) -> None:
        """Does nothing: the call has ended."""

    async def forget(self, ticket: Ticket) -> None:
        """Does nothing: the provider keeps nothing."""


async def collected(provider: Provider, state: Pending, *, within_s: float) -> GeneratedPicture:
    """
    Collect until the picture is ready.

    Raises:
        CallAmbiguous: It was not ready in time; the ticket is still valid.
        GeneratorError: As `Provider.collect`.
    """
    clock = asyncio.get_running_loop().time
    give_up_s = clock() + within_s
    while True:
        left_s = give_up_s - clock()
        if left_s <= 0:
            raise CallAmbiguous(f"no picture from {provider.name} in {within_s:g} s")
        await asyncio.sleep(min(state.after_s, left_s))
        answer = await provider.collect(state.ticket)
        if isinstance(answer, GeneratedPicture):
            return answer
        state = answer
