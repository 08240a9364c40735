"""
Notices a Celery worker that is alive but unresponsive: messages wait, threads are free, none is
taken.

Seen after Redis restarts. A thread is not free while its message waits for the rate limit, and a
worker that drains is not unresponsive. It costs two commands a minute, from a thread of its own,
since it cannot rely on the loop it watches.
"""

import threading
from collections.abc import Callable
from typing import Final

from redis import Redis
from redis.exceptions import RedisError

from wearon_cli.adapters.redis import keys
from wearon_cli.core.events import emit
from wearon_cli.runtime.events import WorkerFoundUnresponsive
from wearon_cli.runtime.worker.job_loop import JobLoop

#: Time between two checks. A worker counts as unresponsive after two in a row.
LOOK_EVERY_S: Final = 30.0


class Watchdog:
    """Watches one worker process."""

    def __init__(
        self,
        redis_url: str,
        jobs: JobLoop,
        *,
        concurrency: int,
        on_unresponsive: Callable[[], None],
        look_every_s: float = LOOK_EVERY_S,
    ) -> None:
        self._redis = Redis.from_url(redis_url, socket_timeout=5, socket_connect_timeout=3)
        self._jobs = jobs
        self._concurrency = concurrency
        self._on_unresponsive = on_unresponsive
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
        suspected_at_count = -1
        while not self._stop.wait(self._look_every_s):
            count = self._jobs.answered
            if not self._should_take() or not self._messages_wait():
                suspected_at_count = -1
            elif suspected_at_count == count:
                emit(WorkerFoundUnresponsive(in_flight=self._jobs.in_flight))
                self._on_unresponsive()
                return
            else:
                suspected_at_count = count

    def _should_take(self) -> bool:
        return self._jobs.accepts and self._jobs.answering < self._concurrency

    def _messages_wait(self) -> bool:
        try:
            return bool(self._redis.llen(keys.CELERY_QUEUE))
        except (RedisError, OSError):
            return False  # Redis is away: that is not unresponsiveness
