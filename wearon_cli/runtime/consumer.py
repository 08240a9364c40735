"""The `consume` role: takes jobs in and runs recovery."""

import asyncio
import signal
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial
from typing import Final

from wearon_cli.core.errors import QueueUnavailable, UpstreamError
from wearon_cli.core.events import emit
from wearon_cli.core.settings import Settings
from wearon_cli.runtime.events import ConsumerReady, ConsumerStopped, IntakeNotReturned, OutageMet
from wearon_cli.runtime.ops.metrics import Meters, QueueCollector, expose
from wearon_cli.wiring.consumer import Consumer, open_consumer

#: One blocking take. Short enough that a silently lost connection is noticed.
TAKE_WAIT_S: Final = 10.0
#: Pause after an outage; doubles, up to the longest.
FIRST_PAUSE_S: Final = 0.5
LONGEST_PAUSE_S: Final = 10.0
#: Longest wait for a signal that a job is ready or a slot free; a signal can be lost with Redis.
RELEASE_WAIT_S: Final = 30.0
#: Open rows without a job are looked for this often.
ORPHAN_PASS_S: Final = 60.0


def run_consumer(
    settings: Settings, meters: Meters, *, on_ready: Callable[[], None] = lambda: None
) -> None:
    """
    Take jobs until SIGTERM or SIGINT.

    Raises:
        ConfigError: A setting is wrong, or Redis is too old.
        QueueUnavailable: Redis does not answer at start.
    """
    asyncio.run(_consume(settings, meters, on_ready))


async def _consume(settings: Settings, meters: Meters, on_ready: Callable[[], None]) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with AsyncExitStack() as stack:
        consumer = await stack.enter_async_context(open_consumer(settings, take_wait_s=TAKE_WAIT_S))
        meters.registry.register(QueueCollector(consumer.queue_stats, settings, loop))
        stack.callback(expose(meters, settings, "consume"))
        await consumer.intake.beat()
        emit(ConsumerReady(consumer_id=consumer.intake.consumer_id))
        on_ready()
        loops = (
            _repeat(lambda: _take(consumer), every_s=0.0),
            _release(consumer),
            _repeat(consumer.recovery.beat, every_s=settings.heartbeat_s),
            _recover(consumer, settings),
            _repeat(lambda: _adopt(consumer, settings.orphan_age_s), every_s=ORPHAN_PASS_S),
        )
        tasks = [asyncio.create_task(coroutine) for coroutine in loops]
        await _first_of(stop, tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await _leave(consumer)
    emit(ConsumerStopped())


async def _first_of(stop: asyncio.Event, tasks: list[asyncio.Task[None]]) -> None:
    """Return after a stop; raise the error that ended a loop: none ends on its own."""
    stopping = asyncio.create_task(stop.wait())
    done, _ = await asyncio.wait({stopping, *tasks}, return_when=asyncio.FIRST_COMPLETED)
    for task in done - {stopping}:
        task.result()
    stopping.cancel()


async def _repeat(one_pass: Callable[[], Awaitable[object]], *, every_s: float) -> None:
    """Repeat passes until stopped."""
    while True:
        await _outlast(one_pass)
        await asyncio.sleep(every_s)


async def _outlast(one_pass: Callable[[], Awaitable[object]]) -> None:
    """Run one pass. During an outage it waits, with growing pauses."""
    pause_s = FIRST_PAUSE_S
    while True:
        try:
            await one_pass()
        except UpstreamError as exc:
            emit(OutageMet(error=exc.code, detail=str(exc), pause_s=pause_s))
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, LONGEST_PAUSE_S)
        else:
            return


async def _release(consumer: Consumer) -> None:
    """Release ready jobs to the workers as soon as allowed."""
    while True:
        pause_s: float | None = LONGEST_PAUSE_S

        async def one_pass() -> None:
            nonlocal pause_s
            pause_s = await consumer.dispatch.release()

        await _outlast(one_pass)
        if pause_s != 0.0:
            await _outlast(partial(consumer.await_signal, pause_s or RELEASE_WAIT_S))


async def _recover(consumer: Consumer, settings: Settings) -> None:
    """
    Run recovery passes until stopped.

    No worker can renew its lease while Redis is down, so when it is back, live workers first get
    time to renew: otherwise their jobs, and paid calls, would be given to others. The same applies
    at startup, which may follow an outage.
    """
    while True:
        await asyncio.sleep(2 * settings.lease_renew_s)
        try:
            while True:
                await consumer.recovery.recover_jobs()
                await asyncio.sleep(settings.recovery_interval_s)
        except QueueUnavailable:
            await _outlast(consumer.recovery.beat)


async def _take(consumer: Consumer) -> None:
    await consumer.take_in.one(wait_s=TAKE_WAIT_S)


async def _adopt(consumer: Consumer, age_s: float) -> None:
    await consumer.recovery.adopt_orphans(age_s=age_s)


async def _leave(consumer: Consumer) -> None:
    try:
        await consumer.intake.leave()
    except UpstreamError:
        emit(IntakeNotReturned())  # they return it when our heartbeat is missed
