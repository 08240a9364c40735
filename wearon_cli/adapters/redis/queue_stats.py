"""What waits and what runs, read from Redis in one command."""

from datetime import UTC, datetime

from wearon_cli.adapters.redis import keys
from wearon_cli.adapters.redis.client import Client, Scripts
from wearon_cli.adapters.redis.intake import MISSED_BEATS
from wearon_cli.core.operator.queue_stats import QueueStats
from wearon_cli.core.payloads import pushed_at

#: What a rate limit counts.
MINUTE_S = 60.0


class RedisQueueStats:
    """Implements `QueueStatsPort`."""

    def __init__(self, redis: Client, *, heartbeat_s: float) -> None:
        self._scripts = Scripts(redis)
        self._silence_s = heartbeat_s * MISSED_BEATS

    async def look(self) -> QueueStats:
        """See `QueueStatsPort.look`."""
        answer = await self._scripts.run(
            "queue_stats",
            keys=(
                keys.TASK_LIST,
                keys.READY,
                keys.WAKE,
                keys.DEAD_LETTERS,
                keys.CONSUMERS,
                keys.REQUESTS,
                keys.BREAKER,
                keys.CELERY_QUEUE,
            ),
            args=(keys.JOB_PREFIX, self._silence_s, MINUTE_S),
        )
        now_s, queued, oldest, ready, since_s, leased, held, letters, *rest = answer
        consumers, permits, reason, calls = rest
        pushed = pushed_at(oldest) if oldest else None
        since = [datetime.fromtimestamp(float(since_s), UTC)] if since_s else []
        return QueueStats(
            at=datetime.fromtimestamp(float(now_s), UTC),
            queued=int(queued),
            ready=int(ready),
            waiting_since=min([*since, *([pushed] if pushed else [])], default=None),
            held=int(held),
            overdue=int(held) - int(leased),
            dead_letters=int(letters),
            consumers=int(consumers),
            permits_used=int(permits),
            calls_waiting=int(calls),
            halted_because=reason.decode() if reason else None,
        )
