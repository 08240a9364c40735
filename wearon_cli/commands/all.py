"""`wearon all`: consume, celery and serve on one machine, supervised."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from wearon_cli.cli.options import DataDirOption, LocalOption
from wearon_cli.cli.output import note
from wearon_cli.cli.role_options import (
    LOCAL_NEEDS_FOLDER,
    ConcurrencyOption,
    HostOption,
    PortOption,
    role_options,
)
from wearon_cli.cli.stack import ensure_model_for_previews
from wearon_cli.core.errors import ConfigError, UpstreamError

if TYPE_CHECKING:
    from wearon_cli.core.settings import Settings

ROLES: Final = ("consume", "celery", "serve")
#: Settings that the local stack decides; all others are the user's.
LOCAL_FIELDS: Final = {"redis_url", "local_dir", "host", "port"}


def all_roles(
    host: HostOption = None,
    port: PortOption = None,
    concurrency: ConcurrencyOption = None,
    local: LocalOption = False,
    data_dir: DataDirOption = None,
) -> None:
    """
    Run consume, celery and serve together, supervised.

    Starts one of each as a child process and restarts a child that dies, with increasing delay; if
    one keeps dying, everything stops. All log to stderr, as JSON or, on a terminal, as text.

    Needs REDIS_URL, SUPABASE_URL, SUPABASE_SERVICE_ROLE_KEY and OPENAI_API_KEY. With --local it
    needs none of them: it starts a private Redis server and keeps rows, credits and pictures in the
    data folder; without OPENAI_API_KEY the pictures are previews.

    Stop it with SIGTERM or Ctrl-C: the children drain within WEARON_STOP_GRACE_S. A second signal
    kills them. Neither loses a job.

    Exit codes: 0 stopped by a signal, 3 a setting is wrong or the port is in use, 6 Redis or
    Supabase does not answer at start, 8 a role could not be kept running.
    """
    from wearon_cli.runtime.all.child import announcer
    from wearon_cli.runtime.all.local_stack import environment_of
    from wearon_cli.runtime.all.supervisor import Supervisor

    options = role_options(host=host, port=port, worker_concurrency=concurrency)
    with _stack(options, local=local, data_dir=data_dir) as settings:
        environment = {**environment_of(settings), "WEARON_HOST": settings.host}
        environment |= {"WEARON_PORT": str(settings.port)}
        environment |= {"WORKER_CONCURRENCY": str(settings.worker_concurrency)}
        supervisor = Supervisor(
            {role: (role,) for role in ROLES},
            environment=environment,
            grace_s=settings.stop_grace_s,
            on_ready=announcer(settings),
        )
        asyncio.run(supervisor.run())


@contextmanager
def _stack(options: dict[str, Any], *, local: bool, data_dir: Path | None) -> "Iterator[Settings]":
    from wearon_cli.core.settings import load_settings
    from wearon_cli.runtime.all.local_stack import DEFAULT_DATA_DIR, local_services, usable_port
    from wearon_cli.runtime.ops.logs import configure_logs

    settings = load_settings(**options)
    configure_logs(settings, "all")
    if local:
        folder = data_dir or DEFAULT_DATA_DIR
        _fetch_model(folder)
        wanted = settings.port if "port" in settings.model_fields_set else 0
        with local_services(folder, host=settings.host, port=wanted) as ours:
            _print_addresses(ours)
            yield settings.model_copy(update=ours.model_dump(include=LOCAL_FIELDS))
        return
    if data_dir is not None:
        raise ConfigError(LOCAL_NEEDS_FOLDER, hint="add --local")
    settings.require_production()
    usable_port(settings.host, settings.port)
    yield settings


def _fetch_model(folder: Path) -> None:
    """Previews need the pose model; a stack works without it, so a failure is only a note."""
    try:
        ensure_model_for_previews(folder)
    except (ConfigError, UpstreamError) as exc:
        note(f"previews cannot be made here: {exc}\n  {exc.hint}")


def _print_addresses(settings: "Settings") -> None:
    """Print where to find the local stack's parts."""
    redis = settings.redis_url.get_secret_value() if settings.redis_url else ""
    note(f"local stack: data in {settings.local_dir}")
    note(f"  queue   redis-cli -u {redis}")
    note(f"  HTTP    http://{settings.host}:{settings.port}/health")
    note("  try it  wearon try-on PERSON GARMENT --local      stop it: Ctrl-C")
