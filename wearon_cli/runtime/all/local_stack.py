"""
The embedded stack of `--local`: a private Redis server and a data folder, both of this user only.

    DATA_DIR/wearon.db, files/, signing-secret rows and credits, pictures, the secret that signs
    addresses DATA_DIR/redis/ the queue, written through to disk every second DATA_DIR/stack.json
    addresses of the running stack, for other commands DATA_DIR/lock held while it runs
"""

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from wearon_cli.adapters.local.expiry import old_pictures_removed
from wearon_cli.core.errors import ConfigError, UpstreamError
from wearon_cli.core.provider_settings import PROVIDER_KEYS
from wearon_cli.core.settings import Settings, load_settings
from wearon_cli.runtime.all.child import dies_with_parent
from wearon_cli.runtime.all.redis_program import redis_program

DEFAULT_DATA_DIR: Final = Path(".wearon")
#: Settings that make a stack use an image provider.
_PROVIDER_NAMES: Final = frozenset(
    {*PROVIDER_KEYS.values(), "WEARON_PROVIDERS", "WEARON_STORE_PROVIDERS"}
)
STATE_FILE: Final = "stack.json"
LOG_FILE: Final = "stack.log"
PONG: Final = b"+PONG\r\n"
#: Longest waits for the Redis server, for the whole stack, for one answer, and for its exit.
REDIS_START_S: Final = 10.0
STACK_START_S: Final = 60.0
ANSWER_S: Final = 2.0
STACK_STOP_S: Final = 130.0


def attached(data_dir: Path) -> Settings | None:
    """Settings of the stack running in this folder; None when none answers."""
    try:
        state = json.loads((data_dir / STATE_FILE).read_text("utf-8"))
        redis_url, host, port = str(state["redis_url"]), str(state["host"]), int(state["port"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if not _answers(redis_url):
        return None  # left by a stack that was killed
    return _local_settings(data_dir, redis_url=redis_url, host=host, port=port)


def draws_previews(settings: Settings) -> bool:
    """True when the running local stack of these settings has no key: its pictures cost nothing."""
    if settings.local_dir is None:
        return False
    try:
        state = json.loads((settings.local_dir / STATE_FILE).read_text("utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(state, dict) and state.get("draws_previews") is True


@contextmanager
def local_services(data_dir: Path, *, host: str, port: int) -> Iterator[Settings]:
    """
    Start the private Redis server of a data folder, and stop it at the end.

    Args:
        data_dir: Made when missing.
        host: Where `serve` will listen.
        port: Its port; 0 takes a free one.

    Raises:
        ConfigError: A stack runs in this folder already; the folder or the port cannot be used; or
            there is no Redis server program.
    """
    folder = _made(data_dir)
    with _only_one(folder):
        port = usable_port(host, port)
        redis_port = usable_port("127.0.0.1", 0)
        redis_url = f"redis://127.0.0.1:{redis_port}/0"
        server = _start_redis(folder / "redis", redis_port)
        state = folder / STATE_FILE
        try:
            _await_redis(server, redis_url)
            settings = _local_settings(folder, redis_url=redis_url, host=host, port=port)
            facts = {
                "pid": os.getpid(),
                "redis_url": redis_url,
                "host": host,
                "port": port,
                "draws_previews": settings.draws_previews,
            }
            state.write_text(json.dumps(facts), "utf-8")
            with old_pictures_removed(folder / "files", keep_s=settings.local_keep_s):
                yield settings
        finally:
            state.unlink(missing_ok=True)
            _stop(server, within_s=REDIS_START_S)


@contextmanager
def local_settings(data_dir: Path, wanted: Settings | None = None) -> Iterator[Settings]:
    """Settings of the stack that runs in this folder, or of services started for the block."""
    settings = wanted or load_settings()
    running = attached(data_dir)
    if running is not None:
        yield running
        return
    with local_services(data_dir, host=settings.host, port=_wanted_port(settings)) as local:
        yield local


@contextmanager
def local_stack(data_dir: Path, *, previews_only: bool = False) -> Iterator[Settings]:
    """
    Run `wearon all --local` in a process of its own while the block runs.

    Args:
        data_dir: Its data folder; its log goes to `stack.log` there.
        previews_only: Spend nothing, even if image providers are configured.

    Raises:
        UpstreamError: It did not start; the hint says where its log is.
        ConfigError: A stack runs in this folder already.
    """
    folder = _made(data_dir)
    settings = load_settings()
    ready, ready_writer = os.pipe()
    environment = {
        **_surroundings(),
        "WEARON_READY_FD": str(ready_writer),
        "WEARON_LOG_FORMAT": "json",
    }
    if previews_only:
        environment = {k: v for k, v in environment.items() if k.upper() not in _PROVIDER_NAMES}
    with (folder / LOG_FILE).open("wb") as log:
        process = subprocess.Popen(  # noqa: S603 - ourselves
            [
                *(sys.executable, "-m", "wearon_cli", "all", "--local"),
                *("--data-dir", str(folder), "--port", str(_wanted_port(settings))),
            ],
            cwd=folder if previews_only else None,  # a .env here may name them
            env=environment,
            pass_fds=(ready_writer,),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # we pass Ctrl-C on
            preexec_fn=dies_with_parent(signal.SIGTERM),
        )
        os.close(ready_writer)
        try:
            yield _await_stack(process, ready, folder)
        finally:
            os.close(ready)
            _stop(process, within_s=STACK_STOP_S)


def environment_of(settings: Settings) -> dict[str, str]:
    """The environment of a role that works with this local stack."""
    if settings.local_dir is None or settings.redis_url is None:
        return _surroundings()
    return {
        **_surroundings(),
        "REDIS_URL": settings.redis_url.get_secret_value(),
        "WEARON_LOCAL_DIR": str(settings.local_dir),
        "WEARON_HOST": settings.host,
        "WEARON_PORT": str(settings.port),
    }


def _surroundings() -> dict[str, str]:
    return dict(os.environ)  # noqa: TID251 - a child's environment is ours and what is added


def usable_port(host: str, port: int) -> int:
    """
    The port, or a free one for 0.

    Raises:
        ConfigError: It is taken, or the address is not one of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as exc:
            raise ConfigError(
                f"cannot listen on {host} port {port}: {exc.strerror}",
                hint="use another one with --port or WEARON_PORT; 0 picks a free port",
            ) from exc
        return int(probe.getsockname()[1])


def _wanted_port(settings: Settings) -> int:
    """The port that the user set; otherwise a free one."""
    return settings.port if "port" in settings.model_fields_set else 0


def _local_settings(data_dir: Path, *, redis_url: str, host: str, port: int) -> Settings:
    return load_settings(redis_url=redis_url, local_dir=data_dir.resolve(), host=host, port=port)


def _made(data_dir: Path) -> Path:
    folder = data_dir.expanduser().absolute()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as exc:
        raise ConfigError(
            f"cannot create the data folder {folder}: {exc.strerror}",
            hint="use another one with --data-dir",
        ) from exc
    return folder


@contextmanager
def _only_one(folder: Path) -> Iterator[None]:
    with (folder / "lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            lock.seek(0)
            raise ConfigError(
                f"a stack already runs in {folder} (process {lock.read().strip() or 'unknown'})",
                hint="stop it, or use another folder with --data-dir",
            ) from exc
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def _start_redis(folder: Path, port: int) -> subprocess.Popen[bytes]:
    folder.mkdir(mode=0o700, exist_ok=True)
    options: Mapping[str, str] = {
        "--port": str(port),
        "--bind": "127.0.0.1",
        "--dir": str(folder),
        "--appendonly": "yes",
        "--appendfsync": "everysec",  # its death on a busy disk loses 2 s of writes
        "--save": "",
        "--maxmemory-policy": "noeviction",
        "--loglevel": "warning",
        "--logfile": str(folder / "redis.log"),
    }
    return subprocess.Popen(  # noqa: S603 - a program of this machine, with our options
        [redis_program(), *(word for option in options.items() for word in option)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=dies_with_parent(signal.SIGTERM),
    )


def _await_redis(server: subprocess.Popen[bytes], url: str) -> None:
    give_up_s = time.monotonic() + REDIS_START_S
    while time.monotonic() < give_up_s and server.poll() is None:
        if _answers(url):
            return
        time.sleep(0.02)
    raise UpstreamError(
        "the private Redis server did not start", hint="see redis/redis.log in the data folder"
    )


def _answers(url: str) -> bool:
    """Whether a Redis server is there and ready. One line of its protocol needs no client."""
    try:
        address = urlsplit(url)
        place = (address.hostname, address.port or 0)
        with socket.socket() as server:  # IPv4; to look up a name would import its encoding
            server.settimeout(ANSWER_S)
            server.connect(place)
            server.sendall(b"PING\r\n")
            return server.recv(len(PONG)) == PONG
    except (OSError, ValueError):  # nobody listens there; or this is no address
        return False


def _await_stack(process: subprocess.Popen[bytes], ready: int, folder: Path) -> Settings:
    """Wait for the ready line on the pipe; end of file without it means that the stack ended."""
    os.set_blocking(ready, False)
    give_up_s = time.monotonic() + STACK_START_S
    while time.monotonic() < give_up_s and process.poll() is None:
        try:
            if os.read(ready, 1) and (settings := attached(folder)) is not None:
                return settings
        except BlockingIOError:
            pass
        time.sleep(0.05)
    raise UpstreamError("the local stack did not start", hint=f"see {folder / LOG_FILE}")


def _stop(process: subprocess.Popen[bytes], *, within_s: float) -> None:
    process.terminate()
    try:
        process.wait(timeout=within_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
