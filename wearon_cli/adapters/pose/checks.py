"""Checks of pictures, run in their own pixel process: the worker's side."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from wearon_cli.adapters.pixels.processes import PixelProcesses
from wearon_cli.core.checks.findings import PictureFinding, Report
from wearon_cli.core.cross_checks import CHECK_S
from wearon_cli.core.errors import WearonError

JOBS: Final = "wearon_cli.adapters.pose.check_jobs"
#: Memory limit of the process: MediaPipe with its network and the stacks of its threads takes 200
#: MB, looking leniently 80 more, three small pictures another 10.
CHILD_BYTES: Final = 420_000_000
#: Memory of one check, without the network's.
NEED_BYTES: Final = 20_000_000
#: Why a check was given up.
TOO_SLOW: Final = "too_slow"


class CheckProcess:
    """
    Implements `PictureChecks`. One process: it does 20 checks a second, 600 jobs a minute. It reads
    no untrusted files: the other pixel processes have made or verified what it gets.
    """

    def __init__(
        self, model: Path, *, child_bytes: int = CHILD_BYTES, limit_s: float = CHECK_S
    ) -> None:
        """
        Args:
            model: The pose model; missing: people are not looked for.
            child_bytes: Most memory of the process.
            limit_s: One check, waiting included.
        """
        self._model = str(model)
        self._limit_s = limit_s
        self._pool = PixelProcesses(1, child_bytes=child_bytes, work_limit_s=limit_s, jobs=JOBS)

    @property
    def pids(self) -> list[int]:
        """The process, if it runs."""
        return self._pool.pids

    async def load(self) -> None:
        """Start the process and load its network, which the first check would wait for."""
        with suppress(WearonError):
            await self._pool.run("load", b"", need_bytes=NEED_BYTES, model=self._model)

    async def inputs(self, pictures: Sequence[bytes]) -> Report:
        return await self._run("check_inputs", pictures)

    async def result(
        self,
        drawn: bytes,
        *,
        person: bytes,
        garment: bytes | None,
        seen: Mapping[str, Any],
    ) -> Report:
        pictures = [drawn, person, *([garment] if garment else [])]
        return await self._run("check_result", pictures, seen=seen)

    async def aclose(self) -> None:
        """End the process."""
        await self._pool.aclose()

    async def _run(self, job: str, pictures: Sequence[bytes], **args: Any) -> Report:
        try:
            async with asyncio.timeout(self._limit_s):
                note, _ = await self._pool.run(
                    job,
                    b"".join(pictures),
                    need_bytes=NEED_BYTES,
                    sizes=[len(each) for each in pictures],
                    model=self._model,
                    **args,
                )
        except TimeoutError:
            return Report(not_checked=TOO_SLOW)
        except WearonError as exc:
            return Report(not_checked=exc.code)
        return Report(
            findings=tuple(map(PictureFinding, note["findings"])),
            not_checked=note["not_checked"],
            seen=note["seen"],
        )
