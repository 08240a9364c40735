"""Decides which job goes to the workers next, and when."""

import asyncio
import math
from collections.abc import Sequence
from typing import Any, Final

from wearon_cli.adapters.redis import keys
from wearon_cli.adapters.redis.breakers import PROBE_EVERY_S
from wearon_cli.adapters.redis.client import ANSWER_TIMEOUT_S, Client, connect, redis_errors
from wearon_cli.adapters.redis.entries import open_arguments, timeline_facts
from wearon_cli.adapters.redis.job_scripts import JobScripts
from wearon_cli.adapters.redis.journal import WINDOW_S
from wearon_cli.core.jobs.journal import NewJob, Opened, Recovered, Release, Released
from wearon_cli.core.session import Channel

#: A released job that no worker has claimed after this time is ready again.
DEADLINE_S: Final = 10.0
#: Jobs released and not yet claimed, at most: few, so that a purged queue costs little, and enough
#: that the workers' threads never wait for a message.
MOST_UNCLAIMED: Final = 16
#: Share of a minute's permits that an idle system may hand out at once. The rest is spread over the
#: minute, so that the next permit is never far away: a burst of all permits would repeat with each
#: window and leave the limit unused in between.
BURST: Final = 0.01
#: One blocking read of the signals. Long, since hosted Redis bills by the command; short enough to
#: notice a connection that was lost silently.
READ_S: Final = 30.0


class RedisDispatcher:
    """Implements `Dispatcher`. The blocking wait has its own connection."""

    def __init__(
        self,
        redis: Client,
        *,
        url: str,
        providers: Sequence[str],
        requests_per_minute: int,
        pictures_per_minute: int | None,
        most_unclaimed: int = MOST_UNCLAIMED,
    ) -> None:
        """
        Args:
            redis: For short calls.
            url: The same server, for the blocking wait.
            providers: Names of the breakers of the configured image providers.
            requests_per_minute: The rate limit that paces the PAID lane.
            pictures_per_minute: The same for input pictures; None: no such limit.
            most_unclaimed: Jobs released and not yet claimed, at most.
        """
        self._scripts = JobScripts(redis)
        self._blocking = connect(url, retries=0, answer_timeout_s=READ_S + ANSWER_TIMEOUT_S)
        self._signal: asyncio.Task[bool] | None = None
        self._is_sooner = asyncio.Event()
        self._wake_at_s = math.inf  # by the event loop's clock: when to look again without a signal
        self._providers = tuple(providers)
        self._most_unclaimed = most_unclaimed
        picture_gap_s = WINDOW_S / pictures_per_minute if pictures_per_minute else 0.0
        burst = max(1.0, requests_per_minute * BURST)
        self._pace = (WINDOW_S / requests_per_minute, picture_gap_s, burst)

    async def aclose(self) -> None:
        """Stop waiting for signals, and close the blocking connection."""
        if self._signal is not None:
            self._signal.cancel()
            await asyncio.wait({self._signal})
        await self._blocking.aclose()

    async def open(self, job: NewJob, *, limit: int) -> Opened:
        is_new, *released = await self._scripts.run(
            "open", *open_arguments(job, releases=True), *self._release_arguments(limit)
        )
        release = _release(*released[0]) if released else None
        if release is not None and release.wait_s is not None:
            self._look_again_in(release.wait_s)
        return Opened(is_new=bool(is_new), release=release)

    async def release(self, *, limit: int) -> Release:
        self._wake_at_s = math.inf
        return _release(*await self._scripts.run("release", *self._release_arguments(limit)))

    def _release_arguments(self, limit: int) -> tuple[object, ...]:
        return (
            limit,
            DEADLINE_S,
            self._most_unclaimed,
            *self._pace,
            PROBE_EVERY_S,
            *self._providers,
        )

    async def recover(self, *, limit: int, max_wait_s: float) -> Recovered:
        orphaned, lost, expired = await self._scripts.run(
            "recover",
            limit,
            max_wait_s,
            timeline_facts("worker_lost"),
            timeline_facts("expired"),
            *self._providers,
        )
        return Recovered(orphaned=int(orphaned), workers_lost=int(lost), expired=int(expired))

    async def wait(self, timeout_s: float) -> bool:
        """
        Wait until another release may find a job, for this time at most. One caller at a time.

        One of the waiting consumers is woken when there is what the last release lacked: a job, or
        a slot. A job that `open` released meanwhile is checked when its deadline has passed.

        Returns:
            True when there was a signal.
        """
        clock = asyncio.get_running_loop().time
        self._look_again_in(timeout_s)
        while (left_s := self._wake_at_s - clock()) > 0:
            self._is_sooner.clear()
            sooner = asyncio.create_task(self._is_sooner.wait())
            try:
                signal = self._next_signal()
                await asyncio.wait(
                    {signal, sooner}, timeout=left_s, return_when=asyncio.FIRST_COMPLETED
                )
            finally:
                sooner.cancel()
            if signal.done():
                self._signal = None
                if signal.result():
                    return True
        self._wake_at_s = math.inf
        return False

    def _look_again_in(self, seconds: float) -> None:
        at_s = asyncio.get_running_loop().time() + seconds
        if at_s < self._wake_at_s:
            self._wake_at_s = at_s
            self._is_sooner.set()

    def _next_signal(self) -> asyncio.Task[bool]:
        """The one blocking read. It outlives a shorter wait, because it may have taken a signal."""
        if self._signal is None:
            self._signal = asyncio.create_task(self._read_signal())
        return self._signal

    async def _read_signal(self) -> bool:
        with redis_errors():
            return await self._blocking.blpop(keys.SIGNAL, READ_S) is not None


def _release(wait_s: bytes, due: int, unclaimed: int, flat: Sequence[Any]) -> Release:
    return Release(
        jobs=[_released(*flat[i : i + 4]) for i in range(0, len(flat), 4)],
        wait_s=float(wait_s) if wait_s else None,
        due=due,
        unclaimed=unclaimed,
    )


def _released(session_id: bytes, channel: bytes, request_id: bytes, number: Any) -> Released:
    return Released(
        session_id=session_id.decode(),
        channel=Channel(channel.decode()),
        number=int(number),
        request_id=request_id.decode(),
    )
