"""
The producer's list and this consumer's own intake list.

A payload is moved, never popped: whichever process is killed, it is in one of the two lists until
it is in the journal. When a consumer's heartbeat stops, the others return its list.
"""

import os
import secrets
import socket
from typing import Final

from wearon_cli.adapters.redis import keys
from wearon_cli.adapters.redis.client import (
    ANSWER_TIMEOUT_S,
    Client,
    Scripts,
    connect,
    redis_errors,
)
from wearon_cli.core.errors import QueueUnavailable
from wearon_cli.core.payloads import salvage

#: Heartbeats missed before a consumer counts as dead.
MISSED_BEATS: Final = 3
#: Payloads read at once when the lists are searched.
CHUNK: Final = 500


class RedisIntake:
    """Implements `Intake`. `redis` is for short calls; the blocking take has its own connection."""

    def __init__(self, redis: Client, *, url: str, wait_s: float, heartbeat_s: float) -> None:
        self.consumer_id = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"
        self._own_list = keys.intake(self.consumer_id)
        self._redis = redis
        # Never retried by the client: a payload may have been moved although the answer was lost.
        self._blocking = connect(url, retries=0, answer_timeout_s=wait_s + ANSWER_TIMEOUT_S)
        self._scripts = Scripts(redis)
        self._silence_s = MISSED_BEATS * heartbeat_s
        self._unsure = False

    async def aclose(self) -> None:
        """Close the blocking connection."""
        await self._blocking.aclose()

    async def take(self, *, wait_s: float) -> bytes | None:
        with redis_errors():
            if self._unsure:
                left = await self._redis.lindex(self._own_list, -1)
                if left is not None:
                    return bytes(left)
            self._unsure = True
            payload = await self._blocking.blmove(
                keys.TASK_LIST, self._own_list, wait_s, src="RIGHT", dest="LEFT"
            )
            self._unsure = payload is not None
        return bytes(payload) if payload is not None else None

    async def done(self, payload: bytes) -> None:
        with redis_errors():
            await self._redis.lrem(self._own_list, -1, payload)
        self._unsure = False

    async def push(self, payload: bytes) -> None:
        with redis_errors():
            await self._redis.lpush(keys.TASK_LIST, payload)

    async def beat(self) -> None:
        await self.return_dead()

    async def return_dead(self) -> int:
        returned = await self._scripts.run(
            "return_dead",
            keys=(keys.CONSUMERS, keys.TASK_LIST),
            args=(self.consumer_id, keys.INTAKE_PREFIX, self._silence_s),
        )
        return int(returned)

    async def leave(self) -> None:
        """
        Stop being a consumer: hand back what is in its own list, oldest first.

        Its entry in the set of consumers stays until its heartbeat is missed: Redis may not have
        noticed yet that the blocking take has ended, and may move one more payload here.
        """
        with redis_errors():
            while await self._redis.lmove(self._own_list, keys.TASK_LIST, "LEFT", "RIGHT"):
                pass

    async def waiting_sessions(self) -> frozenset[str]:
        try:
            with redis_errors():
                found = await self._sessions_in(keys.TASK_LIST)
                async for own_list in self._redis.scan_iter(keys.intake("*"), count=CHUNK):
                    found |= await self._sessions_in(own_list.decode())
                    await self._watch(own_list.decode())
                # Again: a dead consumer's payloads may have been returned during the scan.
                return frozenset(found | await self._sessions_in(keys.TASK_LIST))
        except UnicodeDecodeError as exc:
            raise QueueUnavailable("another program uses a Redis key with our prefix") from exc

    async def _watch(self, own_list: str) -> None:
        """
        Register this list's consumer if it is unknown, so that its payloads are returned if it is
        dead. This happens when a consumer was frozen, removed, resumed, took one more payload, and
        was killed.
        """
        seconds, micros = await self._redis.time()
        since_s = seconds + micros / 1e6
        consumer_id = own_list.removeprefix(keys.INTAKE_PREFIX)
        await self._redis.zadd(keys.CONSUMERS, {consumer_id: since_s}, nx=True)

    async def _sessions_in(self, name: str) -> set[str]:
        """
        Read from the left, where payloads come in: a push during the read shifts the rest to the
        right, so a payload can be read twice but never skipped.
        """
        found: set[str] = set()
        start = 0
        while chunk := await self._redis.lrange(name, start, start + CHUNK - 1):
            found |= {key.session_id for raw in chunk if (key := salvage(raw))}
            start += CHUNK
        return found
