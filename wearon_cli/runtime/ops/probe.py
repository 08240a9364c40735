"""
Whether the role of this container answers: `python -m wearon_cli.runtime.ops.probe`.

Exit code 0 if it does, otherwise 1 with a sentence on stderr.

The role is read from the command line of the container's first process. `serve` is asked on its
port, `consume` and `celery` on that of their metrics (the image sets WEARON_METRICS_PORT), `all` on
all three. Nothing outside the container is checked: a restart does not help while Redis is
unavailable.
"""

import http.client
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from wearon_cli.core.settings import Settings, load_settings
from wearon_cli.runtime.ops.metrics import PORT_OFFSETS

TIMEOUT_S: Final = 3.0
FIRST_PROCESS: Final = Path("/proc/1/cmdline")
#: No metric has this name, so the answer is empty and nothing is collected.
_METRICS: Final = "/metrics?name[]=none"

type Address = tuple[int, str]  # port and path


def main(first_process: Path = FIRST_PROCESS) -> int:
    """Exit code 0 when the role of this container answers; without a role of ours, when any
    answers.
    """
    addresses = _addresses(load_settings())
    role = _role(first_process)
    if role is None:
        return _told(any(_answers(*each) for each in addresses.values()), "no role answers here")
    asked = ["serve", *PORT_OFFSETS] if role == "all" else [role]
    if missing := [each for each in asked if each not in addresses]:
        return _told(False, f"cannot check {', '.join(missing)}: set WEARON_METRICS_PORT")
    silent = [each for each in asked if not _answers(*addresses[each])]
    return _told(not silent, f"{', '.join(silent)} does not answer")


def _addresses(settings: Settings) -> Mapping[str, Address]:
    addresses = {"serve": (settings.port, "/health/live")}
    if settings.metrics_port is not None:
        ports = {role: settings.metrics_port + offset for role, offset in PORT_OFFSETS.items()}
        addresses |= {role: (port, _METRICS) for role, port in ports.items()}
    return addresses


def _role(first_process: Path) -> str | None:
    """The role that `wearon` was started as; None when the first process is another program."""
    try:
        words = first_process.read_text("utf-8", errors="replace").split("\0")
    except OSError:
        return None
    return next((word for word in words if word in {"all", "serve", *PORT_OFFSETS}), None)


def _told(is_well: bool, sentence: str) -> int:
    if not is_well:
        sys.stderr.write(f"{sentence}\n")
    return int(not is_well)


def _answers(port: int, path: str) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(main())
