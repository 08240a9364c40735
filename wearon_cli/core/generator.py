"""The image generator, as a contract: request, answer, usage."""

from dataclasses import dataclass
from typing import Protocol

from wearon_cli.core.pictures.ports import PreparedPicture


@dataclass(frozen=True, slots=True, kw_only=True)
class TryOnRequest:
    """What a generator needs. Pictures in order: person, garment, accessories."""

    session_id: str
    pictures: tuple[PreparedPicture, ...]
    prompt: str
    model: str | None = None  # only this model; None: the configured ones in order


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What a generation used up, as reported by the generator."""

    model: str
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: float | None = None
    is_preview: bool = False  # a composite, not a generation


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneratedPicture:
    """The generator's answer, unverified."""

    data: bytes
    usage: Usage


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
