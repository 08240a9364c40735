"""
Reads what operator tools show about jobs.

A timeline is JSON lines, oldest first. Members of every line:

    at         time by Redis's clock (in Redis: seconds since 1970; read: ISO 8601, UTC)
    event      one of the events below

Events of a job and their further members, each of which may be absent:

    taken, replayed, adopted   (how the job was opened; what the opener adds)
    claimed                    attempt, worker
    purchase_started           purchase (number), provider, model, marker
    purchase_submitted         ticket
    preview_started            provider, model (a composite made here: nothing is bought)
    purchase_ended             outcome, cost_usd, error; and of the provider's answer: status, code,
                               parameter, vendor_request_id
    preview_ended              outcome, error
    picture_stored             outcome, provider, model, cost_usd, vendor_request_id, marks,
                               marked_by; estimate: true when the cost was not told
    picture_held               model
    late_picture               stored (whether under the result's path)
    previous_kept, charged
    handed_back                attempt, why, after_s, error
    worker_lost, worker_left   attempt
    expired
    settling, row_failed       error, detail
    closed                     attempt, ending, error, credit, cost_usd

Attempts are numbered across all jobs of a session. Other events are notes of operator commands;
their member `by` names the operator. `forgotten` are the first remaining lines: all others
before the last of them are deleted. While its job is open, a session's newest lines are kept with
the job.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from wearon_cli.adapters.redis import keys
from wearon_cli.adapters.redis.client import Client, redis_errors
from wearon_cli.adapters.redis.entries import Fields, entry_of, ticket_of
from wearon_cli.adapters.redis.money import MICRO
from wearon_cli.core.failures import FailedCall
from wearon_cli.core.jobs.journal import JobEntry, SessionRecord


class RedisJobReader:
    """Implements `JobReader`."""

    def __init__(self, redis: Client) -> None:
        self._redis = redis

    async def entry(self, session_id: str) -> JobEntry | None:
        with redis_errors():
            async with self._redis.pipeline(transaction=True) as pipe:
                pipe.zscore(keys.JOBS, session_id)
                pipe.hgetall(keys.job(session_id))
                score, job = await pipe.execute()
        return None if score is None or not job else entry_of(session_id, score, job)

    async def timeline(self, session_id: str) -> Sequence[Mapping[str, object]]:
        with redis_errors():
            async with self._redis.pipeline(transaction=True) as pipe:
                pipe.get(keys.timeline(session_id))
                pipe.hget(keys.job(session_id), "lines")
                ended, open_lines = await pipe.execute()
        return list(_lines((ended or b"") + (open_lines or b"")))

    async def record(self, session_id: str) -> SessionRecord | None:
        with redis_errors():
            async with self._redis.pipeline(transaction=True) as pipe:
                pipe.get(keys.record(session_id))
                pipe.hgetall(keys.job(session_id))
                kept, job = await pipe.execute()
        if kept is None and not job:
            return None
        return _record(json.loads(kept) if kept else {}, job)

    async def records(self, session_ids: Sequence[str]) -> Sequence[SessionRecord | None]:
        kept = await self._values([keys.record(each) for each in session_ids])
        return [None if text is None else _record(json.loads(text), {}) for text in kept]

    async def timelines(
        self, session_ids: Sequence[str]
    ) -> Sequence[Sequence[Mapping[str, object]]]:
        kept = await self._values([keys.timeline(each) for each in session_ids])
        return [list(_lines(text or b"")) for text in kept]

    async def _values(self, names: Sequence[str]) -> list[bytes | None]:
        if not names:
            return []
        with redis_errors():
            return list(await self._redis.mget(names))


def _lines(text: bytes) -> Iterable[Mapping[str, object]]:
    for line in map(json.loads, text.splitlines()):
        yield {**line, "at": datetime.fromtimestamp(line["at"], UTC).isoformat()}


def _record(kept: Mapping[str, Any], job: Fields) -> SessionRecord:
    """What earlier jobs left, with what the open one has done so far."""
    picture = json.loads(job[b"booked"]) if job.get(b"booked") else kept.get("booked") or {}
    paths = job.get(b"input_paths") or kept.get("input_paths") or "[]"

    def total(name: str) -> int:
        return int(kept.get(name, 0)) + int(job.get(name.encode()) or 0)

    return SessionRecord(
        error_code=kept.get("error_code"),
        failed_by_us=kept.get("failed_by_us", False) or b"failed_by_us" in job,
        provider=picture.get("provider"),
        model=picture.get("model"),
        replays=int(kept.get("replays", 0)) + (job.get(b"event") == b"replayed"),
        purchases=total("purchases"),
        purchases_lost=total("lost"),
        cost_usd=total("micro_usd") / MICRO,
        input_paths=tuple(json.loads(paths)),
        parked=kept.get("parked", False),
        failed_call=_failed_call(kept.get("failed_call")),
        attempts=int(kept.get("attempts", 0)) + int(job.get(b"attempt") or 0),
        tickets=tuple(map(ticket_of, kept.get("tickets", ()))),
        is_forgotten="forgotten_at" in kept,
    )


def _failed_call(facts: Mapping[str, Any] | None) -> FailedCall | None:
    if facts is None:
        return None
    return FailedCall(
        provider=facts["provider"],
        model=facts["model"],
        error_code=facts.get("error"),
        status=facts.get("status"),
        code=facts.get("code"),
        vendor_request_id=facts.get("vendor_request_id"),
    )
