"""
The image providers, as a contract: a picture is bought once, and fetched when an answer is lost.

    marker = await provider.prepare(session_id)          free
    journal: intent (provider, model, marker)
    state = await provider.submit(request, ...)          the paid call
    journal: submitted (ticket)
    state = await provider.collect(ticket)               free, until a picture comes
    picture into storage
    await provider.forget(ticket)                        free

Recovery asks before it buys again. With a ticket it collects. With an intent alone it calls `find`,
where the provider has that power: None means that nothing was bought and nothing will be, so
`prepare(session_id, after=marker)` may begin the next purchase. Without powers the loss is counted.
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
    """What a purchase used up, as told by the provider."""

    model: str
    provider: str = "openai"
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: float | None = None  # all of it: the picture, and a model around it
    is_estimate: bool = False  # the provider did not tell the cost: by our table
    is_preview: bool = False  # a composite, not a generation


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneratedPicture:
    """A provider's answer, unverified."""

    data: bytes
    usage: Usage
    revised_prompt: str | None = None  # what was drawn from, when a model changed our words
    request_id: str | None = None  # the provider's id of this answer, for its support


@dataclass(frozen=True, slots=True, kw_only=True)
class Powers:
    """What a provider lets a careful buyer do after an answer was lost."""

    own_id: bool = False  # the marker is the provider's id too: chosen by us
    fetch: bool = False  # `collect` may be repeated, also by another process
    find: bool = False  # `find` tells what became of a `submit` without an answer


NO_POWERS = Powers()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """A purchase that a provider knows. Plain strings, to be kept in the journal."""

    provider: str
    model: str
    provider_id: str  # the provider's id of the purchase, or of where its result will appear
    marker: str | None = None  # from `prepare`


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """A purchase whose picture is not there yet."""

    ticket: Ticket
    after_s: float  # ask again then; asking sooner only costs a request
    failure: GeneratorError | None = None  # why the question could not be answered this time


class Provider(Protocol):
    """
    Draws pictures of a person wearing garments, for money. One instance serves all jobs of a
    process.

    Every implementation must:

    - bill at most once a `submit`, repeat nothing inside, and change no model: who is asked is what
      the caller wrote down;
    - raise `GeneratorError` or a subclass, nothing else, with no text of the vendor's in it;
    - leave the request untouched, and keep no reference to it after `submit` has returned.
    """

    @property
    def name(self) -> str:
        """Short and stable: journal, rows, metrics and settings use it."""

    @property
    def powers(self) -> Powers:
        """What holds right now. A power that the vendor refused is taken back."""

    async def prepare(self, session_id: str, *, after: str | None = None) -> str | None:
        """
        Get the marker of one purchase. Free; may ask the provider.

        Args:
            session_id: Written into what the provider keeps, for its support.
            after: The marker of an earlier purchase that `find` has answered None to.

        Returns:
            What to journal before `submit`; None: this provider marks nothing.
        """

    async def submit(
        self, request: TryOnRequest, *, model: str, marker: str | None
    ) -> Pending | GeneratedPicture:
        """
        Buy one picture: the paid call.

        Returns:
            `Pending` with the ticket to journal, or the picture from a provider without powers.

        Raises:
            GeneratorUnreachable: The request never left.
            CallAmbiguous: It left and no answer came: it may have been bought.
            GeneratorError: Any other: nothing was bought.
        """

    async def collect(self, ticket: Ticket) -> Pending | GeneratedPicture:
        """
        Ask for the picture of a purchase. Free, and may be repeated.

        A question that fails is `Pending` with its `failure`: the purchase is as it was. An error
        is the end of the purchase.

        Raises:
            CallAmbiguous: It was bought, and its picture cannot be had (any more).
            GeneratorError: Any other: it ended without a picture.
        """

    async def find(self, *, model: str, marker: str) -> Ticket | None:
        """
        Look for the purchase with this marker. Free, or far below a cent.

        None is certain: no picture was bought under this marker, and none will be by a `submit`
        that has ended. May take some seconds.

        Raises:
            CallAmbiguous: It can never be told: the provider no longer keeps the marker.
            GeneratorError: Any other: it could not be told this time.
        """

    async def cancel(self, ticket: Ticket) -> None:
        """
        Stop drawing, if the provider can. May be repeated; the picture may be billed all the same.

        Raises:
            GeneratorError: It could not be told this time.
        """

    async def forget(self, ticket: Ticket) -> None:
        """
        Delete what the provider keeps of the purchase: customers' photos. May be repeated.

        Raises:
            GeneratorError: Something may be left; ask again later.
        """


class OneShot:
    """The rest of a `Provider` without powers: `submit` answers with the picture, or never."""

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
        """Nothing to stop: the call has ended."""

    async def forget(self, ticket: Ticket) -> None:
        """Nothing is kept."""


async def collected(provider: Provider, state: Pending, *, within_s: float) -> GeneratedPicture:
    """
    Collect until the picture is there.

    Raises:
        CallAmbiguous: It is not there in time; the ticket stays good.
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
