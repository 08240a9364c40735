"""
The bucket of the local stack: files in a folder, behind signed addresses that expire.

An address has the platform's form: `.../object/sign/<bucket>/<path>?token=...`. The token is
`<expiry>.<HMAC>`, made with a secret that all processes of the data folder share. `serve` answers
these addresses with `open_signed`.
"""

import asyncio
import hmac
import os
import re
import secrets
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Final
from urllib.parse import quote

from wearon_cli.adapters.rows.object_paths import checked_path
from wearon_cli.core.errors import ObjectNotFound, StoreRefused, StoreUnavailable

#: The bucket's own rules, as the platform's.
MAX_OBJECT_BYTES: Final = 10 * 1024 * 1024
CONTENT_TYPES: Final = frozenset({"image/jpeg", "image/png", "image/webp"})
#: `serve` answers addresses below this.
ROUTE: Final = "/files"
_SECRET_BYTES: Final = 32
_EXPIRY: Final = re.compile(r"[0-9]{1,12}")


class LocalStorage:
    """Implements `Storage`."""

    def __init__(
        self,
        folder: Path,
        *,
        base_url: str,
        secret_path: Path,
        bucket: str = "virtual-tryon-images",
        clock: Callable[[], float] = time.time,
    ) -> None:
        """
        Args:
            folder: Holds the objects; made when first written to.
            base_url: Address of `serve`, `http://host:port`.
            secret_path: Holds the signing secret; created when missing, readable by the owner only.
            bucket: Appears in the addresses only.
            clock: Seconds since the epoch.
        """
        self._folder = folder
        self._base_url = base_url.rstrip("/")
        self._secret_path = secret_path
        self._prefix = f"object/sign/{bucket}/"
        self._clock = clock
        self._secret: bytes | None = None

    async def put(self, path: str, data: bytes, *, content_type: str) -> None:
        """See `Storage.put`. A reader sees the old object or the new one, never a part."""
        target = self._folder / checked_path(path)
        if content_type not in CONTENT_TYPES:
            raise StoreRefused(f"the bucket does not accept {content_type[:40]}", vendor_code="415")
        if len(data) > MAX_OBJECT_BYTES:
            raise StoreRefused(
                f"{len(data)} bytes, more than the bucket accepts", vendor_code="413"
            )
        await asyncio.to_thread(_replace, target, data)

    async def sign(self, path: str, *, life_s: int) -> str:
        """See `Storage.sign`."""
        if not await asyncio.to_thread((self._folder / checked_path(path)).is_file):
            raise ObjectNotFound
        expires_at = int(self._clock()) + life_s
        token = f"{expires_at}.{self._mark(path, expires_at)}"
        return f"{self._base_url}{ROUTE}/{self._prefix}{quote(path)}?token={token}"

    async def get(self, path: str) -> bytes:
        """See `Storage.get`."""
        return await asyncio.to_thread(_read, self._folder / checked_path(path))

    async def remove(self, path: str) -> None:
        """See `Storage.remove`."""
        await asyncio.to_thread(_unlink, self._folder / checked_path(path))

    def open_signed(self, path: str, token: str) -> bytes:
        """
        Bytes for a signed address. Blocks: call it on a worker thread.

        Args:
            path: What follows `/files/` in the address, percent-decoded.
            token: The address's `token`.

        Raises:
            StoreRefused: The token is not for this path, was changed, or has expired.
            ObjectNotFound: There is no such object any more.
        """
        if not path.startswith(self._prefix):
            raise StoreRefused("this is not an address of this server")
        path = checked_path(path.removeprefix(self._prefix))
        expiry, _, mark = token.partition(".")
        expires_at = int(expiry) if _EXPIRY.fullmatch(expiry) else 0
        genuine = hmac.compare_digest(mark.encode(), self._mark(path, expires_at).encode())
        if not genuine or expires_at <= self._clock():
            raise StoreRefused("this address has expired or was changed", vendor_code="400")
        return _read(self._folder / path)

    def _mark(self, path: str, expires_at: int) -> str:
        if self._secret is None:
            self._secret = _shared_secret(self._secret_path)
        digest = hmac.digest(self._secret, f"{expires_at}\n{path}".encode(), sha256)
        return urlsafe_b64encode(digest).decode().rstrip("=")


def media_type(data: bytes) -> str:
    """Content type of a stored picture, by its first bytes."""
    if data.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    return "application/octet-stream"


def _replace(target: Path, data: bytes) -> None:
    part = target.with_name(f".{target.name}.{secrets.token_hex(8)}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(data)
        part.replace(target)
    except OSError as exc:
        part.unlink(missing_ok=True)
        raise _folder_unusable() from exc


def _read(target: Path) -> bytes:
    try:
        return target.read_bytes()
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as exc:
        raise ObjectNotFound from exc
    except OSError as exc:
        raise _folder_unusable() from exc


def _unlink(target: Path) -> None:
    try:
        target.unlink(missing_ok=True)
    except OSError as exc:
        raise _folder_unusable() from exc


def _shared_secret(path: Path) -> bytes:
    """The secret of this data folder; if several processes create it at once, one of them wins."""
    try:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            part = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
            part.touch(mode=0o600)
            part.write_bytes(secrets.token_bytes(_SECRET_BYTES))
            try:
                os.link(part, path)  # fails, where a rename would replace another's
            except FileExistsError:
                pass
            finally:
                part.unlink()
        secret = path.read_bytes()
    except OSError as exc:
        raise _folder_unusable() from exc
    if len(secret) < _SECRET_BYTES:
        raise StoreRefused(
            "the signing secret of the data folder is damaged",
            hint="remove it: a new one is created, and existing signed addresses stop working",
        )
    return secret


def _folder_unusable() -> StoreUnavailable:
    return StoreUnavailable(
        "the data folder cannot be used",
        hint="check that it is writable and the disk is not full",
    )
