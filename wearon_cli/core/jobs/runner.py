"""
One attempt at a job, from the claim to its end or until it is handed back.

Turns every error into the reaction that the error tree defines: settle, retry, wait, halt, yield or
drop. The worker process holds one lease for all its jobs (`runtime.worker`); when it is lost, their
attempts are cancelled.
"""

import asyncio
import math
import random
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Final

import structlog

from wearon_cli.core.contract import Task, parse_task
from wearon_cli.core.errors import (
    CallsHalted,
    GeneratorFault,
    Interrupted,
    JobGaveUp,
    JobOrphaned,
    LeaseLost,
    PurchaseUnresolved,
    QueueUnavailable,
    RateLimited,
    Reaction,
    StorageRefused,
    StoreUnavailable,
    TaskInvalid,
    UpstreamError,
    WearonError,
)
from wearon_cli.core.events import emit
from wearon_cli.core.jobs.crashes import result_of
from wearon_cli.core.jobs.dead_letters import DeadLetters
from wearon_cli.core.jobs.drawing import too_many_deaths
from wearon_cli.core.jobs.events import (
    JobAbandoned,
    JobLeftToRecovery,
    JobStarted,
    JobStopped,
    RowNotRequeued,
    SettlementUnfinished,
)
from wearon_cli.core.jobs.generation import Generation
from wearon_cli.core.jobs.journal import (
    Claim,
    Closing,
    Ending,
    HandBack,
    Journal,
    SettlementIntent,
)
from wearon_cli.core.jobs.last_writes import write_last
from wearon_cli.core.jobs.settlement import Settlement, intent_for
from wearon_cli.core.session import SessionKey, Sessions, Status, requeue
from wearon_cli.core.settings import Settings

#: Pause before the first retry after a fault; doubles, up to the longest.
FIRST_PAUSE_S: Final = 2.0
LONGEST_PAUSE_S: Final = 60.0
#: Pause during an outage that names no time.
OUTAGE_PAUSE_S: Final = 10.0
#: A worker that is stopping waits this long for Redis, to hand a job back.
STOPPING_WAIT_S: Final = 10.0
#: Message of a cancellation after which nothing may be written: another worker has the job.
LEASE_LOST: Final = "lease lost"
#: Pause before an unfinished settlement is retried; doubles with each try, up to the longest.
SETTLEMENT_PAUSE_S: Final = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Disposition:
    """What happens to a job after an attempt: it is closed, or handed back with a reason and a
    time.
    """

    closing: Closing | None = None  # None: handed back
    why: HandBack = HandBack.STOPPING
    after_s: float = 0.0
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRunner:
    """Runs claimed jobs. One instance serves all jobs of a process."""

    journal: Journal
    sessions: Sessions
    generation: Generation
    settlement: Settlement
    dead_letters: DeadLetters
    settings: Settings

    def stop_buying(self) -> None:
        """This process is stopping: start no more purchases."""
        self.generation.stop_buying()

    async def run(self, claim: Claim) -> Disposition:
        """
        Bring a claimed job to its end or its next place. Cancelling hands it back first.

        Raises:
            LeaseLost: The job is another worker's now.
        """
        with structlog.contextvars.bound_contextvars(
            session_id=claim.session_id, channel=claim.channel.value
        ):
            attempt = _Attempt(claim, asyncio.get_running_loop().time())
            try:
                disposition = await self._attempt(attempt)
                await self._write_last(claim, disposition, within_s=math.inf)
            except LeaseLost:
                emit(JobAbandoned())
                raise
            except asyncio.CancelledError as exc:
                if LEASE_LOST in exc.args:
                    emit(JobAbandoned())
                    raise
                with suppress(LeaseLost):
                    disposition = await self._hand_back(attempt, Interrupted())
                    await self._write_last(claim, disposition, within_s=STOPPING_WAIT_S)
                raise
            return disposition

    async def _attempt(self, attempt: "_Attempt") -> Disposition:
        """Always returns a disposition: without one the job would be stuck."""
        end = await result_of(self._work(attempt))
        if isinstance(end, WearonError):
            end = await result_of(self._react(attempt, end))
        return self._unfinished(attempt, end) if isinstance(end, WearonError) else end

    async def _work(self, attempt: "_Attempt") -> Disposition:
        claim = attempt.claim
        if claim.payload:
            attempt.task = parse_task(claim.payload)
            structlog.contextvars.bind_contextvars(request_id=attempt.task.request_id)
        if claim.intent is not None:
            disposition = await self._settle(attempt, claim.intent)
            await self.generation.retriever.forget_ended(claim)
            return disposition
        await self.generation.retriever.forget_ended(claim)
        if claim.deaths > self.settings.max_deaths or self._is_unpaid_at_the_cap(attempt):
            await self.generation.retriever.write_off(claim, too_many_deaths(claim))
            raise too_many_deaths(claim)
        if claim.expired and claim.purchase is None:
            raise CallsHalted(f"paid calls were halted for too long ({claim.expired})")
        return await self._make_picture(attempt)

    def _is_unpaid_at_the_cap(self, attempt: "_Attempt") -> bool:
        """At the cap of deaths a picture is delivered if there is one, but no credit is taken."""
        claim, replay = attempt.claim, attempt.task.replay if attempt.task else None
        owes = replay is not None and replay.charge and not claim.charged
        return owes and claim.deaths >= self.settings.max_deaths

    async def _make_picture(self, attempt: "_Attempt") -> Disposition:
        claim, task = attempt.claim, attempt.task
        if task is None:
            raise JobOrphaned
        age_s = round(task.age_s(claim.claimed_at), 3)
        emit(JobStarted(attempt=claim.attempt, age_s=age_s))
        if task.replay and task.replay.charge and not claim.charged:
            row = await self.generation.begin(task)
            await self.settlement.charge(row, task.replay.replay_id)
            await self.journal.charged(claim)
        left_s = max(0.0, self._left_s(attempt))
        usage = await self.generation.make(claim, task, max_wait_s=left_s)
        await self._drop_letter(task)
        cost = usage.cost_usd if usage else None
        return Disposition(closing=Closing(ending=Ending.COMPLETED, cost_usd=cost))

    async def _drop_letter(self, task: Task | None) -> None:
        if task and task.replay and task.replay.letter_id:
            await self.dead_letters.drop(task.replay.letter_id)

    # ------------------------------------------------------------------ dispositions

    async def _react(self, attempt: "_Attempt", error: WearonError) -> Disposition:
        claim = attempt.claim
        emit(JobStopped(error=error.code, detail=str(error), attempt=claim.attempt))
        match error.reaction:
            case Reaction.DROP:
                return await self._drop(attempt, error)
            case Reaction.YIELD:
                return await self._hand_back(attempt, error)
            case Reaction.REPEAT if claim.faults < self.settings.openai_max_retries:
                asked_s = min(_asked_s(error), self._left_s(attempt))
                pause_s = max(_backoff_s(claim.faults), asked_s)
                return Disposition(why=HandBack.FAULT, after_s=pause_s, error=error.code)
            case Reaction.WAIT | Reaction.HALT if self._may_wait(attempt, error):
                pause_s = min(_pause_s(error), max(1.0, self._left_s(attempt)))
                return await self._hand_back(attempt, error, after_s=pause_s)
            case _:
                return await self._give_up(attempt, error)

    def _left_s(self, attempt: "_Attempt") -> float:
        return self.settings.max_wait_s - attempt.waited_s()

    def _may_wait(self, attempt: "_Attempt", error: WearonError) -> bool:
        wished = attempt.task and attempt.task.replay and attempt.task.replay.model
        if wished and error.reaction is Reaction.HALT:
            return False  # the failure of a model that an operator chose halts no other job
        expired = attempt.claim.expired is not None
        return not expired and self._left_s(attempt) > 0

    async def _drop(self, attempt: "_Attempt", error: WearonError) -> Disposition:
        """The session ended without this attempt: by an earlier attempt, or by someone else."""
        claim, task = attempt.claim, attempt.task
        if _may_have_completed(claim, task):
            key = SessionKey(channel=claim.channel, session_id=claim.session_id)
            try:
                row = await self.sessions.get(key)
            except UpstreamError as exc:
                why = HandBack.WAITING
                return Disposition(why=why, after_s=OUTAGE_PAUSE_S, error=exc.code)
            if row is not None and row.status is Status.COMPLETED:
                await self._drop_letter(task)
                return Disposition(closing=Closing(ending=Ending.COMPLETED))
        if task and task.replay and task.replay.charge:  # its credit is refunded
            return await self._give_up(attempt, error)
        return Disposition(closing=Closing(ending=Ending.DROPPED, error_code=error.code))

    async def _give_up(self, attempt: "_Attempt", error: WearonError) -> Disposition:
        for_a_person = type(error) is WearonError or isinstance(
            error, (JobGaveUp, TaskInvalid, StorageRefused, PurchaseUnresolved)
        )
        if isinstance(error, PurchaseUnresolved):
            await self.generation.retriever.write_off(attempt.claim, error)
        return await self._settle(attempt, intent_for(error, dead_letter=for_a_person))

    async def _settle(self, attempt: "_Attempt", intent: SettlementIntent) -> Disposition:
        try:
            closing = await self.settlement.settle(attempt.claim, intent, attempt.task)
        except UpstreamError as exc:
            return self._unfinished(attempt, exc)
        return Disposition(closing=closing)

    def _unfinished(self, attempt: "_Attempt", error: WearonError) -> Disposition:
        emit(SettlementUnfinished(error=error.code, detail=str(error)))
        pause_s = min(SETTLEMENT_PAUSE_S * attempt.claim.attempt, LONGEST_PAUSE_S * 5)
        return Disposition(why=HandBack.WAITING, after_s=pause_s, error=error.code)

    async def _hand_back(
        self, attempt: "_Attempt", error: WearonError, *, after_s: float = 0.0
    ) -> Disposition:
        """The row moves to queued before the job is handed back, never after."""
        claim = attempt.claim
        final = attempt.task and attempt.task.replay and attempt.task.replay.from_status.is_final
        if claim.intent is None and not final and not isinstance(error, StoreUnavailable):
            key = SessionKey(channel=claim.channel, session_id=claim.session_id)
            try:
                await self.sessions.apply(key, requeue())
            except UpstreamError as exc:
                emit(RowNotRequeued(error=exc.code))  # the next attempt handles it
        stopping = error.reaction is Reaction.YIELD
        why = HandBack.STOPPING if stopping else HandBack.WAITING
        return Disposition(why=why, after_s=after_s, error=error.code)

    async def _write_last(self, claim: Claim, disposition: Disposition, *, within_s: float) -> None:
        """If this fails, the job stays with this worker until the process exits or its lease
        expires.
        """
        closing = disposition.closing
        write = (
            partial(self.journal.close, claim, closing)
            if closing is not None
            else partial(
                self.journal.hand_back,
                claim,
                after_s=disposition.after_s,
                why=disposition.why,
                error=disposition.error,
            )
        )
        try:
            await write_last(write, within_s=within_s)
        except QueueUnavailable:
            emit(JobLeftToRecovery())


class _Attempt:
    """One attempt: its claim, its payload once read, and how long the job has waited."""

    def __init__(self, claim: Claim, begun_s: float) -> None:
        self.claim = claim
        self.task: Task | None = None
        self._begun_s = begun_s

    def waited_s(self) -> float:
        """Seconds since the job first met a rate limit or an outage."""
        since = self.claim.waiting_since
        if since is None:
            return 0.0
        here_s = asyncio.get_running_loop().time() - self._begun_s
        return (self.claim.claimed_at - since).total_seconds() + here_s


def _may_have_completed(claim: Claim, task: Task | None) -> bool:
    """
    Whether an earlier attempt at this job may have completed the row.

    Only jobs complete rows, one at a time per session. So it is the work of an earlier attempt if
    there was one and, for a replay, the row was planned with another status. Otherwise the payload
    was sent twice.
    """
    was_replayed = task is not None and task.replay is not None and claim.attempt > 1
    bought = claim.purchase is not None or claim.bought_again
    return claim.stored or bought or was_replayed


def _backoff_s(faults: int) -> float:
    """The pause minus up to a quarter, so that jobs that failed together do not retry together."""
    full_s = min(FIRST_PAUSE_S * 2.0**faults, LONGEST_PAUSE_S)
    return full_s * (1 - random.random() / 4)  # noqa: S311 - spreads load, guards nothing


def _asked_s(error: WearonError) -> float:
    """The pause that the service asked for; 0 when none."""
    if isinstance(error, RateLimited | GeneratorFault | PurchaseUnresolved):
        return error.retry_after_s
    return 0.0


def _pause_s(error: WearonError) -> float:
    """At least the time asked for, and up to a quarter more."""
    asked_s = _asked_s(error) or OUTAGE_PAUSE_S
    return asked_s * (1 + random.random() / 4)  # noqa: S311 - spreads load
