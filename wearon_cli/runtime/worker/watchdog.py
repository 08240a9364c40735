"""
Notices a Celery worker that is alive but unresponsive: messages wait, slots are free, and none is
taken.

Seen after Redis restarts. A draining worker, or one told to leave the queue, does not count. It
costs two commands a minute, from a thread of its own, because an unresponsive loop cannot be asked.
"""

import threading
from typing import Final, Protocol

from redis import Redis
from redis.exceptions import RedisError

from wearon_cli.adapters.redis.address import checked_address
from wearon_cli.adapters.redis.keys import CELERY_QUEUE
from wearon_cli.core.events import emit
from wearon_cli.runtime.events import WorkerFoundUnresponsive

#: Time between two checks. A worker counts as unresponsive after two in a row.
LOOK_EVERY_S: Final = 30.0


class Watched(Protocol):
    """A worker, as the watchdog sees it."""

    @property
    def taken(self) -> int:
        """Messages taken so far."""

    @property
    def in_hand(self) -> int:
        """Messages taken and not yet finished."""

    @property
    def takes_messages(self) -> bool:
        """Whether it is supposed to take messages."""

    def free_slots(self) -> int:
        """Messages that it may take now."""

    def leave(self) -> None:
        """End the process."""


class Watchdog:
    """Watches one worker process."""

    def __init__(
        self, redis_url: str, worker: Watched, *, look_every_s: float = LOOK_EVERY_S
    ) -> None:
        self._redis = Redis.from_url(
            checked_address(redis_url), socket_timeout=5, socket_connect_timeout=3
        )
        self._worker = worker
        self._look_every_s = look_every_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread and close the connection."""
        self._stop.set()
        self._thread.join(timeout=LOOK_EVERY_S)
        self._redis.close()

    def _watch(self) -> None:
        suspected_at: int | None = None
        while not self._stop.wait(self._look_every_s):
            taken = self._worker.taken
            if not self._should_take() or not self._messages_wait():
                suspected_at = None
            elif suspected_at == taken:
                emit(WorkerFoundUnresponsive(in_flight=self._worker.in_hand))
                self._worker.leave()
                return
            else:
                suspected_at = taken

    def _should_take(self) -> bool:
        return self._worker.takes_messages and self._worker.free_slots() > 0

    def _messages_wait(self) -> bool:
        try:
            return bool(self._redis.llen(CELERY_QUEUE))
        except (RedisError, OSError):
            return False  # Redis is down: the worker is not to blame
