"""Pixel work on as many threads as there are cores: Pillow releases the interpreter lock."""

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor


class PixelThreads:
    """Implements `PixelPool`."""

    def __init__(self, threads: int | None = None) -> None:
        self._pool = ThreadPoolExecutor(threads or os.cpu_count() or 1, thread_name_prefix="pixels")

    async def run[T](self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    def close(self) -> None:
        """Finish what runs, drop what waits."""
        self._pool.shutdown(wait=True, cancel_futures=True)
