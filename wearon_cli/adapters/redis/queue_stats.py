"""Queue stats, read from Redis."""

from datetime import UTC, datetime

from wearon_cli.adapters.redis.client import Client
from wearon_cli.adapters.redis.halts import read_halts
from wearon_cli.adapters.redis.intake import MISSED_BEATS
from wearon_cli.adapters.redis.job_scripts import JobScripts
from wearon_cli.core.operator.queue_stats import QueueStats
from wearon_cli.core.payloads import pushed_at

#: What a rate limit counts.
MINUTE_S = 60.0


class RedisQueueStats:
    """Implements `QueueStatsPort`."""

    def __init__(self, redis: Client, *, heartbeat_s: float) -> None:
        self._scripts = JobScripts(redis)
        self._redis = redis
        self._silence_s = heartbeat_s * MISSED_BEATS

    async def look(self) -> QueueStats:
        """See `QueueStatsPort.look`."""
        answer = await self._scripts.run("queue_stats", self._silence_s, MINUTE_S)
        now_s, queued, oldest, ready, since_s, released, running, waiting, overdue, *rest = answer
        letters, consumers, workers, slots, permits = rest
        pushed = pushed_at(oldest) if oldest else None
        since = [datetime.fromtimestamp(float(since_s), UTC)] if since_s else []
        return QueueStats(
            at=datetime.fromtimestamp(float(now_s), UTC),
            queued=int(queued),
            ready=int(ready),
            waiting_since=min([*since, *([pushed] if pushed else [])], default=None),
            released=int(released),
            running=int(running),
            waiting=int(waiting),
            overdue=int(overdue),
            dead_letters=int(letters),
            consumers=int(consumers),
            workers=int(workers),
            slots=int(slots),
            permits_used=int(permits),
            halts=tuple(await read_halts(self._redis)),
        )
