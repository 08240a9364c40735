"""The ports of picture work: a fetcher, and processes that read pictures."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

#: Called with the announced bytes of a picture before it is read, and with those of each part that
#: exceeds them. What it raises ends the reading.
Reserve = Callable[[int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedPicture:
    """An input picture made safe and small: sRGB JPEG, upright, no metadata."""

    jpeg: bytes
    small: bytes  # the same as a JPEG of about 256 px, for the checks
    width_px: int
    height_px: int


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedPicture:
    """A generator's answer that decodes."""

    jpeg: bytes  # the file as it came, or re-encoded
    small: bytes | None  # as of a prepared picture; None: was not asked for


class Fetcher(Protocol):
    """Downloads input pictures from untrusted addresses."""

    async def fetch(self, url: str) -> bytes:
        """
        Fetch one complete picture. Never follows a redirect, never reads past the size limit.

        Raises:
            PictureForbidden: The address is not one that this worker may connect to.
            PictureUnavailable: The server answers, but the picture does not exist (any more).
            PictureTooLarge: It has more bytes than allowed.
            PictureUnusable: By its type or content it is not a JPEG, PNG or WebP picture.
            FetchFailed: There was no answer.
        """


class PixelPool(Protocol):
    """
    Works on untrusted pictures. Every implementation must:

    - by the header, refuse pictures that would take too much memory;
    - limit what a picture does to its reader (crash, endless work, memory) to that call.

    A cancelled call has no effect.
    """

    async def prepare(self, data: bytes, *, max_px: int, longest_px: int = 1024) -> PreparedPicture:
        """
        Make an input picture safe and small: its longer side is at most `longest_px`.

        Raises:
            PictureUnusable: It cannot be read, or reading it went wrong.
            WearonError: Something unexpected.
        """

    async def verify(self, data: bytes, *, with_small: bool = False) -> VerifiedPicture:
        """
        Check a generator's answer, and return it as a JPEG file; also as a small copy, if wanted.

        Raises:
            PictureUnusable: It cannot be read, or reading it went wrong.
            WearonError: Something unexpected.
        """
