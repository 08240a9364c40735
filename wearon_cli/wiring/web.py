"""Builds what `wearon web` works with."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from wearon_cli.core.pictures.ports import Fetcher, PixelPool
from wearon_cli.core.settings import Settings
from wearon_cli.wiring.operator import OperatorTools, open_operator_tools
from wearon_cli.wiring.parts import open_fetcher


@dataclass(frozen=True, slots=True, kw_only=True)
class WebTools:
    """The operator tools, and the parts that show pictures."""

    operator: OperatorTools
    fetcher: Fetcher
    #: The pixel processes: started when the first picture is shown.
    open_pixels: Callable[[], Awaitable[PixelPool]]


@asynccontextmanager
async def open_web(settings: Settings) -> AsyncIterator[WebTools]:
    """
    What the page works with.

    Raises:
        ConfigError: A setting is missing, or the key is not the service role's.
        QueueUnavailable: Redis does not answer.
    """
    async with AsyncExitStack() as stack:
        yield WebTools(
            operator=await stack.enter_async_context(open_operator_tools(settings)),
            fetcher=await open_fetcher(stack, settings),
            open_pixels=_opener(stack),
        )


def _opener(stack: AsyncExitStack) -> Callable[[], Awaitable[PixelPool]]:
    turn = asyncio.Lock()
    opened: list[PixelPool] = []

    async def open_pixels() -> PixelPool:
        async with turn:
            if not opened:
                from wearon_cli.adapters.pixels.processes import PixelProcesses  # imports Pillow

                pixels = PixelProcesses(1)
                stack.push_async_callback(pixels.aclose)
                opened.append(pixels)
            return opened[0]

    return open_pixels
