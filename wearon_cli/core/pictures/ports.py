"""What picture work needs from outside: a fetcher, and processes to read pictures in."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedPicture:
    """An input picture made safe and small: sRGB JPEG, upright, no metadata."""

    jpeg: bytes
    width_px: int
    height_px: int


class Fetcher(Protocol):
    """Downloads input pictures from untrusted addresses."""

    async def fetch(self, url: str) -> bytes:
        """
        Fetch one picture whole. Never follows a redirect, never reads past the size limit.

        Raises:
            PictureForbidden: The address points where this worker does not go.
            PictureUnavailable: The address answers, but has no such picture (any more).
            PictureTooLarge: More bytes than allowed.
            PictureUnusable: Not a JPEG, PNG or WebP picture, by type and by content.
            FetchFailed: No answer this time.
        """


class PixelPool(Protocol):
    """
    Works on untrusted pictures. Every implementation must:

    - refuse by the header what would take too much memory;
    - let what a picture does to its reader (death, endless work, memory) hit that call alone.

    A call that is cancelled leaves no trace.
    """

    async def prepare(self, data: bytes, *, max_px: int, longest_px: int = 1024) -> PreparedPicture:
        """
        Make an input picture safe and small: its longer side is at most `longest_px`.

        Raises:
            PictureUnusable: It cannot be read, or reading it went wrong.
            WearonError: Something unexpected.
        """

    async def verify(self, data: bytes) -> bytes:
        """
        Check a generator's answer, and return it as a JPEG file.

        Raises:
            PictureUnusable: It cannot be read, or reading it went wrong.
            WearonError: Something unexpected.
        """
