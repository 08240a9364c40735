"""The input pictures of a session: where they are, and whether they still exist."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from wearon_cli.core.errors import ObjectNotFound, StoreRefused
from wearon_cli.core.session import Channel, Session
from wearon_cli.core.storage import SIGNED_URL_LIFE_S, Storage, stored_path

#: What the platform overwrites the addresses of a b2c row with, 6 hours after it was created.
EXPIRED: Final = "expired"


class InputKind(StrEnum):
    """What a picture shows."""

    PERSON = "person"
    GARMENT = "garment"
    ACCESSORY = "accessory"


class InputState(StrEnum):
    """Whether a picture is still available."""

    STORED = "stored"  # in our bucket
    ELSEWHERE = "elsewhere"  # on another server: only a worker's fetch will show
    GONE = "gone"  # deleted, or its place is no longer known


@dataclass(frozen=True, slots=True, kw_only=True)
class InputPicture:
    """One input picture."""

    kind: InputKind
    state: InputState
    path: str | None = None  # in our bucket
    url: str | None = None  # freshly signed, or another server's; grants access: never shown


@dataclass(frozen=True, slots=True, kw_only=True)
class InputPlace:
    """Where a picture is, or was. With neither path nor address, its place is no longer known."""

    kind: InputKind
    path: str | None = None  # in our bucket
    url: str | None = None  # another server's; grants access: never shown


@dataclass(frozen=True, slots=True, kw_only=True)
class InputReader:
    """Looks the pictures up. Changes nothing."""

    storage: Storage
    bucket: str
    origin: str | None = None  # of our storage; None: any (a local stack's port changes)

    async def read(
        self, row: Session, *, kept_paths: Sequence[str] = (), payload_urls: Sequence[str] = ()
    ) -> tuple[InputPicture, ...]:
        """
        The pictures in the contract's order: person, garment, accessories.

        Args:
            row: The session.
            kept_paths: From its record: the paths of its pictures in our bucket, in order. They
                replace addresses that the platform overwrote, and add the accessories that a b2b
                row does not have.
            payload_urls: From a payload of the session; they replace the row's.

        Raises:
            StoreUnavailable: Storage does not answer.
        """
        places = self.places(row, kept_paths=kept_paths, payload_urls=payload_urls)
        return tuple(await asyncio.gather(*map(self._look, places)))

    def places(
        self, row: Session, *, kept_paths: Sequence[str] = (), payload_urls: Sequence[str] = ()
    ) -> list[InputPlace]:
        """As `read`, without checking whether they exist."""
        urls = tuple(payload_urls) or row_urls(row)
        places = self._places(urls, kept_paths, longer=row.channel is Channel.B2B)
        has_garment = bool(payload_urls) or row.outfit_image_url is not None or len(urls) == 1
        return [
            InputPlace(kind=_kind(number, has_garment=has_garment), path=path, url=url)
            for number, (path, url) in enumerate(places)
        ]

    def _places(
        self, urls: Sequence[str], kept: Sequence[str], *, longer: bool
    ) -> list[tuple[str | None, str | None]]:
        """(path in our bucket, address on another server) of each picture; neither when unknown."""
        paths = [stored_path(url, bucket=self.bucket, origin=self.origin) for url in urls]
        ours = [i for i, url in enumerate(urls) if paths[i] or url == EXPIRED]
        foreign = len(ours) < len(urls)
        fits = len(kept) >= len(ours) and all(
            paths[i] in {None, at} for i, at in zip(ours, kept, strict=False)
        )
        if fits:
            for i, at in zip(ours, kept, strict=False):
                paths[i] = at
        places: list[tuple[str | None, str | None]] = [
            (path, None) if path or url == EXPIRED else (None, url)
            for path, url in zip(paths, urls, strict=True)
        ]
        further = kept[len(ours) :] if fits and longer and not foreign else ()
        return [*places, *((path, None) for path in further)]

    async def _look(self, place: InputPlace) -> InputPicture:
        kind, path, url = place.kind, place.path, place.url
        if url is not None:
            return InputPicture(kind=kind, state=InputState.ELSEWHERE, url=url)
        gone = InputPicture(kind=kind, state=InputState.GONE, path=path)
        if path is None:
            return gone
        try:
            signed = await self.storage.sign(path, life_s=SIGNED_URL_LIFE_S)
        except (ObjectNotFound, StoreRefused):  # refused: not a valid object path
            return gone
        return InputPicture(kind=kind, state=InputState.STORED, path=path, url=signed)


def row_urls(row: Session) -> tuple[str, ...]:
    """The row's input pictures in the contract's order: person, garment, accessories."""
    garment = (row.outfit_image_url,) if row.outfit_image_url else ()
    accessories = (str(each["url"]) for each in row.accessories if each.get("url"))
    return (row.model_image_url, *garment, *accessories)


def _kind(number: int, *, has_garment: bool) -> InputKind:
    if number == 0:
        return InputKind.PERSON
    return InputKind.GARMENT if number == 1 and has_garment else InputKind.ACCESSORY
