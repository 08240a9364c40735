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
    Run the jobs. Start more workers to scale.

    Downloads and prepares the photos, asks the image model for the picture, stores it and completes
    the session, or fails the session and returns the credit. Jobs mostly wait for the image API, so
    hundreds run in one process. All workers share one rate limit (WEARON_REQUESTS_PER_MINUTE)
    through Redis.

    Needs REDIS_URL, SUPABASE_URL, SUPABASE_SERVICE_ROLE_KEY and OPENAI_API_KEY, or --local. Logs
    go to stderr.

    Stop it with SIGTERM, Ctrl-C or `celery control shutdown`: it takes no new jobs and makes no
    more paid calls, lets running jobs finish within WEARON_DRAIN_S, returns the rest to the queue
    within another 15 s and exits with 0. A second signal ends it at once; other workers claim its
    jobs within 45 s.

    Exit codes: 3 a setting is wrong, 6 Redis or Supabase does not answer at start, 8 the worker
    failed, 75 the worker took no messages or did not stop in time, and exited to be restarted.
    """
    from wearon_cli.runtime.all.child import announcer
    from wearon_cli.runtime.worker.celery_worker import run_worker

    with started("celery", local=local, data_dir=data_dir, worker_concurrency=concurrency) as role:
        exit_code = run_worker(role.settings, role.meters, on_ready=announcer(role.settings))
    if exit_code:
        raise RoleFailed("the Celery worker stopped unexpectedly", hint="see its log")
