"""
Celery's worker, with jobs, slots and shutdown under our control.

Celery takes messages, shows them to its tools and reports how each ended; the jobs run elsewhere
(`Jobs`). Gaps in Celery 5.6 that are closed here:

- a worker never takes a message without a free slot, not even after it lost its connection and
  Celery forgot the messages it has;
- no event is lost: Celery batches events of several jobs into one message, and drops those that
  another thread adds while it is sent;
- a queue entry that is not a message is dropped and does not end the worker;
- a signal and `celery control shutdown` start the same drain, during which the worker still answers
  Celery's tools.
"""

import os
import signal
import threading
from collections.abc import Callable
from functools import partial
from types import FrameType
from typing import Any, Final, Protocol

from celery import Celery, bootsteps
from celery.backends.base import DisabledBackend
from celery.concurrency.thread import TaskPool
from celery.exceptions import Retry
from celery.worker import state
from celery.worker.control import control_command

from wearon_cli.adapters.celery_app import GENERATE
from wearon_cli.adapters.redis.keys import CELERY_QUEUE
from wearon_cli.core.cross_checks import HAND_BACK_S
from wearon_cli.core.errors import WearonError, error_named
from wearon_cli.core.events import emit
from wearon_cli.core.jobs.journal import Ending
from wearon_cli.core.jobs.runner import Disposition
from wearon_cli.runtime.events import MessageUnreadable

#: How often a worker sends a heartbeat. Flower counts a worker as offline after twice this time;
#: Celery's own 2 s would be 30 commands a minute.
HEARTBEAT_S: Final = 30
#: Exit code of a worker that had to end itself: it took no messages, or a drain did not end
#: (EX_TEMPFAIL).
EXIT_UNRESPONSIVE: Final = 75
#: Exit code after a second signal.
EXIT_AT_ONCE: Final = 130
#: Result of a message whose job was finished, taken by another worker, or not due yet.
NOT_CLAIMED: Final = "not claimed"


class HandedBack(Retry):  # type: ignore[misc]
    """How Celery's events show a job that another attempt will finish."""

    def __repr__(self) -> str:
        return f"{self.excs}, due in {self.when:g} s"


class Jobs(Protocol):
    """Runs the jobs. Its methods are called from Celery's threads."""

    def do(self, session_id: str) -> Disposition | None:
        """Run a released job and return its disposition; None: there was nothing to claim."""

    def drain(self, *, within_s: float) -> None:
        """Start no more purchases, let running jobs end, then hand back the rest."""


class Controller:
    """One Celery worker. Start it from the main thread; it returns after it was told to stop."""

    def __init__(
        self,
        app: Celery,
        jobs: Jobs,
        *,
        name: str,
        slots: int,
        drain_s: float,
        on_ready: Callable[[], None],
    ) -> None:
        """
        Args:
            app: From `make_celery`, used by this worker only.
            jobs: Runs the jobs.
            name: `NAME@HOST`, as Celery's tools show it; unique.
            slots: Messages processed at once.
            drain_s: Time for running jobs when the worker stops.
            on_ready: Called once, when it starts to take messages.
        """
        self._jobs = jobs
        self._slots = slots
        self._drain_s = drain_s
        self._app: Any = app
        self._stopping = False
        self._drainer = threading.Thread(target=self._drain, name="drain", daemon=True)
        # An error of a job does not concern Celery: it is logged where it happens.
        # With its own backend, or each thread looks for one among all installed packages.
        backend = DisabledBackend(app=app)
        self._app.task(_task(jobs), name=GENERATE, throws=(WearonError,), backend=backend)
        self._app.steps["consumer"].add(_channel_step(self))
        self._app.steps["worker"].add(_drain_step(self))
        control_command(name="shutdown")(self._shutdown_command)
        self._worker: Any = self._app.WorkController(
            hostname=name,
            pool_cls=_SlotPool,
            concurrency=slots,
            prefetch_multiplier=0,  # no limit but the slots
            heartbeat_interval=HEARTBEAT_S,
            ready_callback=lambda _consumer: on_ready(),
            without_gossip=True,
            without_mingle=True,
        )

    def run(self) -> int:
        """Take messages until told to stop; returns the exit code."""
        self._worker.start()
        if self._stopping:
            self._drainer.join()
        return int(self._worker.exitcode or 0)

    @property
    def taken(self) -> int:
        """Messages taken so far."""
        return int(self._worker.pool.taken)

    @property
    def in_hand(self) -> int:
        """Messages taken and not yet finished."""
        return int(self._worker.pool.in_hand)

    @property
    def takes_messages(self) -> bool:
        """False while it stops, or was told to leave the queue (`control cancel_consumer`)."""
        return not self._stopping and CELERY_QUEUE in self._app.amqp.queues.consume_from

    def free_slots(self) -> int:
        """Messages it may take now."""
        return 0 if self._stopping else self._slots - self.in_hand

    def stop_on_signals(self) -> None:
        """First SIGTERM or SIGINT: drain and stop. Second: exit at once; recovery does the rest."""

        def stop(_number: int, _frame: FrameType | None) -> None:
            if self._stopping:
                os._exit(EXIT_AT_ONCE)
            self.stop()

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, stop)

    def stop(self) -> None:
        """Start to drain, then stop; repeated calls do nothing. Returns at once."""
        if self._stopping:
            return
        self._stopping = True
        self._drainer.start()
        # On its own timer, because the part that drains may be the part that hangs.
        end = threading.Timer(self._drain_s + HAND_BACK_S, os._exit, [EXIT_UNRESPONSIVE])
        end.daemon = True
        end.start()

    def leave(self) -> None:
        """End a worker that takes no messages and so cannot be stopped: drain, then exit."""
        self.stop()
        self._drainer.join()
        os._exit(EXIT_UNRESPONSIVE)

    def _drain(self) -> None:
        self._on_hub(self._leave_queue)
        try:
            self._jobs.drain(within_s=self._drain_s)
        finally:
            state.should_stop = 0
            self.wake()

    def _leave_queue(self) -> None:
        consumer = self._worker.consumer
        if (
            consumer.task_consumer is not None
            and CELERY_QUEUE in self._app.amqp.queues.consume_from
        ):
            consumer.cancel_task_queue(CELERY_QUEUE)

    def wake(self) -> None:
        """Wake Celery's loop: for a stop, or for a free slot."""
        self._on_hub(_nothing)

    def _on_hub(self, call: Callable[[], None]) -> None:
        hub = self._worker.hub
        if hub is not None:
            hub.call_soon(call)

    def _shutdown_command(self, _state: object, **_: object) -> dict[str, str]:
        """Shutdown worker(s), as SIGTERM does: running jobs get their drain time."""
        self.stop()
        return {"ok": f"stops within {self._drain_s + HAND_BACK_S:g} s"}


class _SlotPool(TaskPool):  # type: ignore[misc]
    """Celery's pool of threads, and how many messages it has."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.taken = 0
        self.in_hand = 0
        self.when_free: Callable[[], None] = _nothing
        self._lock = threading.Lock()

    def on_apply(self, *args: Any, **kwargs: Any) -> Any:
        result = super().on_apply(*args, **kwargs)
        with self._lock:
            self.taken += 1
            self.in_hand += 1
        result.f.add_done_callback(self._free)  # called at once if it is already done
        return result

    def _free(self, _done: object) -> None:
        with self._lock:
            self.in_hand -= 1
        self.when_free()


def _nothing() -> None:
    """Does nothing."""


def _task(jobs: Jobs) -> Callable[[str], str]:
    def generate(session_id: str) -> str:
        disposition = jobs.do(session_id)
        if disposition is None:
            return NOT_CLAIMED
        closing = disposition.closing
        if closing is None:
            error = error_named(disposition.error)
            # Not sent again here: the journal releases the job when it is due.
            raise HandedBack(exc=error, when=round(disposition.after_s, 1))
        if closing.ending in (Ending.FAILED, Ending.PARKED):
            raise error_named(closing.error_code or "")
        return closing.ending.value

    return generate


def _channel_step(controller: Controller) -> type:
    class NewChannel(bootsteps.StartStopStep):  # type: ignore[misc]
        """Each new channel of the consumer reads the queue only while a slot is free."""

        requires = ("celery.worker.consumer.tasks:Tasks",)

        def start(self, consumer: Any) -> None:
            channel = consumer.task_consumer.channel
            channel.qos.can_consume = lambda: controller.free_slots() > 0
            channel.handlers["BRPOP"] = partial(_read_message, channel.handlers["BRPOP"])
            consumer.pool.when_free = controller.wake
            consumer.event_dispatcher.buffer_group = frozenset()  # send each event at once

    return NewChannel


def _read_message(read: Callable[[], None]) -> None:
    """Drop a message that is not JSON: Celery would treat it as its own failure and exit."""
    try:
        read()
    except ValueError:
        emit(MessageUnreadable())


def _drain_step(controller: Controller) -> type:
    class Drain(bootsteps.StartStopStep):  # type: ignore[misc]
        """Also starts the drain when Celery ends by itself: its pool waits for running jobs."""

        requires = ("celery.worker.components:Pool",)

        def close(self, _worker: object) -> None:
            controller.stop()

    return Drain
