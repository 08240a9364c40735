"""Working on named sessions in this process, for an operator whose workers are not running."""

import asyncio
import os
import secrets
import socket
from collections.abc import Sequence
from typing import Final

from wearon_cli.core.errors import LeaseLost
from wearon_cli.core.jobs.journal import Worker
from wearon_cli.core.settings import Settings
from wearon_cli.runtime.ops.logs import configure_logs
from wearon_cli.wiring import WorkerParts, open_worker

#: Pause between two tries to claim a job that waits for a time.
CLAIM_PAUSE_S: Final = 0.5


async def work_on(settings: Settings, session_ids: Sequence[str]) -> None:
    """
    Do the jobs of these sessions, and no others, until cancelled or until all have ended.

    A job in hand is handed back when this is cancelled.

    Raises:
        WearonError: What `wearon celery` would refuse to start with.
    """
    configure_logs(settings, "now")  # stdout is the answer's
    # Without slots of its own: nothing is released for it, it claims what it was told to.
    name = f"{socket.gethostname()}-{os.getpid()}-now-{secrets.token_hex(3)}"
    worker = Worker(worker_id=name, slots=0, host=socket.gethostname(), pid=os.getpid())
    async with open_worker(settings) as parts:
        await parts.registry.register(worker)
        keeper = asyncio.create_task(_keep_lease(parts, worker, settings.lease_renew_s))
        try:
            await asyncio.gather(*(_work_on(parts, worker, each) for each in session_ids))
        finally:
            keeper.cancel()
            await parts.registry.leave(worker.worker_id)


async def _work_on(parts: WorkerParts, worker: Worker, session_id: str) -> None:
    while await parts.reader.entry(session_id) is not None:
        token = secrets.token_hex(8)
        claim = await parts.journal.claim(session_id, worker_id=worker.worker_id, token=token)
        if claim is None:
            await asyncio.sleep(CLAIM_PAUSE_S)
            continue
        try:
            await parts.runner.run(claim)
        except LeaseLost:
            continue


async def _keep_lease(parts: WorkerParts, worker: Worker, every_s: float) -> None:
    while True:
        await asyncio.sleep(every_s)
        if not await parts.registry.renew(worker.worker_id):
            await parts.registry.register(worker)
