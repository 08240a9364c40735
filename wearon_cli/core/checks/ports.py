"""What checks of pictures need from outside: someone who looks."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from wearon_cli.core.checks.findings import Report


class PictureChecks(Protocol):
    """
    Looks at pictures. Every implementation must:

    - raise nothing: what cannot be looked at is told in `Report.not_checked`;
    - answer within seconds, whatever happens to the process that looks.
    """

    async def inputs(self, pictures: Sequence[bytes]) -> Report:
        """
        Look at the pictures of a job before money.

        Args:
            pictures: JPEG files, prepared; the person's first.
        """

    async def result(
        self, drawn: bytes, *, person: bytes, garment: bytes | None, seen: Mapping[str, Any]
    ) -> Report:
        """
        Look at a drawn picture.

        Args:
            drawn: A JPEG file, verified.
            person: The person's photo, prepared.
            garment: The garment's picture, prepared; None: it is in the person's photo.
            seen: From the report on the inputs; empty: there is none.
        """
