"""
Jobs under violence: kill -9 of every role, a Redis restart, an outage of Supabase, faults of the
image API of every kind, duplicates, payloads that are no jobs.

    python -m devkit.chaos [--jobs 200] [--seed N]          make chaos

Real processes over real Redis, PostgreSQL and PostgREST, all on loopback. The seed decides jobs,
faults and the order of violence; the machine's own timing still differs from run to run. Ends with
a table; exit code 1 when a promise of docs/reliability.md is broken.
"""

import argparse
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from redis import Redis
from redis.exceptions import RedisError

from devkit.machine import machine
from devkit.servers.image_api import KEY
from devkit.servers.image_api_faults import BILLED
from devkit.servers.image_api_process import ImageApiProcess
from devkit.servers.photos import served_photos
from devkit.servers.platform import KINDS, Job, Platform
from devkit.servers.redis_server import RedisServer
from devkit.servers.supabase import SERVICE_KEY, SupabaseServer
from devkit.workers import none_open
from wearon_cli.adapters.redis import keys
from wearon_cli.core.jobs.events import (
    JobAbandoned,
    JobCompleted,
    JobSettled,
    JobStarted,
    JobStopped,
)

#: Two of each role that works on jobs, so that one can go on while the other is dead.
ROLES = ("consume", "consume", "celery", "celery", "serve")
#: Probability of each fault of the image API, for each call.
FAULTS = {
    **dict.fromkeys(
        ("rate_limited", "server_error", "overloaded", "html_502", "drop_before"), 0.03
    ),
    **dict.fromkeys(("moderation_input", "invalid_value", "moderation_output"), 0.015),
    **dict.fromkeys(("drop_after", "html_200", "truncated_body", "not_base64"), 0.01),
    "slow": 0.02,
}
GARBAGE = (b"{", b"[]", b"\xff\xfe\x00", b'{"session_id": 7}', b'"text"', b"9" * 5000)
RECOVERY_PROMISE_S = 45.0
RESTART_AFTER_S = 1.0
#: Log events after which a worker no longer has a job in hand.
ENDS_OF_AN_ATTEMPT = {each.name() for each in (JobCompleted, JobSettled, JobStopped, JobAbandoned)}
#: Every change of a row's status, so that the truth does not hang on the last one.
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
class Worker:
    """One role's process, started again whenever it is gone."""

    role: str
    number: int
    environment: dict[str, str]
    folder: Path
    process: subprocess.Popen[bytes] | None = None
    starts: int = 0

    def start(self) -> None:
        self.starts += 1
        with self.log.open("ab") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "wearon_cli", self.role],
                env={**os.environ, **self.environment},
                stdout=out,
                stderr=out,
            )

    @property
    def log(self) -> Path:
        return self.folder / f"{self.role}-{self.number}.log"

    def kill(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def keep_alive(self) -> None:
        if self.process is None or self.process.poll() is not None:
            self.start()

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)


@dataclass
class Violence:
    """What was done, and when."""

    kills: list[tuple[float, Worker]] = field(default_factory=list)  # epoch seconds
    lines: list[str] = field(default_factory=list)
    begun_s: float = field(default_factory=time.time)

    def say(self, text: str) -> None:
        self.lines.append(f"{time.time() - self.begun_s:6.1f} s  {text}")
        print(self.lines[-1], flush=True)


@dataclass(kw_only=True)
class Arena:
    """Everything that runs."""

    server: SupabaseServer
    redis: RedisServer
    api: ImageApiProcess
    workers: list[Worker]
    chance: random.Random
    violence: Violence

    def kill_someone(self) -> None:
        worker = self.chance.choice(self.workers)
        worker.kill()
        self.violence.kills.append((time.time(), worker))
        self.violence.say(f"kill -9 {worker.role} {worker.number}")
        threading.Timer(RESTART_AFTER_S, worker.keep_alive).start()

    def restart_redis(self, away_s: float) -> None:
        self.violence.say(f"kill -9 of Redis, gone for {away_s:.0f} s")
        self.redis.kill()
        time.sleep(away_s)
        self.redis.start()

    def close_supabase(self, away_s: float) -> None:
        fault = self.chance.choice(["unavailable", "html", "html_502", "drop"])
        self.violence.say(f"Supabase answers {fault!r} for {away_s:.0f} s")
        with self.server.door.failing(fault):
            time.sleep(away_s)

    def revive(self) -> None:
        for worker in self.workers:
            worker.keep_alive()


@contextmanager
def arena(seed: int, **settings: str) -> Iterator[Arena]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = stack.enter_context(SupabaseServer())
        server.run(HISTORY)
        redis = RedisServer(folder)
        redis.start()
        stack.callback(redis.stop)
        api = stack.enter_context(ImageApiProcess(latency="0.5-3", seed=seed))
        api.rules(faults=[{"name": n, "probability": p} for n, p in FAULTS.items()])
        environment = {
            "REDIS_URL": redis.url,
            "SUPABASE_URL": server.url,
            "SUPABASE_SERVICE_ROLE_KEY": SERVICE_KEY,
            "OPENAI_API_KEY": KEY,
            "OPENAI_BASE_URL": api.base_url,
            "WEARON_FETCH_ORIGINS": stack.enter_context(served_photos()),
            "WEARON_LOG_FORMAT": "json",
            "WEARON_PORT": "0",
            **settings,
        }
        workers = [
            Worker(role=role, number=n, environment=environment, folder=folder)
            for n, role in enumerate(ROLES)
        ]
        for worker in workers:
            worker.start()
        one = Arena(
            server=server,
            redis=redis,
            api=api,
            workers=workers,
            chance=random.Random(seed),
            violence=Violence(),
        )
        try:
            yield one
        finally:
            for worker in workers:
                worker.stop()
            for worker in workers:
                if worker.process is not None:
                    worker.process.wait(timeout=130)


def push(arena: Arena, platform: Platform, jobs: int, over_s: float) -> list[Job]:
    """Jobs of all kinds over some time; a tenth twice, and garbage between them."""
    chance = arena.chance
    made: list[Job] = []
    for n in range(jobs):
        fails = chance.choices(["", "gone", "malformed"], [0.92, 0.04, 0.04])[0]
        job = platform.order(KINDS[n % len(KINDS)], fails)
        made.append(job)
        payloads = [job.payload] * (2 if chance.random() < 0.1 else 1)
        if chance.random() < 0.05:
            payloads.append(chance.choice(GARBAGE))
        for payload in payloads:
            _lpush(arena.redis.url, payload)
        time.sleep(over_s / jobs * chance.uniform(0.5, 1.5))
    return made


def _lpush(url: str, payload: bytes) -> None:
    """As a producer that repeats until Redis took it."""
    while True:
        try:
            with Redis.from_url(url) as queue:
                queue.lpush(keys.TASK_LIST, payload)
        except (RedisError, OSError):
            time.sleep(0.3)
        else:
            return


def rage(arena: Arena, over_s: float) -> None:
    """A kill every few seconds, one Redis restart and one outage of Supabase."""
    end_s = time.monotonic() + over_s
    large = [arena.restart_redis, arena.close_supabase]
    arena.chance.shuffle(large)
    due_s = [time.monotonic() + over_s * share for share in (0.35, 0.65)]
    while time.monotonic() < end_s:
        time.sleep(arena.chance.uniform(1.0, max(1.5, over_s * 0.055)))
        arena.kill_someone()
        if due_s and time.monotonic() > due_s[0]:
            due_s.pop(0)
            large.pop()(over_s * arena.chance.uniform(0.05, 0.1))


def await_rest(arena: Arena, platform: Platform, jobs: list[Job], *, within_s: float) -> None:
    """Until every row has ended and every credit is accounted for, or time is up."""
    give_up_s = time.monotonic() + within_s
    while time.monotonic() < give_up_s:
        statuses = set(platform.statuses(jobs).values())
        if statuses <= {"completed", "failed"} and none_open(arena.redis):
            break
        time.sleep(0.5)


@dataclass(kw_only=True)
class Findings:
    """The table."""

    jobs: int
    completed: int
    failed: int
    lost: int
    leaked: int
    double_refunds: int
    double_purchases: int
    explained: int  # calls in flight at a kill, and answers that a fault ate
    changed_after_completion: int
    recoveries_s: list[float]
    dead_letters: int
    kills: int

    @property
    def broken(self) -> list[str]:
        wrong = {
            "jobs were lost": self.lost,
            "credits leaked": self.leaked,
            "refunds were given twice": self.double_refunds,
            "completed rows changed": self.changed_after_completion,
            "pictures were bought twice without a cause": self.double_purchases > self.explained,
        }
        return [promise for promise, count in wrong.items() if count]

    @property
    def late(self) -> list[str]:
        """The promise about time. A machine busy with other things breaks it too."""
        slowest_s = max(self.recoveries_s, default=0.0)
        return ["a recovery took too long"] if slowest_s > RECOVERY_PROMISE_S else []

    def lines(self) -> list[str]:
        times = self.recoveries_s or [0.0]
        return [
            f"jobs in                     {self.jobs:6}",
            f"completed                   {self.completed:6}",
            f"failed and settled          {self.failed:6}",
            f"lost                        {self.lost:6}   (promised: 0)",
            f"leaked credits              {self.leaked:6}   (promised: 0)",
            f"double refunds              {self.double_refunds:6}   (promised: 0)",
            f"completed, then changed     {self.changed_after_completion:6}   (promised: 0)",
            f"pictures bought twice       {self.double_purchases:6}   (calls in flight at a kill, "
            f"answers eaten by a fault: {self.explained})",
            f"kills                       {self.kills:6}",
            f"jobs recovered after a kill {len(self.recoveries_s):6}",
            f"recovery, median and worst  {statistics.median(times):6.1f} s {max(times):6.1f} s   "
            f"(promised: {RECOVERY_PROMISE_S:.0f} s)",
            f"dead letters kept           {self.dead_letters:6}",
        ]


def findings(arena: Arena, platform: Platform, jobs: list[Job], before: dict[str, int]) -> Findings:
    statuses = platform.statuses(jobs)
    failed = {job.session_id for job in jobs if statuses[job.session_id] == "failed"}
    completed = {job.session_id for job in jobs if statuses[job.session_id] == "completed"}
    owners = {"b2c": "user", "absorb": "store", "resell": "shopper"}
    after = platform.balances()
    leaked = sum(
        abs(before[owner] - after[owner] - _count(jobs, kind, completed))
        for kind, owner in owners.items()
    )
    book = arena.api.book(calls=True)
    extra = sum(n - 1 for n in book["purchases"].values() if n > 1)
    eaten = sum(call["billed"] and call["fault"] in BILLED for call in book["list"])
    with Redis.from_url(arena.redis.url) as redis:
        letters = int(redis.zcard(keys.DEAD_LETTERS))
    in_flight, recoveries_s = recovered(arena)
    run = arena.server.run
    return Findings(
        jobs=len(jobs),
        completed=len(completed),
        failed=len(failed),
        lost=len(jobs) - len(completed) - len(failed),
        leaked=leaked,
        double_refunds=int(
            run(
                "SELECT count(*) FROM (SELECT description FROM credit_transactions "
                "WHERE type = 'refund' GROUP BY description HAVING count(*) > 1) twice"
            )
        ),
        double_purchases=extra,
        explained=in_flight + eaten,
        changed_after_completion=int(
            run(
                "SELECT count(*) FROM status_history h JOIN status_history later USING (id) "
                "WHERE h.status = 'completed' AND later.at > h.at"
            )
        ),
        recoveries_s=recoveries_s,
        dead_letters=letters,
        kills=len(arena.violence.kills),
    )


def _count(jobs: list[Job], kind: str, among: set[str]) -> int:
    return sum(job.kind == kind and job.session_id in among for job in jobs)


def recovered(arena: Arena) -> tuple[int, list[float]]:
    """Calls in flight at the kills, and how long each killed job waited for its next worker."""
    events = sorted(_events(arena.workers))
    in_flight, waits_s = 0, []
    for killed_s, worker in arena.violence.kills:
        if worker.role != "celery":
            continue
        held = _held(events, worker.number, killed_s)
        in_flight += len(held)
        for session_id in held:
            again_s = next(
                (
                    at
                    for at, event, _, session in events
                    if at > killed_s and session == session_id and event == JobStarted.name()
                ),
                None,
            )
            if again_s is not None:
                waits_s.append(again_s - killed_s)
    return in_flight, waits_s


def _held(events: list[tuple[float, str, int, str]], number: int, until_s: float) -> set[str]:
    """Sessions that this worker was running at that time."""
    held: set[str] = set()
    for at_s, event, worker, session_id in events:
        if at_s > until_s or worker != number:
            continue
        if event == JobStarted.name():
            held.add(session_id)
        elif event in ENDS_OF_AN_ATTEMPT:
            held.discard(session_id)
    return held


def _events(workers: list[Worker]) -> Iterator[tuple[float, str, int, str]]:
    for worker in workers:
        for line in worker.log.read_text("utf-8", errors="replace").splitlines():
            if line.startswith("{") and line.endswith("}") and '"session_id"' in line:
                entry = json.loads(line)
                at_s = datetime.fromisoformat(entry["timestamp"]).timestamp()
                yield at_s, entry["event"], worker.number, entry["session_id"]


def run(jobs: int, seed: int, *, over_s: float, within_s: float, **settings: str) -> Findings:
    """One round of violence, and what it left."""
    with arena(seed, **settings) as one:
        platform = Platform(one.server, one.workers[0].environment["WEARON_FETCH_ORIGINS"])
        before = platform.balances()
        raging = threading.Thread(target=rage, args=(one, over_s))
        raging.start()
        pushed = push(one, platform, jobs, over_s * 0.8)
        raging.join()
        one.violence.say("the violence is over")
        time.sleep(RESTART_AFTER_S + 0.5)
        one.revive()
        await_rest(one, platform, pushed, within_s=within_s)
        one.violence.say("all jobs have ended, or time is up")
        return findings(one, platform, pushed, before)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--jobs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10_000))
    args = parser.parse_args()
    print(f"{machine()}\nseed {args.seed}: repeat it with --seed {args.seed}")
    found = run(args.jobs, args.seed, over_s=70.0, within_s=150.0)
    print("\n" + "\n".join(found.lines()))
    broken = found.broken + found.late
    print("BROKEN: " + ", ".join(broken) if broken else "every promise was kept")
    return int(bool(broken))


if __name__ == "__main__":
    sys.exit(main())
