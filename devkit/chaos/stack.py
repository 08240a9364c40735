"""Everything that runs during a round, including the processes that are killed."""

import random
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from devkit.chaos.providers import ChaosProvider
from devkit.processes import started
from devkit.servers.image_api_process import ImageApiProcess
from devkit.servers.photos import served_photos
from devkit.servers.redis_server import RedisServer
from devkit.servers.supabase import SERVICE_KEY, SupabaseServer

#: Two of each role that works on jobs, so that one can continue while the other is dead.
ROLES = ("consume", "consume", "celery", "celery", "serve")
#: Shorter than the slow calls, so that a rolling restart meets calls that do not end within it.
DRAIN_S = 4
#: Of every role, whatever the provider and the round.
SETTINGS = {"WEARON_LOG_FORMAT": "json", "WEARON_PORT": "0", "WEARON_DRAIN_S": str(DRAIN_S)}
#: Records every change of a row's status, so that the report does not depend on the last one.
HISTORY = """
CREATE TABLE status_history (id uuid, status text, at timestamptz DEFAULT clock_timestamp());
CREATE FUNCTION keep_status() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN INSERT INTO status_history (id, status) VALUES (NEW.id, NEW.status); RETURN NEW; END $$;
CREATE TRIGGER keep AFTER UPDATE OF status ON generation_sessions
    FOR EACH ROW EXECUTE FUNCTION keep_status();
CREATE TRIGGER keep AFTER UPDATE OF status ON store_generation_sessions
    FOR EACH ROW EXECUTE FUNCTION keep_status();
"""


@dataclass
class Process:
    """One role's process, restarted whenever it has exited."""

    role: str
    number: int
    environment: dict[str, str]
    folder: Path
    process: subprocess.Popen[bytes] | None = None
    starting: threading.Lock = field(default_factory=threading.Lock)

    def start(self) -> None:
        self.process = started(self.role, environment=self.environment, log=self.log)

    @property
    def log(self) -> Path:
        return self.folder / f"{self.role}-{self.number}.log"

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def kill(self) -> None:
        if self.process is not None and self.is_running:
            self.process.kill()
            self.process.wait()

    def keep_alive(self) -> None:
        with self.starting:  # timers and the failures restart it
            if not self.is_running:
                self.start()

    def stop(self) -> None:
        if self.process is not None and self.is_running:
            self.process.send_signal(signal.SIGTERM)

    def wait(self, timeout_s: float) -> None:
        if self.process is not None:
            self.process.wait(timeout=timeout_s)


@dataclass
class ActionLog:
    """A log of what was done, and when."""

    kills: list[tuple[float, Process]] = field(default_factory=list)  # epoch seconds
    lines: list[str] = field(default_factory=list)
    begun_s: float = field(default_factory=time.time)

    def say(self, text: str) -> None:
        self.lines.append(f"{time.time() - self.begun_s:6.1f} s  {text}")
        print(self.lines[-1], flush=True)


@dataclass(kw_only=True)
class ChaosStack:
    """All running parts."""

    server: SupabaseServer
    redis: RedisServer
    provider: ChaosProvider
    api: ImageApiProcess
    processes: list[Process]
    photos: str  # origin of the input pictures
    chance: random.Random
    actions: ActionLog

    def of_role(self, role: str) -> list[Process]:
        return [each for each in self.processes if each.role == role]

    def restart_all(self) -> None:
        for each in self.processes:
            each.keep_alive()

    def stop(self) -> None:
        for each in self.processes:
            each.stop()
        for each in self.processes:
            each.wait(timeout_s=130)


@contextmanager
def chaos_stack(seed: int, provider: ChaosProvider, **settings: str) -> Iterator[ChaosStack]:
    """Start everything, and stop it."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = stack.enter_context(SupabaseServer())
        server.run(HISTORY)
        redis = RedisServer(folder)
        redis.start()
        stack.callback(redis.stop)
        api = stack.enter_context(provider.process(latency="0.5-3", seed=seed))
        api.rules(faults=provider.rules())
        photos = stack.enter_context(served_photos())
        environment = {
            "REDIS_URL": redis.url,
            "SUPABASE_URL": server.url,
            "SUPABASE_SERVICE_ROLE_KEY": SERVICE_KEY,
            **provider.environment(api),
            "WEARON_FETCH_ORIGINS": ",".join((photos, *provider.origins(api))),
            **SETTINGS,
            **settings,
        }
        processes = [
            Process(role=role, number=n, environment=environment, folder=folder)
            for n, role in enumerate(ROLES)
        ]
        one = ChaosStack(
            server=server,
            redis=redis,
            provider=provider,
            api=api,
            processes=processes,
            photos=photos,
            chance=random.Random(seed),
            actions=ActionLog(),
        )
        stack.callback(one.stop)
        one.restart_all()
        yield one
