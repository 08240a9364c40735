"""
`wearon doctor`, run for the page.

In a process of its own: it loads the pose model and Celery, which this one then need not hold.
"""

import asyncio
import json
import sys
from typing import Final

from wearon_cli.core.errors import UpstreamError
from wearon_cli.core.operator.checks import Finding
from wearon_cli.core.settings import Settings

#: Its parts have 8 s each, all at once; a busy machine starts slowly.
TIMEOUT_S: Final = 60.0


async def run_doctor(settings: Settings) -> list[Finding]:
    """
    The findings of the command.

    Raises:
        UpstreamError: It did not answer.
    """
    where = ["--local", "--data-dir", str(settings.local_dir)] if settings.local_dir else []
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "wearon_cli", "doctor", "--json", *where),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(TIMEOUT_S):
            out, _ = await process.communicate()
        return [Finding(**each) for each in json.loads(out)["data"]["findings"]]
    except (TimeoutError, ValueError, KeyError, TypeError) as exc:
        raise UpstreamError(
            "the checks did not come to an end", hint="run `wearon doctor` in a shell"
        ) from exc
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
