"""Dead letters in Redis: one hash each, and an index by time; both expire after 30 days."""

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from wearon_cli.adapters.redis import keys
from wearon_cli.adapters.redis.client import Client, redis_errors
from wearon_cli.core.jobs.dead_letters import DeadLetter
from wearon_cli.core.session import utc_now


class RedisDeadLetters:
    """Implements `DeadLetters`. A letter's id is the hash of its payload and session."""

    def __init__(self, redis: Client) -> None:
        self._redis = redis

    async def bury(
        self,
        raw: bytes,
        *,
        reason: str,
        error_code: str,
        attempts: int,
        session_id: str | None,
    ) -> str:
        letter_id = hashlib.sha256(raw + (session_id or "").encode()).hexdigest()[:12]
        now_s = utc_now().timestamp()
        fields: dict[str, Any] = {
            "raw": raw,
            "reason": reason,
            "error_code": error_code,
            "attempts": attempts,
            "died_at": now_s,
            "session_id": session_id or "",
        }
        with redis_errors():
            async with self._redis.pipeline(transaction=True) as pipe:
                pipe.hset(keys.dead_letter(letter_id), mapping=fields)
                pipe.expire(keys.dead_letter(letter_id), keys.DEAD_LETTER_LIFE_S)
                pipe.zadd(keys.DEAD_LETTERS, {letter_id: now_s})
                pipe.zremrangebyscore(keys.DEAD_LETTERS, "-inf", now_s - keys.DEAD_LETTER_LIFE_S)
                await pipe.execute()
        return letter_id

    async def list(self, *, limit: int) -> Sequence[DeadLetter]:
        with redis_errors():
            ids = await self._redis.zrevrange(keys.DEAD_LETTERS, 0, limit - 1)
        letters = [await self.get(letter_id.decode()) for letter_id in ids]
        return [letter for letter in letters if letter is not None]

    async def get(self, letter_id: str) -> DeadLetter | None:
        with redis_errors():
            fields = await self._redis.hgetall(keys.dead_letter(letter_id))
        if not fields:
            return None
        return DeadLetter(
            letter_id=letter_id,
            raw=fields[b"raw"],
            reason=fields[b"reason"].decode(),
            error_code=fields[b"error_code"].decode(),
            attempts=int(fields[b"attempts"]),
            died_at=datetime.fromtimestamp(float(fields[b"died_at"]), UTC),
            session_id=fields[b"session_id"].decode() or None,
        )

    async def drop(self, letter_id: str) -> bool:
        with redis_errors():
            async with self._redis.pipeline(transaction=True) as pipe:
                pipe.delete(keys.dead_letter(letter_id))
                pipe.zrem(keys.DEAD_LETTERS, letter_id)
                deleted, _ = await pipe.execute()
        return bool(deleted)
