"""
Celery's side of a job, with a real worker process whose jobs are scripts: what its tools show, what
it takes, and how it stops.
"""

import asyncio
import signal
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from celery.backends.base import DisabledBackend
from redis import Redis

from devkit.processes import celery
from devkit.scripted_worker import BEGUN, DONE, DRAINS, END
from devkit.servers.redis_server import RedisServer
from devkit.waiting import LONGEST_S, until
from wearon_cli.adapters.celery_app import GENERATE, CelerySender, make_celery
from wearon_cli.adapters.redis.keys import CELERY_QUEUE
from wearon_cli.core.jobs.journal import Released
from wearon_cli.core.session import Channel
from wearon_cli.runtime.worker.controller import EXIT_AT_ONCE, NOT_CLAIMED, Controller

pytestmark = [pytest.mark.slow]

NAME = "wearon@scripted"


class _NoJobs:
    def do(self, session_id: str) -> None:
        raise AssertionError(session_id)

    def drain(self, *, within_s: float) -> None:
        raise AssertionError(within_s)


def test_threads_do_not_look_for_a_result_backend() -> None:
    """Celery's own would read the entry points of every installed package, once in each thread."""
    app: Any = make_celery("redis://127.0.0.1:1/0")
    Controller(app, _NoJobs(), name=NAME, slots=1, drain_s=1.0, on_ready=lambda: None)
    with ThreadPoolExecutor(2) as threads:
        found = list(threads.map(lambda _: app.tasks[GENERATE].backend, range(2)))
    assert found[0] is found[1]
    assert isinstance(found[0], DisabledBackend)


class Workers:
    """Starts workers of one server, inspects it and sends to it."""

    def __init__(self, server: RedisServer, folder: Path, stack: ExitStack) -> None:
        self.url = server.url
        self.redis: Any = stack.enter_context(Redis.from_url(server.url))
        self.redis.flushall()
        self._folder, self._stack = folder, stack

    def start(self, *, slots: int = 2, drain_s: float = 30.0) -> subprocess.Popen[bytes]:
        log = self._folder / "worker.log"
        words = (sys.executable, "-m", "devkit.scripted_worker", self.url, str(slots), str(drain_s))
        with log.open("wb") as out:
            process = subprocess.Popen(words, stdout=out, stderr=out)
        self._stack.callback(process.wait)
        self._stack.callback(process.kill)
        until(lambda: "ready" in log.read_text("utf-8"))
        return process

    def send(self, *session_ids: str, number: int = 1) -> None:
        asyncio.run(_send(self.url, session_ids, number))

    def begun(self) -> list[str]:
        return [name.decode() for name in self.redis.lrange(BEGUN, 0, -1)]

    def done(self) -> list[str]:
        return [name.decode() for name in self.redis.lrange(DONE, 0, -1)]

    def waiting(self) -> int:
        return int(self.redis.llen(CELERY_QUEUE))

    def end(self, session_id: str) -> None:
        self.redis.rpush(END + session_id, b"end")

    def celery(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Celery's own command, as an operator calls it."""
        return celery(*words, environment={"REDIS_URL": self.url})


@pytest.fixture
def workers(redis_server: RedisServer, tmp_path: Path) -> Iterator[Workers]:
    with ExitStack() as stack:
        yield Workers(redis_server, tmp_path, stack)


async def _send(url: str, session_ids: tuple[str, ...], number: int) -> None:
    sender = CelerySender(make_celery(url))
    for session_id in session_ids:
        job = Released(
            session_id=session_id, channel=Channel.B2C, number=number, request_id="req-1"
        )
        await sender.send(job)
    await sender.aclose()


@contextmanager
def events(url: str) -> Iterator[dict[str, list[dict[str, Any]]]]:
    """Celery's events by task, in order of arrival."""
    seen: dict[str, list[dict[str, Any]]] = defaultdict(list)
    app: Any = make_celery(url)
    with Redis.from_url(url) as redis, app.connection() as connection:

        def subscribers() -> int:
            return len(redis.client_list(_type="pubsub"))

        before = subscribers()
        receiver = app.events.Receiver(
            connection, handlers={"*": lambda event: seen[event.get("uuid", "")].append(event)}
        )
        over = threading.Event()

        def listen() -> None:
            with receiver.consumer_context() as (link, _, _):
                while not over.is_set():
                    try:
                        link.drain_events(timeout=0.2)
                    except TimeoutError:
                        continue

        thread = threading.Thread(target=listen)
        thread.start()
        try:
            until(lambda: subscribers() > before)
            yield seen
        finally:
            over.set()
            thread.join()
    app.close()


# ---------------------------------------------------------------------------- what tools show


@pytest.mark.parametrize(
    ("session_id", "last", "facts"),
    [
        pytest.param("completed-1", "task-succeeded", {"result": "'completed'"}, id="completed"),
        pytest.param("dropped-1", "task-succeeded", {"result": "'dropped'"}, id="ended before"),
        pytest.param("unclaimed-1", "task-succeeded", {"result": f"'{NOT_CLAIMED}'"}, id="nothing"),
        pytest.param(
            "failed_picture_unusable-1",
            "task-failed",
            {"exception": "PictureUnusable('This is not a supported picture.')"},
            id="failed",
        ),
        pytest.param(
            "parked_refund_refused-1",
            "task-failed",
            {"exception": "RefundRefused('The ledger refused a refund.')"},
            id="parked",
        ),
        pytest.param(
            "waiting_calls_halted-1",
            "task-retried",
            {
                "exception": "CallsHalted('Calls to the image generator are halted for now.'), "
                "due in 12 s"
            },
            id="handed back",
        ),
    ],
)
def test_events_show_how_a_job_ended(
    workers: Workers, session_id: str, last: str, facts: dict[str, str]
) -> None:
    workers.start()
    with events(workers.url) as seen:
        workers.send(session_id, number=3)
        told = seen[f"{session_id}.3"]
        until(lambda: len(told) == 3)
    assert sorted(event["type"] for event in told) == sorted(
        ["task-received", "task-started", last]
    )
    received = next(event for event in told if event["type"] == "task-received")
    assert (received["name"], received["args"]) == (GENERATE, f"['{session_id}']")
    ended = next(event for event in told if event["type"] == last)
    assert {name: ended.get(name) for name in facts} == facts


def test_no_event_is_lost_when_many_jobs_end_at_once(workers: Workers) -> None:
    """Celery's own buffer of events drops those that another thread adds while it is sent."""
    workers.start(slots=8)
    names = [f"completed-{number}" for number in range(80)]
    with events(workers.url) as seen:
        workers.send(*names)
        until(lambda: len(workers.done()) == len(names))
        until(lambda: all(len(seen[f"{name}.1"]) == 3 for name in names))


def test_an_operator_sees_jobs_with_celerys_own_commands(workers: Workers) -> None:
    workers.start()
    workers.send("wait-1")
    until(workers.begun)
    active = workers.celery("inspect", "active").stdout
    assert "'id': 'wait-1.1'" in active
    assert "'args': ['wait-1']" in active
    assert GENERATE in workers.celery("inspect", "registered").stdout
    assert "pong" in workers.celery("inspect", "ping").stdout
    assert f'"{GENERATE}": 1' in workers.celery("inspect", "stats").stdout
    assert f"{NAME}: OK" in workers.celery("status").stdout


def test_inspect_leaves_nothing_in_redis(workers: Workers) -> None:
    """Except the names of Celery's queues, whose number does not grow."""
    worker = workers.start()
    for _ in range(2):
        workers.celery("inspect", "ping")
    worker.terminate()
    assert worker.wait(timeout=LONGEST_S) == 0
    lasting = {key for key in workers.redis.scan_iter() if workers.redis.ttl(key) == -1}
    assert {key for key in lasting if b"pidbox" in key} == set()


# ---------------------------------------------------------------------------- what it takes


def test_a_worker_takes_no_more_messages_than_it_has_slots(workers: Workers) -> None:
    workers.start(slots=2)
    workers.send(*(f"wait-{number}" for number in range(5)))
    until(lambda: len(workers.begun()) == 2)
    time.sleep(1)
    assert workers.waiting() == 3
    workers.end("wait-0")
    until(lambda: len(workers.begun()) == 3)
    assert workers.waiting() == 2


def test_a_lost_connection_does_not_make_it_forget_its_running_jobs(workers: Workers) -> None:
    workers.start(slots=2)
    workers.send(*(f"wait-{number}" for number in range(4)))
    until(lambda: len(workers.begun()) == 2)
    workers.redis.client_kill_filter(_type="normal", skipme=True)
    workers.redis.client_kill_filter(_type="pubsub")
    until(lambda: workers.redis.pubsub_numpat() > 0)
    time.sleep(1)
    assert workers.waiting() == 2
    workers.end("wait-0")
    until(lambda: len(workers.begun()) == 3)


def test_a_revoked_task_is_skipped_and_its_next_release_runs(workers: Workers) -> None:
    workers.start()
    assert workers.celery("control", "revoke", "completed-1.1").returncode == 0
    with events(workers.url) as seen:
        workers.send("completed-1")
        until(lambda: [e["type"] for e in seen["completed-1.1"]] == ["task-revoked"])
        assert workers.begun() == []
        workers.send("completed-1", number=2)
        until(lambda: workers.done() == ["completed-1"])


def test_a_duplicate_message_is_acknowledged_twice(workers: Workers) -> None:
    """The claim lets only one of them through; Celery must not hide the other."""
    workers.start()
    workers.send("completed-1", "completed-1")
    until(lambda: workers.done() == ["completed-1", "completed-1"])


def test_purge_empties_the_queue_and_nothing_else(workers: Workers) -> None:
    workers.send("completed-1", "completed-2")
    workers.redis.set("wearon:job:1", b"a job")
    assert "Purged 2 messages" in workers.celery("purge", "-f").stdout
    assert workers.waiting() == 0
    assert workers.redis.exists("wearon:job:1")


def test_revoking_a_running_job_with_terminate_changes_nothing(workers: Workers) -> None:
    """Threads cannot be killed: the job and the worker continue."""
    workers.start()
    workers.send("wait-1")
    until(workers.begun)
    workers.celery("control", "terminate", "TERM", "wait-1.1")
    workers.end("wait-1")
    workers.send("completed-2")
    until(lambda: sorted(workers.done()) == ["completed-2", "wait-1"])


def test_a_foreign_message_does_no_harm(workers: Workers) -> None:
    workers.start()
    workers.celery("call", GENERATE)
    workers.celery("call", "another.task")
    workers.redis.lpush(CELERY_QUEUE, b"not a message")
    workers.send("completed-1")
    until(lambda: workers.done() == ["completed-1"])


# ---------------------------------------------------------------------------- how it stops


def by_signal(worker: subprocess.Popen[bytes], _workers: Workers) -> None:
    worker.terminate()


def by_interrupt(worker: subprocess.Popen[bytes], _workers: Workers) -> None:
    worker.send_signal(signal.SIGINT)


def by_command(_worker: subprocess.Popen[bytes], workers: Workers) -> None:
    assert "stops within" in workers.celery("control", "shutdown").stdout


@pytest.mark.parametrize("stop", [by_signal, by_interrupt, by_command])
def test_a_stopping_worker_lets_jobs_end_answers_tools_and_leaves_messages(
    workers: Workers, stop: Callable[[subprocess.Popen[bytes], Workers], None]
) -> None:
    worker = workers.start()
    workers.send("wait-1")
    until(workers.begun)
    with events(workers.url) as seen:
        stop(worker, workers)
        workers.send("completed-2")
        assert "'id': 'wait-1.1'" in workers.celery("inspect", "active").stdout
        assert worker.poll() is None
        workers.end("wait-1")
        assert worker.wait(timeout=LONGEST_S) == 0
        until(lambda: [e for e in seen["wait-1.1"] if e["type"] == "task-succeeded"])
        until(lambda: [e for e in seen[""] if e["type"] == "worker-offline"])
    assert workers.done() == ["wait-1"]
    assert workers.waiting() == 1


def test_jobs_longer_than_the_drain_are_handed_back_and_shown_as_retries(workers: Workers) -> None:
    worker = workers.start(drain_s=0.5)
    workers.send("wait-1")
    until(workers.begun)
    with events(workers.url) as seen:
        worker.terminate()
        assert worker.wait(timeout=LONGEST_S) == 0
        until(lambda: [e for e in seen["wait-1.1"] if e["type"] == "task-retried"])


def test_an_idle_worker_stops_at_once(workers: Workers) -> None:
    worker = workers.start(drain_s=60)
    worker.terminate()
    assert worker.wait(timeout=LONGEST_S) == 0


def test_a_second_signal_ends_it_at_once(workers: Workers) -> None:
    worker = workers.start(drain_s=60)
    workers.send("wait-1")
    until(workers.begun)
    worker.terminate()
    until(lambda: workers.redis.exists(DRAINS))
    worker.terminate()
    assert worker.wait(timeout=LONGEST_S) == EXIT_AT_ONCE


def test_it_stops_while_redis_is_away(tmp_path: Path) -> None:
    server = RedisServer(tmp_path)
    server.start()
    with ExitStack() as stack:
        stack.callback(server.stop)
        worker = Workers(server, tmp_path, stack).start()
        server.kill()
        time.sleep(2)
        worker.terminate()
        assert worker.wait(timeout=LONGEST_S) == 0


# ---------------------------------------------------------------------------- Celery's command


@pytest.mark.parametrize("words", [(), ("--detach",), ("-l", "info", "-P", "solo")])
def test_celery_worker_is_refused_in_one_sentence(workers: Workers, words: tuple[str, ...]) -> None:
    done = workers.celery("worker", *words)
    assert done.returncode != 0
    assert done.stderr.splitlines() == [
        "Error: start workers with `wearon celery`, which checks its settings and services first"
    ]


def test_celerys_command_without_redis_url_says_so_in_one_line(tmp_path: Path) -> None:
    done = celery("--workdir", str(tmp_path), "status", environment={"REDIS_URL": ""})
    assert done.returncode == 3
    assert done.stderr.splitlines() == [
        "Error: REDIS_URL is not set (set it in the environment or in .env)"
    ]
