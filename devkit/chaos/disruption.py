"""Pushes the jobs of a round, and kills and breaks things while they run."""

import threading
import time
from collections.abc import Callable

from redis import Redis
from redis.exceptions import RedisError

from devkit.chaos.stack import ChaosStack
from devkit.servers.platform import KINDS, Job, Platform
from wearon_cli.adapters.redis.keys import TASK_LIST

GARBAGE = (b"{", b"[]", b"\xff\xfe\x00", b'{"session_id": 7}', b'"text"', b"9" * 5000)
RESTART_AFTER_S = 1.0
#: How often a job fails by its own fault: a missing photo, an invalid payload, a picture that
#: decodes to gigabytes, a shopper whose account no longer exists at the refund.
FAULTY = {"": 0.86, "gone": 0.04, "malformed": 0.04, "bomb": 0.03, "stranger": 0.03}
#: Open b2c rows per round that the platform's cron considers stuck.
CRON_TAKES = 3


def push(stack: ChaosStack, platform: Platform, jobs: int, over_s: float) -> list[Job]:
    """Push jobs of all kinds over some time; a tenth of them twice, and garbage in between."""
    chance = stack.chance
    made: list[Job] = []
    for n in range(jobs):
        fails = chance.choices(list(FAULTY), list(FAULTY.values()))[0]
        kind = "resell" if fails == "stranger" else KINDS[n % len(KINDS)]
        job = platform.order(kind, fails)
        made.append(job)
        payloads = [job.payload] * (2 if chance.random() < 0.1 else 1)
        if chance.random() < 0.05:
            payloads.append(chance.choice(GARBAGE))
        for payload in payloads:
            _lpush(stack.redis.url, payload)
        time.sleep(over_s / jobs * chance.uniform(0.5, 1.5))
    return made


def _lpush(url: str, payload: bytes) -> None:
    """As a producer that retries until Redis accepted it."""
    while True:
        try:
            with Redis.from_url(url) as queue:
                queue.lpush(TASK_LIST, payload)
        except (RedisError, OSError):
            time.sleep(0.3)
        else:
            return


class Disruption:
    """A kill every few seconds, and each of the larger failures once."""

    def __init__(self, stack: ChaosStack, platform: Platform, over_s: float) -> None:
        self._stack = stack
        self._platform = platform
        self._over_s = over_s
        self._chance = stack.chance
        self._say = stack.actions.say

    def run(self) -> None:
        end_s = time.monotonic() + self._over_s
        large: list[Callable[[], None]] = [
            self.restart_redis,
            self.close_supabase,
            self.refuse_uploads,
            self.close_the_account if self._stack.provider.fetches else self.close_models,
            self.kill_one_worker_twice,
            self.rolling_restart,
        ]
        self._chance.shuffle(large)
        gap_s = self._over_s / (len(large) + 1)
        due_s = [time.monotonic() + gap_s * (n + 1) for n in range(len(large))]
        while time.monotonic() < end_s:
            time.sleep(self._chance.uniform(1.0, max(1.5, self._over_s * 0.055)))
            self.kill_random_process()
            self.cron()
            if due_s and time.monotonic() > due_s[0]:
                due_s.pop(0)
                large.pop()()

    def _away_s(self) -> float:
        return self._over_s * self._chance.uniform(0.04, 0.08)

    def kill_random_process(self) -> None:
        each = self._chance.choice(self._stack.processes)
        each.kill()
        self._stack.actions.kills.append((time.time(), each))
        self._say(f"kill -9 {each.role} {each.number}")
        threading.Timer(RESTART_AFTER_S, each.keep_alive).start()

    def kill_one_worker_twice(self) -> None:
        """So its jobs are in flight at two deaths."""
        each = self._chance.choice(self._stack.of_role("celery"))
        for _ in range(2):
            each.kill()
            self._stack.actions.kills.append((time.time(), each))
            self._say(f"kill -9 {each.role} {each.number}, again and again")
            time.sleep(RESTART_AFTER_S)
            each.keep_alive()
            time.sleep(3.0)

    def rolling_restart(self) -> None:
        """SIGTERM to each worker in turn, while some calls take longer than the drain."""
        self._stack.api.rules(latency="0.5-8")
        for each in self._stack.of_role("celery"):
            self._say(f"SIGTERM {each.role} {each.number}")
            each.stop()
            each.wait(timeout_s=60)
            each.keep_alive()
        self._stack.api.rules(latency="0.5-3")

    def restart_redis(self) -> None:
        away_s = self._away_s()
        self._say(f"kill -9 of Redis, gone for {away_s:.0f} s")
        self._stack.redis.kill()
        time.sleep(away_s)
        self._stack.redis.start()

    def close_supabase(self) -> None:
        fault, away_s = self._chance.choice(["unavailable", "html", "html_502", "drop"]), 0.0
        away_s = self._away_s()
        self._say(f"Supabase answers {fault!r} for {away_s:.0f} s")
        with self._stack.server.door.failing(fault):
            time.sleep(away_s)

    def refuse_uploads(self) -> None:
        away_s = self._away_s()
        self._say(f"storage refuses every upload for {away_s:.0f} s")
        self._stack.server.storage.refuses_uploads = True
        time.sleep(away_s)
        self._stack.server.storage.refuses_uploads = False

    def close_models(self) -> None:
        """The first model is retired from now on, and for a while there is none at all."""
        away_s = self._away_s()
        self._say(f"every model is closed for {away_s:.0f} s, and the first one for good")
        self._stack.api.rules(open_models=[])
        time.sleep(away_s)
        self._stack.api.rules(open_models=["gpt-image-2.6-flare"])

    def close_the_account(self) -> None:
        """For a while, the account is empty."""
        away_s = self._away_s()
        self._say(f"the provider refuses every order for {away_s:.0f} s: no money")
        rules = self._stack.provider.rules
        self._stack.api.rules(faults=rules({"name": "insufficient_quota"}))
        time.sleep(away_s)
        self._stack.api.rules(faults=rules())

    def cron(self) -> None:
        """The platform considers an open b2c row stuck: it refunds first, then fails the row."""
        if len(self._platform.taken_by_cron) < CRON_TAKES and self._chance.random() < 0.3:
            taken = self._platform.cron_takes_one()
            if taken:
                self._say(f"the platform's cron refunds and fails session {taken}")


def end_faults(stack: ChaosStack) -> None:
    """End all failures; the image API keeps its small faults."""
    stack.api.rules(faults=stack.provider.rules())
    time.sleep(RESTART_AFTER_S + 0.5)
    stack.restart_all()
