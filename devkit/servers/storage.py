"""
A storage server for the tests, written from the contract: HTTP status 400 for nearly every refusal,
the real one as a string in the body. Objects live in memory.
"""

import hmac
import secrets
import time
from collections.abc import Mapping
from hashlib import sha256
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from devkit.servers.image_api_rules import read_multipart

MAX_BYTES = 10 * 1024 * 1024
MIME_TYPES = frozenset({"image/jpeg", "image/png", "image/webp"})
ODD_CHARACTERS = frozenset('\\{}^%`[]"<>~#|')


def refused(status: int, error: str, message: str, *, http: int = 400) -> JSONResponse:
    body = {"statusCode": str(status), "error": error, "message": message}
    return JSONResponse(body, status_code=http)


class Storage:
    """One server with one private bucket."""

    def __init__(self, bucket: str, service_key: str) -> None:
        self.buckets = {bucket}
        self.objects: dict[str, tuple[str, bytes]] = {}  # bucket/path: content type, bytes
        self.refuses_uploads = False
        self._service_key = service_key
        self._secret = secrets.token_bytes(16)
        self.routes = [
            Route("/storage/v1/bucket/{bucket}", self._bucket),
            Route("/storage/v1/object/sign/{name:path}", self._sign, methods=["POST"]),
            Route("/storage/v1/object/sign/{name:path}", self._serve_signed, methods=["GET"]),
            Route("/storage/v1/object/{name:path}", self._upload, methods=["POST", "PUT"]),
            Route("/storage/v1/object/{name:path}", self._download, methods=["GET"]),
            Route("/storage/v1/object/{bucket}", self._remove, methods=["DELETE"]),
        ]

    async def _bucket(self, request: Request) -> Response:
        if denied := self._denied(request):
            return denied
        bucket = request.path_params["bucket"]
        if bucket not in self.buckets:
            return refused(404, "Bucket not found", "Bucket not found")
        return JSONResponse(
            {
                "id": bucket,
                "name": bucket,
                "owner": "",
                "public": False,
                "type": "STANDARD",
                "file_size_limit": MAX_BYTES,
                "allowed_mime_types": sorted(MIME_TYPES),
                "created_at": "2026-01-01T00:00:00.000Z",
                "updated_at": "2026-01-01T00:00:00.000Z",
            }
        )

    async def _upload(self, request: Request) -> Response:
        name = request.path_params["name"]
        body = await request.body()
        if denied := self._denied(request) or self._wrong_name(name):
            return denied
        if self.refuses_uploads:
            return refused(403, "Unauthorized", "new row violates row-level security policy")
        parts = read_multipart(request.headers.get("content-type", ""), body)
        file = next(part for _, part in parts if part.filename is not None)
        if file.content_type not in MIME_TYPES:
            message = f"mime type {file.content_type} is not supported"
            return refused(415, "invalid_mime_type", message)
        if len(file.data) > MAX_BYTES:
            message = "The object exceeded the maximum allowed size"
            return refused(413, "Payload too large", message)
        if name in self.objects and request.headers.get("x-upsert") != "true":
            return refused(409, "Duplicate", "The resource already exists")
        self.objects[name] = (file.content_type, file.data)
        return JSONResponse({"Id": secrets.token_hex(8), "Key": name})

    async def _download(self, request: Request) -> Response:
        name = request.path_params["name"].removeprefix("authenticated/")
        return self._denied(request) or self._wrong_name(name) or self._object(name)

    async def _remove(self, request: Request) -> Response:
        if denied := self._denied(request):
            return denied
        names = [f"{request.path_params['bucket']}/{p}" for p in (await request.json())["prefixes"]]
        gone = [{"name": name} for name in names if self.objects.pop(name, None)]
        return JSONResponse(gone)

    async def _sign(self, request: Request) -> Response:
        name = request.path_params["name"]
        body: Mapping[str, str] = await request.json()
        if denied := self._denied(request) or self._wrong_name(name):
            return denied
        if name not in self.objects:
            return refused(404, "not_found", "Object not found")
        expires_at = int(time.time()) + int(body["expiresIn"])
        token = f"{expires_at}.{self._mark(name, expires_at)}"
        return JSONResponse({"signedURL": f"/object/sign/{quote(name)}?token={token}"})

    async def _serve_signed(self, request: Request) -> Response:
        name = request.path_params["name"]
        expires_at, _, mark = request.query_params.get("token", "").partition(".")
        if not expires_at.isdigit() or int(expires_at) <= time.time():
            return refused(400, "InvalidJWT", "jwt expired")
        if not hmac.compare_digest(mark, self._mark(name, int(expires_at))):
            return refused(400, "InvalidSignature", "The url signature does not match")
        return self._object(name)

    def _object(self, name: str) -> Response:
        if name not in self.objects:
            return refused(404, "not_found", "Object not found")
        kind, data = self.objects[name]
        return Response(data, media_type=kind)

    def _denied(self, request: Request) -> Response | None:
        if request.headers.get("authorization") == f"Bearer {self._service_key}":
            return None
        return refused(403, "Unauthorized", "signature verification failed")

    def _wrong_name(self, name: str) -> Response | None:
        bucket, _, path = name.partition("/")
        if bucket not in self.buckets:
            return refused(404, "Bucket not found", "Bucket not found")
        if not path or ODD_CHARACTERS & set(path):
            return refused(400, "InvalidKey", f"Invalid key: {path}")
        return None

    def _mark(self, name: str, expires_at: int) -> str:
        return hmac.new(self._secret, f"{name}\n{expires_at}".encode(), sha256).hexdigest()
