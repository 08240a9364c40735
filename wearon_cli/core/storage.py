"""The private bucket of input and result pictures, as a contract."""

from typing import Final, Protocol

#: Signed result addresses live this long; the platform signs inputs for the same time.
SIGNED_URL_LIFE_S: Final = 21_600


class Storage(Protocol):
    """The private bucket of input and result pictures."""

    async def put(self, path: str, data: bytes, *, content_type: str) -> None:
        """Store an object, replacing one of the same path."""

    async def sign(self, path: str, *, life_s: int) -> str:
        """
        Make an address that serves the object for `life_s` seconds, to anyone who has it.

        Raises:
            ObjectNotFound: There is no such object: this is also the cheap way to look.
        """

    async def get(self, path: str) -> bytes:
        """
        Read an object.

        Raises:
            ObjectNotFound: There is no such object.
        """
