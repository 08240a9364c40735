"""The `celery` role: a Celery worker with a threads pool over one event loop of jobs."""

import os
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any, Final

from celery import Celery
from celery.worker import state

from wearon_cli.adapters.celery_app import GENERATE, make_celery
from wearon_cli.core.errors import ConfigError
from wearon_cli.core.events import emit
from wearon_cli.core.settings import Settings
from wearon_cli.runtime.events import WorkerReady, WorkerStopped
from wearon_cli.runtime.ops.metrics import Meters, expose
from wearon_cli.runtime.worker.job_loop import HAND_BACK_S, JobLoop
from wearon_cli.runtime.worker.watchdog import Watchdog

#: A stop is noticed within this time.
NOTICE_STOP_S: Final = 0.5
#: Exit code of a worker that ends itself because it is unresponsive (EX_TEMPFAIL).
EXIT_UNRESPONSIVE: Final = 75
#: Exit code after a second signal.
EXIT_AT_ONCE: Final = 130


def run_worker(
    settings: Settings, meters: Meters, *, on_ready: Callable[[], None] = lambda: None
) -> int:
    """
    Run jobs until SIGTERM or SIGINT; returns the exit code.

    Raises:
        ConfigError: A setting is wrong.
        UpstreamError: Redis or the session store does not answer at start.
    """
    if settings.redis_url is None:
        raise ConfigError("REDIS_URL is not set", hint="set it, or use --local")
    redis_url = settings.redis_url.get_secret_value()
    jobs = JobLoop(settings)
    meters.show("jobs_in_flight", "Jobs running here.", lambda: jobs.in_flight)
    stop_showing = expose(meters, settings, "celery")
    jobs.start()
    watchdog = Watchdog(
        redis_url,
        jobs,
        concurrency=settings.worker_concurrency,
        on_unresponsive=lambda: _leave_unresponsive(jobs, settings),
    )
    worker = _controller(make_celery(redis_url), jobs, settings, on_ready)
    _stop_on_signals(jobs, settings)
    watchdog.start()
    try:
        worker.start()
    finally:
        watchdog.stop()
        jobs.drain(within_s=0.0)
        jobs.stop()
        stop_showing()
    exit_code = int(worker.exitcode or 0)
    emit(WorkerStopped(exit_code=exit_code))
    return exit_code


def _controller(
    app: Celery, jobs: JobLoop, settings: Settings, on_ready: Callable[[], None]
) -> Any:
    """Celery's worker without its banner, signals and logging: those are ours."""

    def generate() -> None:
        jobs.answer()

    app.task(generate, name=GENERATE)

    def ready(_consumer: object) -> None:
        emit(WorkerReady(concurrency=settings.worker_concurrency))
        on_ready()

    worker = app.WorkController(
        pool="threads",
        concurrency=settings.worker_concurrency,
        ready_callback=ready,
        without_gossip=True,
        without_heartbeat=True,
        without_mingle=True,
    )
    # Celery's loop looks for a stop only between two polls, which are long to spare Redis.
    worker.timer.call_repeatedly(NOTICE_STOP_S, lambda: None)
    return worker


def _stop_on_signals(jobs: JobLoop, settings: Settings) -> None:
    """First signal: take no more, drain. Second: end at once; recovery finishes what was open."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        if state.should_stop is not None:
            os._exit(EXIT_AT_ONCE)
        state.should_stop = 0
        drain = threading.Thread(
            target=jobs.drain, kwargs={"within_s": settings.drain_s}, name="drain", daemon=True
        )
        drain.start()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)


def _leave_unresponsive(jobs: JobLoop, settings: Settings) -> None:
    """
    End a worker that cannot be asked to: running jobs first get their drain time.

    It uses a timer of its own, since the job loop may be what hangs.
    """
    threading.Timer(settings.drain_s + HAND_BACK_S, os._exit, [EXIT_UNRESPONSIVE]).start()
    jobs.drain(within_s=settings.drain_s)
    os._exit(EXIT_UNRESPONSIVE)
