"""`wearon serve`: the role that answers HTTP."""

from wearon_cli.cli.options import DataDirOption, LocalOption
from wearon_cli.cli.role_options import HostOption, PortOption, started


def serve(
    host: HostOption = None,
    port: PortOption = None,
    local: LocalOption = False,
    data_dir: DataDirOption = None,
) -> None:
    """
    Serve HTTP: body measurement and health checks.

    POST /estimate-body measures the body in a photo (see docs/measuring.md). GET /health reports
    whether the pose model is loaded and Redis answers; /health/live and /health/ready are for
    probes. With --local it also serves the stored pictures.

    Needs the pose model (`wearon model pull`). REDIS_URL is only used for the health check: without
    it, health is degraded. Logs go to stderr.

    Stop it with SIGTERM or Ctrl-C: it finishes open requests and exits with 0.

    Exit codes: 3 a setting is wrong or the port is in use.
    """
    from wearon_cli.runtime.all.child import announcer
    from wearon_cli.runtime.http.server import serve as run_server

    with started(
        "serve", local=local, data_dir=data_dir, needs_production=False, host=host, port=port
    ) as role:
        run_server(role.settings, role.meters, on_ready=announcer(role.settings))
