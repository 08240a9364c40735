"""The `celery` role: a Celery worker that carries jobs to one event loop."""

from collections.abc import Callable

from wearon_cli.adapters.celery_app import make_celery
from wearon_cli.core.events import emit
from wearon_cli.core.settings import Settings
from wearon_cli.runtime.events import WorkerReady, WorkerStopped
from wearon_cli.runtime.ops.metrics import Meters, expose
from wearon_cli.runtime.worker.controller import Controller
from wearon_cli.runtime.worker.job_loop import JobLoop
from wearon_cli.runtime.worker.watchdog import Watchdog
from wearon_cli.wiring.parts import redis_url


def run_worker(
    settings: Settings, meters: Meters, *, on_ready: Callable[[], None] = lambda: None
) -> int:
    """
    Run jobs until SIGTERM or SIGINT; returns the exit code.

    Raises:
        ConfigError: A setting is wrong.
        UpstreamError: Redis or the session store does not answer at start.
    """
    address = redis_url(settings)
    jobs = JobLoop(settings)

    def ready() -> None:
        emit(WorkerReady(concurrency=settings.worker_concurrency))
        on_ready()

    app = make_celery(address)
    meters.show("jobs_in_flight", "Jobs being done here.", lambda: jobs.in_flight)
    stop_showing = expose(meters, settings, "celery")
    jobs.start()
    controller = Controller(
        app,
        jobs,
        name=f"wearon@{jobs.worker.worker_id}",
        slots=settings.worker_concurrency,
        drain_s=settings.drain_s,
        on_ready=ready,
    )
    controller.stop_on_signals()
    watchdog = Watchdog(address, controller)
    watchdog.start()
    try:
        exit_code = controller.run()
    finally:
        watchdog.stop()
        jobs.stop()
        stop_showing()
    emit(WorkerStopped(exit_code=exit_code))
    return exit_code
