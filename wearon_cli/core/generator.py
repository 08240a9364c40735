"""One call for one picture: how jobs ask for a picture while they journal no tickets yet."""

from typing import Protocol

from wearon_cli.core.providers import GeneratedPicture, TryOnRequest, Usage

__all__ = ["GeneratedPicture", "Generator", "TryOnRequest", "Usage"]


class Generator(Protocol):
    """
    Draws a person wearing garments. Every implementation must:

    - bill at most once a call, and never repeat inside, except with another model after
      `ModelUnavailable`;
    - raise `GeneratorError` or a subclass, nothing else; `CallAmbiguous` whenever the request
      left and no answer came back;
    - leave the request untouched, so that the caller may send it again.
    """

    async def generate(self, request: TryOnRequest) -> GeneratedPicture: ...
