"""
Whether the role of this container answers: `python -m wearon_cli.runtime.ops.probe`.

Exit code 0 when it does, else 1.

Asks `serve` on its port, else the metrics of `consume` or `celery` on theirs.
"""

import http.client
import sys
from typing import Final

from wearon_cli.core.settings import load_settings
from wearon_cli.runtime.ops.metrics import PORT_OFFSETS

TIMEOUT_S: Final = 3.0


def main() -> int:
    """Exit code 0 when something of ours answers here."""
    settings = load_settings()
    doors = [(settings.port, "/health/live")]
    if settings.metrics_port is not None:
        doors += [(settings.metrics_port + n, "/metrics") for n in PORT_OFFSETS.values()]
    return int(not any(_answers(port, path) for port, path in doors))


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
