"""
The Celery application. Its messages carry no content: each asks a worker to claim a job.

The journal decides which job, at the claim. So nothing depends on Celery's redelivery, results,
late acknowledgements or countdowns; they are off. A surplus message finds no job and does nothing.
"""

import asyncio
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

from wearon_cli.adapters.redis import keys
from wearon_cli.core.errors import QueueUnavailable

if TYPE_CHECKING:
    from celery import Celery

#: The only task: claim a job and run it.
GENERATE: Final = "wearon.generate"
#: One blocking read of the queue. Long, because hosted Redis bills by the command; not longer,
#: because a stopping worker waits for it to end.
POLL_S: Final = 4
#: A connection that is silent for this long counts as dead: TCP alone would take 15 minutes to
#: notice a lost route. Longer than a blocking read.
SILENCE_S: Final = 10
#: After this time kombu redelivers unacknowledged messages. Messages are acknowledged when a thread
#: takes them, so this only concerns what a killed worker had prefetched, and recovery sends new
#: messages for those jobs long before.
VISIBILITY_S: Final = 3600


def make_celery(redis_url: str) -> "Celery":
    """The Celery application of this product. Opens no connection."""
    from celery import Celery  # 0.2 s, and most operator tools send no message

    app = Celery("wearon", broker=redis_url, set_as_current=False)
    app.conf.update(
        accept_content=["json"],
        broker_connection_max_retries=None,
        broker_connection_retry_on_startup=True,
        broker_transport_options={
            "polling_interval": POLL_S,
            "visibility_timeout": VISIBILITY_S,
            "socket_keepalive": True,
            "socket_connect_timeout": 3,
            "socket_timeout": SILENCE_S,
        },
        result_backend=None,
        task_default_queue=keys.CELERY_QUEUE,
        task_ignore_result=True,
        task_serializer="json",
        worker_cancel_long_running_tasks_on_connection_loss=False,
        worker_disable_prefetch=True,
        worker_hijack_root_logger=False,
        worker_prefetch_multiplier=1,
        worker_redirect_stdouts=False,
        worker_send_task_events=False,
    )
    return app


class CeleryWaker:
    """Implements `Waker`. Imports Celery, and connects, at the first call."""

    def __init__(self, redis_url: str) -> None:
        self._redis_url = redis_url
        self._app: Any = None
        self._making = Lock()  # calls run in threads, several at once

    async def wake(self) -> None:
        await asyncio.to_thread(self._send)

    def _send(self) -> None:
        from kombu.exceptions import OperationalError

        with self._making:
            self._app = self._app or make_celery(self._redis_url)
        try:
            self._app.send_task(GENERATE, retry=False)
        except (OperationalError, OSError) as exc:
            raise QueueUnavailable("Redis did not accept a Celery message") from exc

    async def aclose(self) -> None:
        """Close the connections to the broker."""
        if self._app is not None:
            await asyncio.to_thread(self._app.close)
