"""Every way in which httpx fails, and what each says of the request."""

import inspect
from typing import Final

import httpx

#: Nothing was sent: the caller can be sure that nothing was bought.
NOT_SENT: Final = frozenset(
    {
        *("ConnectError", "ConnectTimeout", "PoolTimeout", "ProxyError"),
        *("UnsupportedProtocol", "InvalidURL"),
    }
)


def httpx_errors() -> list[type[Exception]]:
    """Every exception class that httpx has."""
    return [
        each
        for each in vars(httpx).values()
        if inspect.isclass(each) and issubclass(each, Exception)
    ]


def an(error: type[Exception]) -> Exception:
    """An instance, whatever its constructor asks for."""
    if issubclass(error, httpx.HTTPStatusError):
        sent = httpx.Request("POST", "http://images.test")
        return error("m", request=sent, response=httpx.Response(500, request=sent))
    if issubclass(
        error,
        (httpx.StreamConsumed, httpx.StreamClosed, httpx.ResponseNotRead, httpx.RequestNotRead),
    ):
        return error()
    return error("m")
