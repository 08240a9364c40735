"""`wearon celery`: the role that runs the jobs."""

from wearon_cli.cli.options import DataDirOption, LocalOption
from wearon_cli.cli.role_options import ConcurrencyOption, started
from wearon_cli.core.errors import RoleFailed


def celery(
    concurrency: ConcurrencyOption = None,
    local: LocalOption = False,
    data_dir: DataDirOption = None,
) -> None:
    """
    Run the jobs. Start more of these to scale.

    Downloads and prepares the photos, has the image model dress the person, stores the picture and
    finishes the session, or fails it and gives the credit back. Jobs mostly wait for
    the image API, so hundreds run in one process; all processes on all machines share one rate
    limit (WEARON_REQUESTS_PER_MINUTE) through Redis.

    Needs REDIS_URL, SUPABASE_URL, SUPABASE_SERVICE_ROLE_KEY and OPENAI_API_KEY, or --local. Logs
    go to stderr.

    Stop it with SIGTERM, Ctrl-C or `celery control shutdown`: it takes no new jobs and begins no
    paid call, lets running jobs finish within WEARON_DRAIN_S, hands the rest back within 15 s more
    and exits with 0. A second signal ends it at once; its jobs are claimed again, here or
    elsewhere, within 45 s.

    Exit codes: 3 settings, 6 Redis or Supabase does not answer at start, 8 the worker failed, 75
    it took no messages, or did not stop in time, and ended itself to be restarted.
    """
    from wearon_cli.runtime.all.child import announcer
    from wearon_cli.runtime.worker.celery_worker import run_worker

    with started("celery", local=local, data_dir=data_dir, worker_concurrency=concurrency) as role:
        exit_code = run_worker(role.settings, role.meters, on_ready=announcer(role.settings))
    if exit_code:
        raise RoleFailed("the Celery worker stopped unexpectedly", hint="its log says why")
