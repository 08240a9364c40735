"""The answers of the loopback image API, intact or damaged."""

import asyncio
import base64
import io
import json
import struct
import time
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import httpx
from PIL import Image, ImageOps
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from devkit.servers.image_api_faults import REJECTIONS
from devkit.servers.image_api_rules import Edit

FORMATS = {"jpeg": "JPEG", "png": "PNG", "webp": "WEBP"}
PAGE = "<html><head><title>Bad gateway</title></head><body>cloudflare</body></html>"


@dataclass(slots=True, kw_only=True)
class ApiCall:
    """One request to draw, as it ended."""

    number: int
    at_s: float  # monotonic
    session: str
    client: str = ""  # address and port: one of these is one connection
    model: str = ""
    pictures: int = 0
    status: int = 0  # 0: not answered yet, or never
    fault: str | None = None
    billed: bool = False
    cost_usd: float = 0.0  # if it was billed


def page(status: int = 200) -> Response:
    """A page of an edge server, not of the API."""
    return HTMLResponse(PAGE, status)


async def drawn(request: Request, call: ApiCall, edit: Edit) -> Response:
    """The answer to a purchase, damaged according to the call's fault."""
    if call.fault == "hang":
        while (await request.receive())["type"] != "http.disconnect":
            pass
    if call.fault in {"hang", "drop_after"}:
        return await drop(request)
    if call.fault == "html_200":
        return page()
    if call.fault == "refused_in_200":
        return JSONResponse(REJECTIONS["moderation_input"]().body())
    if call.fault == "error_in_200":
        return JSONResponse(REJECTIONS["server_error"]().body())
    body = _body(call, edit)
    if call.fault == "truncated_body":
        return await drop(request, start=body[: len(body) // 2], length=len(body))
    return Response(body, media_type="application/json")


def _body(call: ApiCall, edit: Edit) -> bytes:
    output_format = "png" if call.fault == "png_answer" else edit.output_format
    stamp = f"session={call.session} call={call.number}".encode()
    picture = stamped_picture(edit.size, output_format, stamp, marks=content_credentials())
    encoded = base64.b64encode(picture).decode()
    spoilt = {
        "truncated_base64": encoded[: len(encoded) // 2 - 1],
        "not_base64": "<not base64>",
        "not_a_picture": base64.b64encode(b"this is no picture").decode(),
    }
    item = {"b64_json": spoilt.get(call.fault or "", encoded)}
    document: dict[str, Any] = {
        "created": int(time.time()),
        "data": [] if call.fault == "empty_data" else [item] * edit.n,
        "size": f"{edit.size[0]}x{edit.size[1]}",
        "quality": edit.quality,
        "output_format": output_format,
        "background": "opaque",
        "usage": edit.usage(),
    }
    if call.fault == "no_data":
        document = {"created": document["created"]}
    return json.dumps(document).encode()


def content_credentials() -> bytes:
    """The segment of a JPEG that holds content credentials: its boxes, without a signature."""
    described = struct.pack(">I4s", 8 + 16 + 1 + 5, b"jumd") + b"c2pa" + bytes(12) + b"\x03c2pa\0"
    store = struct.pack(">I4s", 8 + len(described), b"jumb") + described
    body = b"JP" + struct.pack(">HI", 1, 1) + store
    return b"\xff\xeb" + struct.pack(">H", len(body) + 2) + body


def stamped_picture(
    size: tuple[int, int], output_format: str, stamp: bytes, *, marks: bytes = b""
) -> bytes:
    """A picture of this size; a JPEG carries the stamp as its comment, and these segments."""
    drawn = drawing(size, output_format)
    if output_format != "jpeg":
        return drawn
    comment = b"\xff\xfe" + (len(stamp) + 2).to_bytes(2, "big") + stamp
    return drawn[:2] + comment + marks + drawn[2:]


@cache
def drawing(size: tuple[int, int], output_format: str) -> bytes:
    """About as large as a photo: the bundled person in other colours, with grain."""
    file = files("wearon_cli.assets").joinpath("person.jpg").open("rb")
    with file, Image.open(file) as person:
        image = ImageOps.fit(person.convert("RGB"), size)
    width, height = size
    left, top = width // 4, height // 5
    trunk = image.crop((left, top, width - left, height // 2))
    image.paste(ImageOps.invert(trunk), (left, top))
    image = Image.blend(image, Image.effect_noise(size, 24).convert("RGB"), 0.2)
    held = io.BytesIO()
    image.save(held, FORMATS[output_format], quality=90)
    return held.getvalue()


class _Dropped(Response):
    """Sends less than it promised, or nothing, and closes the connection."""

    def __init__(
        self, transport: asyncio.Transport | None, start: bytes, length: int, kind: str
    ) -> None:
        super().__init__(status_code=200 if start else 499)
        self._transport = transport
        self._start = start
        self._length = length
        self._kind = kind

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if self._transport is None:  # in process: the exception that the client would raise
            raise httpx.RemoteProtocolError("the peer closed the connection")
        if self._start:
            headers = [
                (b"content-length", str(self._length).encode()),
                (b"content-type", self._kind.encode()),
            ]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": self._start, "more_body": True})
            await asyncio.sleep(0.05)
        self._transport.abort()


async def drop(
    request: Request, *, start: bytes = b"", length: int = 0, kind: str = "application/json"
) -> Response:
    return _Dropped(getattr(request.state, "transport", None), start, length, kind)
