"""
Celery carries the jobs: one message for each released job, with its session id.

The journal decides at the claim whether the job still has to run, so nothing depends on Celery's
redelivery, results, late acknowledgements or countdowns; they are off. A duplicate message finds
nothing to claim; a lost one delays the job until the release expires.

Standard tools find the application by this module's name, with REDIS_URL in the environment:
`celery -A wearon_cli.adapters.celery_app inspect active`.
"""

import asyncio
import sys
import threading
from typing import Any, Final, NoReturn

from celery import Celery
from kombu.exceptions import KombuError

from wearon_cli.adapters.redis.address import broker
from wearon_cli.adapters.redis.keys import CELERY_QUEUE
from wearon_cli.core.errors import ConfigError, QueueUnavailable
from wearon_cli.core.jobs.journal import Released
from wearon_cli.core.settings import load_settings

#: The only task: run the job of a session.
GENERATE: Final = "wearon.generate"
#: One blocking read of the queue. Long, because hosted Redis bills by the command; not longer,
#: because a stopping worker waits for it to end.
POLL_S: Final = 4
#: A connection that is silent for this long counts as dead: without this limit a command on a lost
#: route would wait 15 minutes. Longer than a blocking read.
SILENCE_S: Final = 10
#: A connection that Redis has closed is only noticed on use, so a message is sent again once.
SEND_AGAIN: Final = {"max_retries": 1, "interval_start": 0, "interval_step": 0, "interval_max": 0}


def make_celery(redis_url: str) -> Celery:
    """
    The Celery application. Opens no connection.

    Raises:
        ConfigError: The address is not one we connect to.
    """
    address = broker(redis_url)
    app = Celery("wearon", broker=address.url, set_as_current=False)
    app.conf.update(
        accept_content=["json"],
        broker_connection_max_retries=None,
        broker_connection_retry_on_startup=True,
        broker_transport_options={
            # A message is removed from Redis when it is taken; Celery never redelivers it.
            "ack_emulation": False,
            "polling_interval": POLL_S,
            "priority_steps": [0],
            "socket_keepalive": True,
            "socket_connect_timeout": 3,
            "socket_timeout": SILENCE_S,
        },
        broker_use_ssl=address.use_ssl,
        result_backend=None,
        task_default_queue=CELERY_QUEUE,
        task_ignore_result=True,
        task_serializer="json",
        worker_cancel_long_running_tasks_on_connection_loss=False,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        worker_send_task_events=True,
    )
    return app


class CelerySender:
    """Implements `Sender`: one LPUSH per message, over a connection of its own."""

    def __init__(self, app: Celery) -> None:
        # Celery's own pool of connections is one for the whole process, and cannot be closed by one
        # of several that use it.
        self._app: Any = app
        self._connection: Any = self._app.connection_for_write()
        self._producer: Any = self._app.amqp.Producer(self._connection)
        self._one_at_a_time = threading.Lock()

    async def send(self, job: Released) -> None:
        await asyncio.to_thread(self._send, job)

    def _send(self, job: Released) -> None:
        try:
            with self._one_at_a_time:
                self._app.send_task(
                    GENERATE,
                    args=[job.session_id],
                    # Celery ignores the id of a task that was revoked or has finished, so each
                    # release has its own.
                    task_id=f"{job.session_id}.{job.number}",
                    headers={"request_id": job.request_id, "channel": job.channel.value},
                    producer=self._producer,
                    retry_policy=SEND_AGAIN,
                )
        except (KombuError, OSError) as exc:
            raise QueueUnavailable("Redis did not accept a Celery message") from exc

    async def aclose(self) -> None:
        """Close the connection to the broker."""
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        self._connection.release()
        self._app.close()


def __getattr__(name: str) -> Celery:
    """`app`, created when Celery's own command looks for it; importing this module does nothing."""
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        settings = load_settings()
        if settings.redis_url is None:
            raise ConfigError("REDIS_URL is not set", hint="set it in the environment or in .env")
        app = make_celery(settings.redis_url.get_secret_value())
    except ConfigError as exc:
        # Celery's command would print the traceback of any exception.
        sys.stderr.write(f"Error: {exc} ({exc.hint})\n")
        raise SystemExit(exc.exit_code) from exc
    _refuse_worker(app)
    return app


def _refuse_worker(app: Any) -> None:
    """Make `celery worker` print what to use instead, whatever its options."""
    import click

    def refuse(*_: object) -> NoReturn:
        raise click.ClickException(
            "start workers with `wearon celery`, which checks its settings and services first"
        )

    # Its callback runs while the command line is read: before anything is started or detached.
    app.user_options["worker"].add(
        click.Option(["--wearon"], hidden=True, is_flag=True, expose_value=False, callback=refuse)
    )
