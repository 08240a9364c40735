"""The outcomes of a round: counts, promises, and both books of purchases."""

import json
import statistics
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from redis import Redis

from devkit.chaos.books import Books, books
from devkit.chaos.stack import ChaosStack, Process
from devkit.servers.image_api_faults import BILLED
from devkit.servers.platform import Job, Platform
from wearon_cli.adapters.redis import keys
from wearon_cli.core.errors import CallAmbiguous, GeneratorFault
from wearon_cli.core.jobs.events import (
    BreakerClosed,
    BreakerOpened,
    JobAbandoned,
    JobCompleted,
    JobSettled,
    JobStarted,
    JobStopped,
    PurchaseLost,
)
from wearon_cli.core.settings import Settings
from wearon_cli.runtime.events import JobsHandedBack

RECOVERY_PROMISE_S = 45.0
#: Why a job may fail without a fault of its own: the model or storage refused.
EXPLAINED = frozenset({"generation_refused", "request_rejected", "storage_refused"})
#: A job fails after this many lost pictures, and after this many faults in all.
MAX_PURCHASES = Settings.model_fields["max_purchases"].default
MAX_FAULTS = Settings.model_fields["openai_max_retries"].default + 1
#: Errors of calls that are retried.
FAULTS = frozenset({GeneratorFault.code, CallAmbiguous.code})
#: Log events after which a worker no longer has a job.
ENDS_OF_AN_ATTEMPT = {each.name() for each in (JobCompleted, JobSettled, JobStopped, JobAbandoned)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of a log."""

    at_s: float  # since the epoch
    event: str
    process: int
    session_id: str
    error: str
    jobs: int  # sessions of an event that is about several


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """The table."""

    jobs: int
    completed: int
    failed: int
    unexplained: Sequence[str]  # why jobs failed that should not have
    exhausted: Sequence[str]  # why jobs failed whose own calls reached the limit of faults
    lost: int
    leaked: int
    double_refunds: int
    double_purchases: int
    explained: int  # calls in flight at a kill or a stop, and answers lost by a fault
    changed_after_completion: int
    recoveries_s: Sequence[float]
    parked: int
    refused_refunds: int
    dead_letters: int
    kills: int
    books: Books

    @property
    def broken(self) -> list[str]:
        wrong = {
            "jobs were lost": self.lost,
            "jobs failed without a cause": len(self.unexplained),
            "credits leaked": self.leaked,
            "credits were refunded twice": self.double_refunds,
            "completed rows changed": self.changed_after_completion,
            "pictures were bought twice without a cause": self.double_purchases > self.explained,
            "our book and the provider's disagree": self.books.disagree,
            "a cost in our book differs from the bill": len(self.books.differing),
            "refused refunds were not parked": self.parked < self.refused_refunds,
            "a recovery took too long": max(self.recoveries_s, default=0) > RECOVERY_PROMISE_S,
        }
        return [promise for promise, count in wrong.items() if count]

    def lines(self) -> list[str]:
        times = self.recoveries_s or [0.0]
        return [
            f"jobs pushed                 {self.jobs:6}",
            f"completed                   {self.completed:6}",
            f"failed and settled          {self.failed:6}",
            f"failed without a cause      {len(self.unexplained):6}   (promised: 0) "
            f"{dict(Counter(self.unexplained)) or ''}",
            f"failed by repeated faults   {len(self.exhausted):6}   (every call met one) "
            f"{dict(Counter(self.exhausted)) or ''}",
            f"lost                        {self.lost:6}   (promised: 0)",
            f"leaked credits              {self.leaked:6}   (promised: 0)",
            f"double refunds              {self.double_refunds:6}   (promised: 0)",
            f"refused refunds, parked     {self.refused_refunds:6} {self.parked:6}",
            f"completed, then changed     {self.changed_after_completion:6}   (promised: 0)",
            f"pictures bought twice       {self.double_purchases:6}   (explained by calls in "
            f"flight at a kill or stop, and answers lost by a fault: {self.explained})",
            f"kills                       {self.kills:6}",
            f"jobs recovered after a kill {len(self.recoveries_s):6}",
            f"recovery, median and worst  {statistics.median(times):6.1f} s {max(times):6.1f} s   "
            f"(promised: {RECOVERY_PROMISE_S:.0f} s)",
            f"dead letters kept           {self.dead_letters:6}",
            *self.books.lines(),
        ]


def await_all_ended(
    stack: ChaosStack, platform: Platform, jobs: list[Job], *, within_s: float
) -> None:
    """Wait until every row is final and every job has left the journal."""
    give_up_s = time.monotonic() + within_s
    with Redis.from_url(stack.redis.url) as redis:
        while time.monotonic() < give_up_s:
            statuses = platform.statuses(jobs)
            if set(statuses.values()) <= {"completed", "failed"} and not redis.zcard(keys.JOBS):
                return
            time.sleep(0.5)


def findings(
    stack: ChaosStack, platform: Platform, jobs: list[Job], before: dict[str, int]
) -> Findings:
    """Read rows, ledgers, logs and both books."""
    statuses = platform.statuses(jobs)
    ended = {
        status: {j for j, s in statuses.items() if s == status} for status in statuses.values()
    }
    completed, failed = ended.get("completed", set()), ended.get("failed", set())
    lines = sorted(_lines(stack.processes), key=lambda line: line.at_s)
    book = stack.api.book(calls=True)
    in_flight, recoveries_s = recovered(stack, lines)
    errors = _errors(stack, failed)
    failed_valid = _valid_but_failed(jobs, failed - platform.taken_by_cron, errors)
    exhausted = failed_valid & _exhausted(lines)
    with Redis.from_url(stack.redis.url) as redis:
        letters = int(redis.zcard(keys.DEAD_LETTERS))
    return Findings(
        jobs=len(jobs),
        completed=len(completed),
        failed=len(failed),
        unexplained=[errors.get(each, "unknown") for each in failed_valid - exhausted],
        exhausted=[errors.get(each, "unknown") for each in exhausted],
        lost=len(jobs) - len(completed) - len(failed),
        leaked=_leaked(platform, jobs, before, completed),
        double_refunds=_double_refunds(stack, platform),
        double_purchases=sum(n - 1 for n in book["purchases"].values() if n > 1),
        explained=0 if stack.provider.fetches else _explained(in_flight, lines, book["list"]),
        changed_after_completion=_changed(stack, platform),
        recoveries_s=recoveries_s,
        parked=sum(error == "parked" for error in errors.values()),
        refused_refunds=sum(job.fails == "stranger" and job.session_id in failed for job in jobs),
        dead_letters=letters,
        kills=len(stack.actions.kills),
        books=books(stack.redis.url, stack.provider, book["list"]),
    )


def _explained(in_flight: int, lines: Sequence[Line], calls: Sequence[Mapping[str, Any]]) -> int:
    """Purchases that may be repeated because the first one cannot be fetched."""
    handed_back = sum(line.jobs for line in lines if line.event == JobsHandedBack.name())
    return in_flight + handed_back + sum(call["fault"] in BILLED for call in calls)


def _valid_but_failed(jobs: list[Job], failed: set[str], errors: dict[str, str]) -> set[str]:
    """Valid jobs that failed, but not because the model or storage refused."""
    good = {job.session_id for job in jobs if not job.fails}
    return {each for each in failed & good if errors.get(each) not in EXPLAINED}


def _exhausted(lines: Sequence[Line]) -> set[str]:
    """Sessions that lost as many pictures, or met as many faults, as a job may."""
    lost = Counter(line.session_id for line in lines if line.event == PurchaseLost.name())
    faults = Counter(
        line.session_id
        for line in lines
        if line.event == JobStopped.name() and line.error in FAULTS
    )
    return {each for each, n in lost.items() if n >= MAX_PURCHASES} | {
        each for each, n in faults.items() if n >= MAX_FAULTS
    }


def _leaked(
    platform: Platform, jobs: list[Job], before: dict[str, int], completed: set[str]
) -> int:
    """Credits that neither a picture nor a refund accounts for."""
    owners = {"b2c": "user", "absorb": "store", "resell": "shopper"}
    after = platform.balances()
    spent = {
        kind: sum(
            job.kind == kind and job.fails != "stranger" and job.session_id in completed
            for job in jobs
        )
        for kind in owners
    }
    return sum(abs(before[o] - after[o] - spent[kind]) for kind, o in owners.items())


def _double_refunds(stack: ChaosStack, platform: Platform) -> int:
    named = "substring(description from '[0-9a-f]{8}-[0-9a-f-]{27}')"
    del platform
    return int(
        stack.server.run(
            f"SELECT count(*) FROM (SELECT {named} FROM credit_transactions "
            f"WHERE type = 'refund' GROUP BY {named} HAVING count(*) > 1) twice"
        )
    )


def _changed(stack: ChaosStack, platform: Platform) -> int:
    """The platform's cron overwrites rows unconditionally: its rows are excluded."""
    taken = ",".join(f"'{each}'" for each in platform.taken_by_cron) or "NULL"
    return int(
        stack.server.run(
            "SELECT count(*) FROM status_history h JOIN status_history later USING (id) "
            f"WHERE h.status = 'completed' AND later.at > h.at AND h.id::text NOT IN ({taken})"
            if platform.taken_by_cron
            else "SELECT count(*) FROM status_history h JOIN status_history later USING (id) "
            "WHERE h.status = 'completed' AND later.at > h.at"
        )
    )


def _errors(stack: ChaosStack, failed: set[str]) -> dict[str, str]:
    """Class of error of each failed session, from its record; "parked" when its refund was
    parked.
    """
    found: dict[str, str] = {}
    with Redis.from_url(stack.redis.url) as redis:
        for session_id in failed:
            text = redis.get(keys.record(session_id))
            record = json.loads(text) if isinstance(text, bytes) else {}
            code = record.get("error_code") or "unknown"
            found[session_id] = "parked" if record.get("parked") else code
    return found


def recovered(stack: ChaosStack, lines: Sequence[Line]) -> tuple[int, list[float]]:
    """
    Jobs of killed workers, and how long each waited for its next attempt.

    Waits while paid calls were halted do not count: no job is started then.
    """
    halts = _halts(lines)
    in_flight, waits_s = 0, []
    for killed_s, process in stack.actions.kills:
        if process.role != "celery":
            continue
        held = _held(lines, process.number, killed_s)
        in_flight += len(held)
        for session_id in held:
            again_s = next(
                (
                    line.at_s
                    for line in lines
                    if line.at_s > killed_s
                    and line.session_id == session_id
                    and line.event == JobStarted.name()
                ),
                None,
            )
            if again_s is None or any(a < again_s and b > killed_s for a, b in halts):
                continue
            waits_s.append(again_s - killed_s)
    return in_flight, waits_s


def _halts(lines: Sequence[Line]) -> list[tuple[float, float]]:
    """
    From each opening of a breaker to its closing.

    The worker that would log the closing may be killed: then a job that started after the opening
    and completed shows that it is over.
    """
    spans, opened_s, started = [], None, set[str]()
    for line in lines:
        if line.event == BreakerOpened.name() and opened_s is None:
            opened_s, started = line.at_s, set()
        elif line.event == JobStarted.name():
            started.add(line.session_id)
        elif opened_s is not None and (
            line.event == BreakerClosed.name()
            or (line.event == JobCompleted.name() and line.session_id in started)
        ):
            spans.append((opened_s, line.at_s))
            opened_s = None
    return spans + ([(opened_s, float("inf"))] if opened_s is not None else [])


def _held(lines: Sequence[Line], process: int, until_s: float) -> set[str]:
    """Sessions whose jobs this worker had at that moment."""
    held: set[str] = set()
    for line in lines:
        if line.at_s > until_s or line.process != process:
            continue
        if line.event == JobStarted.name():
            held.add(line.session_id)
        elif line.event in ENDS_OF_AN_ATTEMPT:
            held.discard(line.session_id)
    return held


def _lines(processes: Sequence[Process]) -> Iterator[Line]:
    for process in processes:
        for text in process.log.read_text("utf-8", errors="replace").splitlines():
            if text.startswith("{") and text.endswith("}"):
                line = json.loads(text)
                yield Line(
                    at_s=datetime.fromisoformat(line["timestamp"]).timestamp(),
                    event=line["event"],
                    process=process.number,
                    session_id=line.get("session_id", ""),
                    error=line.get("error", ""),
                    jobs=line.get("jobs", 0),
                )
