"""
The journal of open jobs in Redis. Keys and their lives: docs/redis-keys.md.

One hash for each job; a set of ready jobs, in fair order; a set of leased and delayed jobs, by when
to look at them again; one list for each session's timeline.
Redis's own clock is the only one used. Every write by a worker is fenced by its claim's token.
"""

import json
import secrets
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, Final

from wearon_cli.adapters.redis import keys
from wearon_cli.adapters.redis.client import Client, Scripts, redis_errors
from wearon_cli.adapters.redis.limiter import WINDOW_S
from wearon_cli.core.errors import LeaseLost, QueueUnavailable
from wearon_cli.core.generator import Usage
from wearon_cli.core.jobs.journal import (
    Claim,
    HandBack,
    NoSlotYet,
    OpenCall,
    RecoveryPass,
    SettlementIntent,
)
from wearon_cli.core.session import Channel, SessionKey, utc_now

#: Share of a minute's permits that an idle system may hand out at once. The rest is paced: a larger
#: burst would repeat in every window and leave the limit unused in between.
BURST: Final = 0.01


class RedisJournal:
    """Implements `Journal`."""

    def __init__(
        self,
        redis: Client,
        *,
        lease_s: float,
        requests_per_minute: int,
        pictures_per_minute: int | None,
    ) -> None:
        self._redis = redis
        self._scripts = Scripts(redis)
        self._lease_s = lease_s
        burst = max(1.0, requests_per_minute * BURST)
        picture_gap_s = WINDOW_S / pictures_per_minute if pictures_per_minute else 0.0
        self._pace = (WINDOW_S / requests_per_minute, picture_gap_s, burst)

    async def open(self, key: SessionKey, payload: bytes, *, owner_id: str, pictures: int) -> bool:
        opened = await self._scripts.run(
            "open",
            keys=(keys.job(key.session_id), keys.READY, keys.OWNERS, keys.CLOCK),
            args=(key.session_id, key.channel.value, payload, owner_id, pictures),
        )
        if opened:
            await self._noted(key.session_id, "taken")
        return bool(opened)

    async def claim(self) -> Claim | NoSlotYet | None:
        token = secrets.token_hex(8)
        answer = await self._scripts.run(
            "claim",
            keys=(keys.READY, keys.WAKE, keys.OWNERS, keys.CLOCK, keys.PACE, keys.claim(token)),
            args=(
                keys.JOB_PREFIX,
                token,
                self._lease_s,
                *self._pace,
                keys.PACE_LIFE_S,
                keys.CLAIM_LIFE_S,
            ),
        )
        if isinstance(answer, bytes):
            return None if answer == b"empty" else NoSlotYet(wait_s=float(answer))
        session_id, flat = answer[0].decode(), answer[1]
        claim = _claim(session_id, token, dict(zip(flat[::2], flat[1::2], strict=True)))
        await self._noted(session_id, "claimed", attempt=claim.attempts)
        return claim

    async def renew(self, claim: Claim) -> None:
        _fence(
            await self._scripts.run(
                "renew",
                keys=(keys.job(claim.session_id), keys.WAKE, keys.READY),
                args=(claim.session_id, claim.token, self._lease_s),
            )
        )

    async def call_started(self, claim: Claim, model: str) -> None:
        await self._write(claim, {"call_model": model, "call_at": utc_now().timestamp()})
        await self._noted(claim.session_id, "paid_call_started", model=model)

    async def call_ended(self, claim: Claim) -> None:
        await self._write(claim, {}, drop=("call_model", "call_at"))

    async def call_lost(self, claim: Claim) -> int:
        lost = int(
            await self._scripts.run(
                "call_lost", keys=(keys.job(claim.session_id),), args=(claim.token,)
            )
        )
        _fence(lost >= 0)
        await self._noted(claim.session_id, "paid_call_lost", ambiguous=lost)
        return lost

    async def picture_stored(self, claim: Claim, usage: Usage) -> None:
        fields = {"stored": 1, "usage": json.dumps(asdict(usage))}
        await self._write(claim, fields, drop=("call_model", "call_at"))
        await self._noted(
            claim.session_id, "picture_stored", model=usage.model, cost_usd=usage.cost_usd
        )

    async def hand_back(self, claim: Claim, *, after_s: float, why: HandBack) -> None:
        _fence(
            await self._scripts.run(
                "hand_back",
                keys=(keys.job(claim.session_id), keys.WAKE, keys.READY, keys.CLOCK),
                args=(claim.session_id, claim.token, after_s, why.value),
            )
        )
        await self._noted(claim.session_id, "handed_back", why=why.value, after_s=round(after_s, 1))

    async def intend(self, claim: Claim, intent: SettlementIntent) -> None:
        await self._write(claim, {"intent": json.dumps(asdict(intent))})

    async def close(self, claim: Claim) -> None:
        _fence(
            await self._scripts.run(
                "close",
                keys=(keys.job(claim.session_id), keys.WAKE),
                args=(claim.session_id, claim.token),
            )
        )
        await self._noted(claim.session_id, "closed")

    async def note(self, session_id: str, event: str, **facts: object) -> None:
        line = json.dumps({"at": utc_now().isoformat(), "event": event, **facts})
        await self._scripts.run(
            "note",
            keys=(keys.timeline(session_id),),
            args=(line, keys.TIMELINE_ENTRIES, keys.TIMELINE_LIFE_S),
        )

    async def _noted(self, session_id: str, event: str, **facts: object) -> None:
        """Note what was just done. If Redis is away the timeline lacks it, and the job goes on."""
        with suppress(QueueUnavailable):
            await self.note(session_id, event, **facts)

    async def timeline(self, session_id: str) -> Sequence[Mapping[str, object]]:
        with redis_errors():
            lines = await self._redis.lrange(keys.timeline(session_id), 0, -1)
        return [json.loads(line) for line in lines]

    async def is_open(self, session_id: str) -> bool:
        with redis_errors():
            return bool(await self._redis.exists(keys.job(session_id)))

    async def recover(self, *, limit: int) -> RecoveryPass:
        moved, uncalled = await self._scripts.run(
            "due",
            keys=(keys.WAKE, keys.READY, keys.CLOCK, keys.CELERY_QUEUE),
            args=(keys.JOB_PREFIX, limit),
        )
        return RecoveryPass(moved=int(moved), uncalled=int(uncalled))

    async def _write(
        self, claim: Claim, fields: Mapping[str, object], *, drop: tuple[str, ...] = ()
    ) -> None:
        flat = [part for pair in fields.items() for part in pair]
        _fence(
            await self._scripts.run(
                "write",
                keys=(keys.job(claim.session_id),),
                args=(claim.token, len(drop), *drop, *flat),
            )
        )


def _fence(held: object) -> None:
    if not held:
        raise LeaseLost


def _moment(seconds: bytes) -> datetime:
    return datetime.fromtimestamp(float(seconds), UTC)


def _claim(session_id: str, token: str, entry: Mapping[bytes, Any]) -> Claim:
    waiting, call_at = entry.get(b"waiting_since"), entry.get(b"call_at")
    usage, intent = entry.get(b"usage"), entry.get(b"intent")
    return Claim(
        session_id=session_id,
        channel=Channel(entry[b"channel"].decode()),
        token=token,
        payload=entry[b"payload"],
        attempts=int(entry[b"attempts"]),
        faults=int(entry[b"faults"]),
        ambiguous=int(entry[b"ambiguous"]),
        opened_at=_moment(entry[b"opened_at"]),
        waiting_since=_moment(waiting) if waiting else None,
        open_call=(
            OpenCall(model=entry[b"call_model"].decode(), started_at=_moment(call_at))
            if call_at
            else None
        ),
        stored=b"stored" in entry,
        usage=Usage(**json.loads(usage)) if usage else None,
        intent=SettlementIntent(**json.loads(intent)) if intent else None,
    )
