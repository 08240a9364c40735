"""
The `all` role: one consume, one celery and one serve as child processes.

A child that dies is restarted, with increasing delay; if one keeps dying, everything stops, unless
Redis or Supabase went down after the start: then it waits. The first signal lets the children
drain, the second kills them: nothing is lost either way.
"""

import asyncio
import os
import signal
import sys
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from wearon_cli.core.errors import ConfigError, RoleFailed, UpstreamError
from wearon_cli.core.events import emit
from wearon_cli.runtime.all.child import dies_with_parent
from wearon_cli.runtime.events import (
    AllReady,
    AllStopped,
    RoleDied,
    RoleKilled,
    StopForced,
    StopRequested,
    SupervisorGaveUp,
)

#: Pause before a child is started again; doubles with each death, up to the longest.
FIRST_PAUSE_S: Final = 0.5
LONGEST_PAUSE_S: Final = 30.0
#: Pause before a child is restarted that found Redis or Supabase down.
OUTAGE_PAUSE_S: Final = 5.0
#: More deaths than this within the span stop all roles.
MOST_DEATHS: Final = 8
DEATHS_SPAN_S: Final = 300.0


@dataclass(slots=True, kw_only=True)
class Child:
    """One role and its process."""

    role: str
    words: Sequence[str]  # of its command line
    process: asyncio.subprocess.Process | None = None
    is_ready: bool = False
    deaths_s: deque[float] = field(default_factory=deque)  # of this span, on the loop's clock


class Supervisor:
    """Runs roles until a signal stops it, or one cannot be kept running."""

    def __init__(
        self,
        roles: Mapping[str, Sequence[str]],
        *,
        environment: Mapping[str, str],
        grace_s: float,
        on_ready: Callable[[], None] = lambda: None,
    ) -> None:
        """
        Args:
            roles: Words of each role's command line, by its name.
            environment: Of the children.
            grace_s: How long they may take to stop.
            on_ready: Called once, when all are ready.
        """
        self._children = [Child(role=role, words=words) for role, words in roles.items()]
        self._environment = environment
        self._grace_s = grace_s
        self._on_ready = on_ready
        self._signals = 0
        self._stopping = asyncio.Event()
        self._failure: RoleFailed | ConfigError | None = None

    async def run(self) -> None:
        """
        Run them all; returns after a signal, when all have stopped.

        Raises:
            ConfigError: A role refused its settings; it said why.
            RoleFailed: A role died too often.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_signal)
        await asyncio.gather(*map(self._keep, self._children))
        emit(AllStopped())
        if self._failure is not None:
            raise self._failure

    def _on_signal(self) -> None:
        self._signals += 1
        if self._signals == 1:
            emit(StopRequested(grace_s=self._grace_s))
            self._stopping.set()
            return
        emit(StopForced())
        for child in self._children:
            _send(child, signal.SIGKILL)

    async def _keep(self, child: Child) -> None:
        while not self._stopping.is_set():
            exit_code = await self._run_once(child)
            if self._stopping.is_set():
                return
            emit(RoleDied(child=child.role, exit_code=exit_code))
            if exit_code == ConfigError.exit_code:
                self._give_up(ConfigError(f"`{child.role}` cannot run with these settings"))
            elif _waits_out_an_outage(child, exit_code):
                await self._pause(OUTAGE_PAUSE_S)
            elif self._dies_too_often(child):
                self._give_up(RoleFailed(f"`{child.role}` died {MOST_DEATHS + 1} times in a row"))
            else:
                pause_s = FIRST_PAUSE_S * 2.0 ** (len(child.deaths_s) - 1)
                await self._pause(min(pause_s, LONGEST_PAUSE_S))

    async def _run_once(self, child: Child) -> int:
        """Start a child and wait for it to end."""
        ready, ready_writer = os.pipe()
        os.set_blocking(ready, False)
        try:
            child.process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "wearon_cli", *child.words),
                env={**self._environment, "WEARON_READY_FD": str(ready_writer)},
                pass_fds=(ready_writer,),
                stdin=asyncio.subprocess.DEVNULL,
                start_new_session=True,  # the terminal's Ctrl-C only reaches us; we pass it on
                preexec_fn=dies_with_parent(signal.SIGTERM),
            )
        finally:
            os.close(ready_writer)
        loop = asyncio.get_running_loop()
        loop.add_reader(ready, self._on_ready_line, child, ready)
        stopper = asyncio.create_task(self._stop_when_asked(child))
        try:
            return await child.process.wait()
        finally:
            stopper.cancel()
            loop.remove_reader(ready)
            os.close(ready)

    def _on_ready_line(self, child: Child, ready: int) -> None:
        asyncio.get_running_loop().remove_reader(ready)
        if not os.read(ready, 1) or child.is_ready:
            return
        child.is_ready = True
        if all(each.is_ready for each in self._children):
            emit(AllReady())
            self._on_ready()

    async def _stop_when_asked(self, child: Child) -> None:
        await self._stopping.wait()
        _send(child, signal.SIGTERM)
        await asyncio.sleep(self._grace_s)
        emit(RoleKilled(child=child.role, grace_s=self._grace_s))
        _send(child, signal.SIGKILL)

    def _dies_too_often(self, child: Child) -> bool:
        now_s = asyncio.get_running_loop().time()
        child.deaths_s.append(now_s)
        while child.deaths_s[0] < now_s - DEATHS_SPAN_S:
            child.deaths_s.popleft()
        return len(child.deaths_s) > MOST_DEATHS

    def _give_up(self, failure: RoleFailed | ConfigError) -> None:
        emit(SupervisorGaveUp(reason=str(failure)))
        self._failure = failure
        self._stopping.set()

    async def _pause(self, pause_s: float) -> None:
        try:
            await asyncio.wait_for(self._stopping.wait(), pause_s)
        except TimeoutError:
            return


def _waits_out_an_outage(child: Child, exit_code: int) -> bool:
    """It exited because of a service that had answered before, so the settings are right."""
    return child.is_ready and exit_code == UpstreamError.exit_code


def _send(child: Child, number: signal.Signals) -> None:
    if child.process is not None and child.process.returncode is None:
        child.process.send_signal(number)
