"""
Our Celery worker with scripted jobs.

`python -m devkit.scripted_worker URL SLOTS DRAIN_S`

It tests Celery's side: messages, slots, tools, events, stopping. A session id decides how its job
ends: its first word is the ending, or "wait" for a job that ends when a test pushes to its
`test:end:` list, or when it is told to stop.

    completed-1   failed_picture_unusable-2   waiting_rate_limited-3   unclaimed-4   wait-5
"""

import logging
import sys
import threading
from contextlib import suppress

from redis import Redis
from redis.backoff import ConstantBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from wearon_cli.adapters.celery_app import make_celery
from wearon_cli.core.jobs.journal import Closing, Ending, HandBack
from wearon_cli.core.jobs.runner import Disposition
from wearon_cli.runtime.worker.controller import Controller
from wearon_cli.runtime.worker.watchdog import Watchdog

BEGUN = "test:begun"
DONE = "test:done"
END = "test:end:"
DRAINS = "test:drains"
LOOK_EVERY_S = 0.3


class ScriptedJobs:
    """Implements the controller's `Jobs`."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._told_to_stop = threading.Event()
        self._running = 0
        self._changed = threading.Condition()

    def do(self, session_id: str) -> Disposition | None:
        if self._told_to_stop.is_set():
            return None
        self._count(1)
        try:
            self._redis.rpush(BEGUN, session_id)
            return self._end(session_id)
        finally:
            self._redis.rpush(DONE, session_id)
            self._count(-1)

    def _end(self, session_id: str) -> Disposition | None:
        what, _, code = session_id.partition("-")[0].partition("_")
        if what == "wait":
            while not self._redis.lpop(END + session_id):
                if self._told_to_stop.wait(0.05):
                    return Disposition(why=HandBack.STOPPING, error="interrupted")
            what = "completed"
        if what == "unclaimed":
            return None
        if what == "waiting":
            return Disposition(why=HandBack.WAITING, after_s=12.0, error=code)
        return Disposition(closing=Closing(ending=Ending(what), error_code=code or None))

    def drain(self, *, within_s: float) -> None:
        with suppress(RedisError):
            self._redis.set(DRAINS, 1)
        with self._changed:
            self._changed.wait_for(lambda: not self._running, timeout=within_s)
        self._told_to_stop.set()
        with self._changed:
            self._changed.wait_for(lambda: not self._running, timeout=5)

    def _count(self, difference: int) -> None:
        with self._changed:
            self._running += difference
            self._changed.notify_all()


def main(url: str, slots: int, drain_s: float) -> int:
    logging.basicConfig(level=logging.WARNING)
    # A test may kill its connection, and its jobs continue.
    with Redis.from_url(url, retry=Retry(ConstantBackoff(0.1), 50)) as redis:
        controller = Controller(
            make_celery(url),
            ScriptedJobs(redis),
            name="wearon@scripted",
            slots=slots,
            drain_s=drain_s,
            on_ready=lambda: print("ready", flush=True),
        )
        controller.stop_on_signals()
        watchdog = Watchdog(url, controller)
        watchdog.start()
        try:
            return controller.run()
        finally:
            watchdog.stop()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])))
