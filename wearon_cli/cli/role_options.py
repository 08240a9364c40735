"""Shared by the role commands: their settings, and checks before they start."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from wearon_cli.core.errors import ConfigError

if TYPE_CHECKING:
    from wearon_cli.core.settings import Settings
    from wearon_cli.runtime.ops.metrics import Meters

HostOption = Annotated[
    str | None,
    typer.Option("--host", envvar="WEARON_HOST", help="Address to listen on. Default: 127.0.0.1."),
]
PortOption = Annotated[
    int | None,
    typer.Option(
        "--port",
        envvar="WEARON_PORT",
        min=0,
        max=65535,
        help="Port to listen on; 0 picks a free port. Default: 8000; with --local, a free port.",
    ),
]
ConcurrencyOption = Annotated[
    int | None,
    typer.Option(
        "--concurrency",
        envvar="WORKER_CONCURRENCY",
        min=1,
        max=2000,
        help="Jobs in flight in one Celery process. Default: 240.",
    ),
]

#: Only for `all` and the children that use its local stack.
LOCAL_NEEDS_FOLDER: Final = "--data-dir only works with --local"


def role_options(**options: Any) -> dict[str, Any]:
    """The options that were given; they override the environment."""
    return {name: value for name, value in options.items() if value is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """A role that is about to start."""

    settings: "Settings"
    meters: "Meters"


@contextmanager
def started(
    role: str, *, local: bool, data_dir: Path | None, needs_production: bool = True, **options: Any
) -> Iterator[Role]:
    """
    Set up a role that runs by itself: check settings, configure the log and metrics.

    Raises:
        ConfigError: A setting is wrong, or what production needs is missing.
    """
    from wearon_cli.core.events import observed_by
    from wearon_cli.core.settings import load_settings
    from wearon_cli.runtime.ops.logs import configure_logs
    from wearon_cli.runtime.ops.metrics import Meters

    settings = load_settings(**role_options(**options))
    meters = Meters()
    configure_logs(settings, role)
    with (
        observed_by(meters.count),
        _role_settings(
            settings, role_options(**options), local, data_dir, needs_production
        ) as checked,
    ):
        yield Role(settings=checked, meters=meters)


@contextmanager
def _role_settings(
    settings: "Settings",
    options: dict[str, Any],
    local: bool,
    data_dir: Path | None,
    needs_production: bool,
) -> "Iterator[Settings]":
    if settings.is_local:  # a child of `wearon all --local`
        yield settings
    elif local:
        from wearon_cli.runtime.all.local_stack import DEFAULT_DATA_DIR, local_settings

        with local_settings(data_dir or DEFAULT_DATA_DIR, settings) as ours:
            yield ours.model_copy(update=options)
    elif data_dir is not None:
        raise ConfigError(LOCAL_NEEDS_FOLDER, hint="add --local")
    else:
        if needs_production:
            settings.require_production()
        yield settings
