"""The port that looks for people and colours in pictures."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from wearon_cli.core.checks.findings import Report


class PictureChecks(Protocol):
    """
    Checks pictures. Every implementation must:

    - raise nothing: what cannot be checked is in `Report.not_checked`;
    - answer within seconds, whatever happens to the process that checks.
    """

    async def inputs(self, pictures: Sequence[bytes]) -> Report:
        """
        Check the pictures of a job before money is spent.

        Args:
            pictures: The small copies of the prepared ones; the person's first.
        """

    async def result(
        self, drawn: bytes, *, person: bytes, garment: bytes | None, seen: Mapping[str, Any]
    ) -> Report:
        """
        Check a generated picture.

        Args:
            drawn: A JPEG file, verified; of any size.
            person: The person's photo, its small copy.
            garment: The same of the garment's; None: it is in the person's photo.
            seen: From the report on the inputs; empty: there is none.
        """
