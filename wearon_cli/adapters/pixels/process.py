"""One pixel process, as the worker sees it: started, given one job at a time, ended."""

import asyncio
import fcntl
import json
import os
import sys
from asyncio.subprocess import PIPE, Process
from contextlib import suppress
from typing import Any, Final

from wearon_cli.adapters.pixels.frames import HEAD, lengths, pack

#: Starting the interpreter and importing Pillow takes 0.1 s; a busy machine may need longer.
START_LIMIT_S: Final = 30.0
_CHILD: Final = "wearon_cli.adapters.pixels.child"
#: A photo of 3 MB passes in three writes instead of fifty; Linux allows ordinary users no more.
_PIPE_BYTES: Final = 1024 * 1024
#: glibc: the memory of pictures is returned to the system when freed; smaller blocks are reused.
_ALLOCATOR: Final = {"MALLOC_MMAP_THRESHOLD_": "4194304", "MALLOC_TRIM_THRESHOLD_": "16777216"}


class NotBegun(Exception):
    """The process died before it had the whole picture: not the picture's fault."""


class DiedAtWork(Exception):
    """The process died, hung or sent garbage while it held the picture."""


class PixelProcess:
    """Created by `start`; the caller kills it."""

    def __init__(self, process: Process) -> None:
        self._process = process

    @classmethod
    async def start(cls, *, memory_bytes: int, jobs: str) -> "PixelProcess":
        """
        Start a process and wait until it is ready.

        A new program, not a fork: the worker has threads, connections and secrets, and the child
        gets none of them, its environment included. It has its own process session, so that signals
        to the worker's process group do not reach it.

        Args:
            memory_bytes: Most memory that it may use.
            jobs: Name of the module whose `JOBS` it serves.

        Raises:
            OSError: It cannot be started.
            TimeoutError: It did not get ready.
            EOFError: It ended while it started.
        """
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",
            *("-m", _CHILD, str(os.getpid()), str(memory_bytes), jobs),
            stdin=PIPE,
            stdout=PIPE,
            env={"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), **_ALLOCATOR},
            start_new_session=True,
        )
        started = cls(process)
        try:
            started._widen_pipe()
            async with asyncio.timeout(START_LIMIT_S):
                await started._receive()
        except BaseException:
            await started.kill()
            raise
        return started

    @property
    def pid(self) -> int:
        return self._process.pid

    async def work(
        self, note: dict[str, Any], data: bytes, *, limit_s: float
    ) -> tuple[dict[str, Any], bytes]:
        """
        Run one job.

        Raises:
            NotBegun: The process died before it had the whole picture.
            DiedAtWork: It died during the job, or exceeded `limit_s`.
        """
        try:
            async with asyncio.timeout(limit_s):
                await self._send(note, data)
                await self._receive()
        except (OSError, EOFError, ValueError) as exc:
            raise NotBegun("no process stayed alive long enough to take the picture") from exc
        try:
            async with asyncio.timeout(limit_s):
                return await self._receive()
        except TimeoutError as exc:
            raise DiedAtWork(f"processing the picture took more than {limit_s:g} s") from exc
        except (OSError, EOFError, ValueError) as exc:
            raise DiedAtWork("the process that read the picture died") from exc

    async def kill(self) -> int:
        """Kill it, and return its exit status: negative for a signal."""
        with suppress(ProcessLookupError):
            self._process.kill()
        await self._process.communicate()
        return self._process.returncode or 0

    async def _send(self, note: dict[str, Any], data: bytes) -> None:
        pipe = self._process.stdin
        if pipe is None or pipe.is_closing():
            raise EOFError
        pipe.write(pack(note, data))
        # In parts that fit into the pipe: of a longer one, asyncio copies what does not fit.
        whole = memoryview(data)
        for start in range(0, len(data), _PIPE_BYTES):
            pipe.write(whole[start : start + _PIPE_BYTES])
            await pipe.drain()

    async def _receive(self) -> tuple[dict[str, Any], bytes]:
        pipe = self._process.stdout
        if pipe is None:
            raise EOFError
        note_bytes, body_bytes = lengths(await pipe.readexactly(HEAD.size))
        note = json.loads(await pipe.readexactly(note_bytes))
        if not isinstance(note, dict):
            raise ValueError("a message without a note")
        return note, await pipe.readexactly(body_bytes)

    def _widen_pipe(self) -> None:
        if sys.platform != "linux" or self._process.stdin is None:
            return
        pipe = self._process.stdin.transport.get_extra_info("pipe")
        with suppress(OSError):  # over the user's limit of pipe memory: only slower
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
