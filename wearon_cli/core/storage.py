"""The contract of the private bucket for input and result pictures."""

import re
from typing import Final, Protocol
from urllib.parse import unquote, urlsplit

#: Lifetime of signed result addresses; the platform signs inputs for the same time.
SIGNED_URL_LIFE_S: Final = 21_600
#: A signed or public address of an object, as the storage server writes it.
_STORED: Final = re.compile(r"/object/(?:sign|public|authenticated)/(?P<bucket>[^/]+)/(?P<path>.+)")


class Storage(Protocol):
    """The private bucket of input and result pictures."""

    async def put(self, path: str, data: bytes, *, content_type: str) -> None:
        """Store an object, replacing one of the same path."""

    async def sign(self, path: str, *, life_s: int) -> str:
        """
        Make an address that serves the object for `life_s` seconds, to anyone who has it.

        Raises:
            ObjectNotFound: There is no such object: this is also the cheapest check.
        """

    async def get(self, path: str) -> bytes:
        """
        Read an object.

        Raises:
            ObjectNotFound: There is no such object.
        """

    async def remove(self, path: str) -> None:
        """Delete an object, if it is there."""


def stored_path(url: str, *, bucket: str, origin: str | None = None) -> str | None:
    """
    Path inside our bucket that an address serves; None when it is not an address of ours.

    Args:
        url: An input or result address from a row or a payload, or the platform's text `expired`.
        bucket: Our bucket.
        origin: Scheme and host of our storage; None: any (a local stack's port changes).
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    if origin and f"{parts.scheme}://{parts.netloc}" != origin.rstrip("/"):
        return None
    found = _STORED.search(parts.path)
    if found is None or found["bucket"] != bucket:
        return None
    return unquote(found["path"])


def previous_path(result_path: str) -> str:
    """The path to which a redraw moves the picture that it replaces."""
    return f"{result_path.removesuffix('.jpg')}.previous.jpg"


def swap_path(result_path: str) -> str:
    """The path of the picture that an undo replaces while the two are being swapped."""
    return f"{result_path.removesuffix('.jpg')}.swap.jpg"
