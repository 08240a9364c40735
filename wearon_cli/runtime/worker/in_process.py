"""Working on the queue in this process, for an operator whose workers are not running."""

import asyncio
from typing import Final

from wearon_cli.core.jobs.journal import Claim
from wearon_cli.core.settings import Settings
from wearon_cli.runtime.ops.logs import configure_logs
from wearon_cli.wiring import open_consumer, open_runner

#: One blocking take, and the pause when no job waits.
TAKE_WAIT_S: Final = 1.0
IDLE_S: Final = 0.3


async def work_here(settings: Settings) -> None:
    """
    Take jobs in and do them, one at a time, until cancelled; a job in hand is handed back then.

    Raises:
        WearonError: What the roles would refuse to start with.
    """
    configure_logs(settings, "here")  # stdout is the answer's
    async with (
        open_consumer(settings, take_wait_s=TAKE_WAIT_S) as consumer,
        open_runner(settings) as runner,
    ):
        await consumer.recovery.beat()

        async def take() -> None:
            while True:
                await consumer.take_in.one(wait_s=TAKE_WAIT_S)

        async def do() -> None:
            while True:
                claim = await runner.next_job()
                if isinstance(claim, Claim):
                    await runner.run(claim)
                else:
                    await consumer.recovery.wake_due()
                    await asyncio.sleep(IDLE_S)

        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(take())
                both.create_task(do())
        finally:
            await consumer.intake.leave()
