"""Which stack a command works with: the production one, or a local one, running or started."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from wearon_cli.cli.model_fetch import ensure_model
from wearon_cli.core.errors import ConfigError

if TYPE_CHECKING:
    from wearon_cli.core.settings import Settings


@contextmanager
def stack_settings(
    local: bool, data_dir: Path | None, *, needs_workers: bool = True
) -> "Iterator[Settings]":
    """
    Settings of the stack to work with.

    With `local`: those of the stack that runs in the data folder, or of one that is started for the
    block; for a command that needs no workers, only its queue is started.

    Raises:
        ConfigError: A data folder is given without `--local`, production settings are missing, or a
            command that needs no workers finds no data folder.
    """
    if not local:
        if data_dir is not None:
            raise ConfigError("--data-dir only works with --local", hint="add --local")
        from wearon_cli.core.settings import load_settings

        yield load_settings()
        return
    from wearon_cli.runtime.all.local_stack import (
        DEFAULT_DATA_DIR,
        attached,
        local_settings,
        local_stack,
    )

    folder = data_dir or DEFAULT_DATA_DIR
    running = attached(folder)
    if running is not None:
        yield running
        return
    if needs_workers:
        ensure_model_for_previews(folder)
    elif not folder.exists():  # started in another folder, it would show an empty stack
        raise ConfigError(
            f"there is no local stack in {folder.absolute()}",
            hint="go to its folder or name it with --data-dir, or start one: `wearon all --local`",
        )
    with local_stack(folder) if needs_workers else local_settings(folder) as started:
        yield started


def ensure_model_for_previews(folder: Path) -> None:
    """
    Get the pose model before starting a local stack that will make previews.

    Raises:
        ConfigError, UpstreamError: As `ensure_model`.
    """
    from wearon_cli.core.settings import load_settings

    settings = load_settings(local_dir=folder)
    if settings.draws_previews:
        ensure_model(settings)
