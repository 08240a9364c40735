"""What picture work needs from outside: a fetcher, and processor time."""

from collections.abc import Callable
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
    """Runs blocking pixel work on as many threads as the machine has cores."""

    async def run[T](self, work: Callable[[], T]) -> T: ...
