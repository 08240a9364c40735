"""The private bucket in Supabase Storage. Every call here is idempotent."""

from storage3._async.file_api import AsyncBucketProxy

from wearon_cli.adapters.rows.object_paths import checked_path
from wearon_cli.adapters.supabase.client import Supabase
from wearon_cli.adapters.supabase.errors import not_supabase
from wearon_cli.core.errors import ObjectNotFound, StoreRefused


class SupabaseStorage:
    """Implements `Storage`."""

    def __init__(self, supabase: Supabase, *, bucket: str) -> None:
        self._supabase = supabase
        self._bucket = bucket

    async def put(self, path: str, data: bytes, *, content_type: str) -> None:
        """See `Storage.put`."""
        key = checked_path(path)

        async def send() -> None:
            # Both options must be given, as strings: the client's defaults are text and no upsert.
            await self._objects().upload(
                key, data, {"content-type": content_type, "upsert": "true"}
            )

        try:
            await self._supabase.repeatable("storage put", send)
        except ObjectNotFound as exc:  # when writing, "not found" means the bucket
            raise StoreRefused(
                "storage put: there is no such bucket",
                hint="create the private bucket, or set WEARON_BUCKET to another one",
                vendor_code=exc.vendor_code,
            ) from exc

    async def sign(self, path: str, *, life_s: int) -> str:
        """See `Storage.sign`."""
        key = checked_path(path)

        async def send() -> str:
            url = (await self._objects().create_signed_url(key, life_s))["signedURL"]
            if url is None or not url.startswith("http"):
                raise not_supabase("storage sign")
            return url

        return await self._supabase.repeatable("storage sign", send)

    async def get(self, path: str) -> bytes:
        """See `Storage.get`."""
        key = checked_path(path)

        async def send() -> bytes:
            return await self._objects().download(key)

        return await self._supabase.repeatable("storage get", send)

    async def remove(self, path: str) -> None:
        """See `Storage.remove`. The server answers with what it removed; removing nothing is not an
        error.
        """
        key = checked_path(path)

        async def send() -> None:
            await self._objects().remove([key])

        await self._supabase.repeatable("storage remove", send)

    def _objects(self) -> AsyncBucketProxy:
        return self._supabase.client.storage.from_(self._bucket)
