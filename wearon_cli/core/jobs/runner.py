"""
One attempt at a job, from the claim to its next resting place.

Holds the lease while the picture is made, and turns every error into what the tree says: settle,
repeat, wait, halt, yield or drop. The one broad `except` of the worker is here.
"""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import structlog

from wearon_cli.core.contract import parse_task
from wearon_cli.core.errors import (
    Interrupted,
    JobGaveUp,
    JobOrphaned,
    LeaseLost,
    QueueUnavailable,
    RateLimited,
    Reaction,
    StoreUnavailable,
    TaskInvalid,
    UpstreamError,
    WearonError,
)
from wearon_cli.core.events import emit
from wearon_cli.core.jobs.dispatch import Waker
from wearon_cli.core.jobs.events import (
    JobAbandoned,
    JobCrashed,
    JobStarted,
    JobStopped,
    LeaseLeftToExpire,
    RowNotRequeued,
    SettlementUnfinished,
)
from wearon_cli.core.jobs.generation import Generation
from wearon_cli.core.jobs.journal import Claim, HandBack, Journal, NoSlotYet, SettlementIntent
from wearon_cli.core.jobs.pacing import Breaker
from wearon_cli.core.jobs.settlement import Settlement, intent_for
from wearon_cli.core.session import SessionKey, Sessions, requeue, utc_now
from wearon_cli.core.settings import Settings

#: Pause before the first repeat after a fault; doubles, up to the longest.
FIRST_PAUSE_S: Final = 2.0
LONGEST_PAUSE_S: Final = 60.0
#: Pause while an outage gives no time of its own.
OUTAGE_PAUSE_S: Final = 10.0
#: A renewal or last write that met an outage is tried again after this pause; a last write so long,
#: which is less than what is left of the lease.
RETRY_PAUSE_S: Final = 1.0
LAST_WRITE_MAX_WAIT_S: Final = 10.0
#: Pause before an unfinished settlement is tried again.
SETTLEMENT_PAUSE_S: Final = 30.0


class Outcome(StrEnum):
    """What came of one attempt."""

    COMPLETED = "completed"
    SETTLED = "settled"  # failed, credit accounted for
    HANDED_BACK = "handed_back"  # waits for its due time
    DROPPED = "dropped"  # nothing to do: done already, or another worker's now


@dataclass(frozen=True, slots=True, kw_only=True)
class Disposition:
    """Where an attempt leaves its job: closed, or handed back for a reason and a time."""

    outcome: Outcome
    why: HandBack | None = None  # None: close
    after_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRunner:
    """Does claimed jobs. One instance serves all jobs of a process."""

    journal: Journal
    sessions: Sessions
    generation: Generation
    settlement: Settlement
    breaker: Breaker
    waker: Waker
    settings: Settings

    async def next_job(self) -> Claim | None:
        """
        Wait for the turn of the next job and claim it. None: no job waits.

        Raises:
            QueueUnavailable: Redis is away; recovery finds the job when it is back.
        """
        turn = await self.journal.claim()
        while isinstance(turn, NoSlotYet):
            await asyncio.sleep(turn.wait_s)
            turn = await self.journal.claim()
        return turn

    async def run(self, claim: Claim) -> Outcome:
        """Bring a claimed job to its next resting place. Cancelling hands it back first."""
        with structlog.contextvars.bound_contextvars(
            session_id=claim.session_id, channel=claim.channel.value
        ):
            try:
                async with self._lease_kept(claim):
                    disposition = await self._attempt(claim)
                return await self._let_go(claim, disposition)
            except LeaseLost:
                emit(JobAbandoned())
                return Outcome.DROPPED
            except asyncio.CancelledError:
                with suppress(LeaseLost):
                    await self._let_go(claim, await self._hand_back(claim, Interrupted()))
                raise

    @asynccontextmanager
    async def _lease_kept(self, claim: Claim) -> AsyncIterator[None]:
        """Renew the lease while the body runs; end the body with `LeaseLost` when it is lost."""
        body = asyncio.current_task()
        lost = False

        async def keep() -> None:
            nonlocal lost
            pause_s = self.settings.lease_renew_s
            while not lost:
                await asyncio.sleep(pause_s)
                pause_s = self.settings.lease_renew_s
                try:
                    await self.journal.renew(claim)
                except QueueUnavailable:
                    pause_s = min(pause_s, RETRY_PAUSE_S)  # before recovery, when Redis is back
                except LeaseLost:
                    lost = True
                    if body is not None:
                        body.cancel()

        keeper = asyncio.create_task(keep())
        try:
            yield
        except asyncio.CancelledError:
            if not lost or body is None:
                raise
            body.uncancel()
            raise LeaseLost from None
        finally:
            keeper.cancel()

    async def _attempt(self, claim: Claim) -> Disposition:
        try:
            if claim.intent is not None:
                return await self._settle(claim, claim.intent)
            if claim.attempts > self.settings.max_attempts:
                raise JobGaveUp(f"{claim.attempts - 1} attempts ended without a word")
            return await self._make_picture(claim)
        except WearonError as error:
            return await self._react(claim, error)
        except Exception as exc:  # noqa: BLE001 - logged, and the job is settled
            emit(JobCrashed(kind=type(exc).__name__), exc_info=exc)
            return await self._react(claim, WearonError(f"unexpected {type(exc).__name__}"))

    async def _make_picture(self, claim: Claim) -> Disposition:
        if not claim.payload:
            raise JobOrphaned
        task = parse_task(claim.payload)
        # Kept until the job's own asyncio task ends: what follows a failure is about it too.
        structlog.contextvars.bind_contextvars(request_id=task.request_id)
        age_s = round(task.age_s(utc_now()), 3)
        emit(JobStarted(attempt=claim.attempts, age_s=age_s))
        await self.generation.make(claim, task)
        return Disposition(outcome=Outcome.COMPLETED)

    # ------------------------------------------------------------------ what becomes of it

    async def _react(self, claim: Claim, error: WearonError) -> Disposition:
        emit(JobStopped(error=error.code, detail=str(error), attempt=claim.attempts))
        match error.reaction:
            case Reaction.DROP:
                if isinstance(error, LeaseLost):
                    raise error
                return Disposition(outcome=Outcome.DROPPED)
            case Reaction.YIELD:
                return await self._hand_back(claim, error)
            case Reaction.REPEAT if claim.faults < self.settings.openai_max_retries:
                return _again(HandBack.FAULT, after_s=_backoff_s(claim.faults))
            case Reaction.WAIT | Reaction.HALT if self._may_wait(claim):
                if error.reaction is Reaction.HALT:
                    await self._trip_breaker(error)
                return await self._hand_back(claim, error, after_s=_pause_s(error))
            case _:
                return await self._give_up(claim, error)

    def _may_wait(self, claim: Claim) -> bool:
        since = claim.waiting_since
        return since is None or (utc_now() - since).total_seconds() < self.settings.max_wait_s

    async def _trip_breaker(self, error: WearonError) -> None:
        with suppress(QueueUnavailable):
            await self.breaker.trip(error.code)

    async def _give_up(self, claim: Claim, error: WearonError) -> Disposition:
        for_a_person = type(error) is WearonError or isinstance(error, (JobGaveUp, TaskInvalid))
        try:
            return await self._settle(claim, intent_for(error, dead_letter=for_a_person))
        except UpstreamError as exc:
            emit(SettlementUnfinished(error=exc.code, detail=str(exc)))
            return _again(HandBack.WAITING, after_s=SETTLEMENT_PAUSE_S)

    async def _settle(self, claim: Claim, intent: SettlementIntent) -> Disposition:
        key = SessionKey(channel=claim.channel, session_id=claim.session_id)
        await self.settlement.settle(claim, key, intent)
        return Disposition(outcome=Outcome.SETTLED)

    async def _hand_back(
        self, claim: Claim, error: WearonError, *, after_s: float = 0.0
    ) -> Disposition:
        """Row to queued before the lease is let go: never the other way."""
        if claim.intent is None and not isinstance(error, StoreUnavailable):
            key = SessionKey(channel=claim.channel, session_id=claim.session_id)
            try:
                await self.sessions.apply(key, requeue())
            except UpstreamError as exc:
                emit(RowNotRequeued(error=exc.code))  # the next attempt copes
        turn = error.reaction is Reaction.YIELD
        return _again(HandBack.NO_SLOT if turn else HandBack.WAITING, after_s=after_s)

    async def _let_go(self, claim: Claim, disposition: Disposition) -> Outcome:
        """
        The last write of an attempt, when the lease is no longer renewed beside it.

        Worth some patience: left undone, it looks like the death of this worker, which counts.
        """
        clock = asyncio.get_running_loop().time
        give_up_s = clock() + LAST_WRITE_MAX_WAIT_S
        while True:
            try:
                await self._write_last(claim, disposition)
                break
            except QueueUnavailable:
                if clock() > give_up_s:
                    emit(LeaseLeftToExpire())
                    break
                await asyncio.sleep(RETRY_PAUSE_S)
        return disposition.outcome

    async def _write_last(self, claim: Claim, disposition: Disposition) -> None:
        if disposition.why is None:
            await self.journal.close(claim)
            return
        await self.journal.hand_back(claim, after_s=disposition.after_s, why=disposition.why)
        if disposition.after_s <= 0:
            with suppress(QueueUnavailable):  # recovery calls
                await self.waker.wake()


def _again(why: HandBack, *, after_s: float) -> Disposition:
    return Disposition(outcome=Outcome.HANDED_BACK, why=why, after_s=after_s)


def _backoff_s(faults: int) -> float:
    """Full pause less up to a quarter, so that jobs that failed together come back apart."""
    full_s = min(FIRST_PAUSE_S * 2.0**faults, LONGEST_PAUSE_S)
    return full_s * (1 - random.random() / 4)  # noqa: S311 - spreads load, guards nothing


def _pause_s(error: WearonError) -> float:
    """At least the time asked for, and up to a quarter more."""
    asked_s = error.retry_after_s if isinstance(error, RateLimited) else 0.0
    return (asked_s or OUTAGE_PAUSE_S) * (1 + random.random() / 4)  # noqa: S311 - spreads load
