"""`wearon consume`: the role that takes jobs in."""

from wearon_cli.cli.options import DataDirOption, LocalOption
from wearon_cli.cli.role_options import started


def consume(local: LocalOption = False, data_dir: DataDirOption = None) -> None:
    """
    Take jobs from the queue; recover lost ones.

    Moves each payload from the platform's list into the journal, sends a Celery message for it, and
    keeps recovering from crashes: jobs of killed workers, delayed jobs that are due, payloads of
    dead consumers, open sessions without a job. Invalid payloads become dead letters. Any number of
    consumers can run at once, on any machine.

    Needs REDIS_URL, SUPABASE_URL, SUPABASE_SERVICE_ROLE_KEY and OPENAI_API_KEY, or --local. Logs
    go to stderr.

    Stop it with SIGTERM or Ctrl-C: it returns the payloads it holds and exits with 0. If it is
    killed, nothing is lost: another consumer returns them within 45 s.

    Exit codes: 3 a setting is wrong, 6 Redis or Supabase does not answer at start.
    """
    from wearon_cli.runtime.all.child import announcer
    from wearon_cli.runtime.consumer import run_consumer

    with started("consume", local=local, data_dir=data_dir) as role:
        run_consumer(role.settings, role.meters, on_ready=announcer(role.settings))
