"""What waits and what runs, read from Redis in one command."""

from datetime import UTC, datetime

from wearon_cli.adapters.redis_client import Client, Scripts
from wearon_cli.adapters.redis_dead_letters import INDEX
from wearon_cli.adapters.redis_intake import CONSUMERS, MISSED_BEATS
from wearon_cli.adapters.redis_journal import CELERY_QUEUE, JOB, READY, WAKE
from wearon_cli.adapters.redis_limiter import REQUESTS
from wearon_cli.adapters.redis_locks import BREAKER
from wearon_cli.core.contract import TASK_LIST, pushed_at
from wearon_cli.core.ports import Overview

#: What a rate limit counts.
MINUTE_S = 60.0


class RedisOverview:
    """Implements `Outlook`."""

    def __init__(self, redis: Client, *, heartbeat_s: float) -> None:
        self._scripts = Scripts(redis)
        self._silence_s = heartbeat_s * MISSED_BEATS

    async def look(self) -> Overview:
        """See `Outlook.look`."""
        answer = await self._scripts.run(
            "overview",
            keys=(TASK_LIST, READY, WAKE, INDEX, CONSUMERS, REQUESTS, BREAKER, CELERY_QUEUE),
            args=(JOB, self._silence_s, MINUTE_S),
        )
        now_s, queued, oldest, in_line, since_s, leased, held, letters, *rest = answer
        consumers, permits, reason, calls = rest
        pushed = pushed_at(oldest) if oldest else None
        since = [datetime.fromtimestamp(float(since_s), UTC)] if since_s else []
        return Overview(
            at=datetime.fromtimestamp(float(now_s), UTC),
            queued=int(queued),
            in_line=int(in_line),
            waiting_since=min([*since, *([pushed] if pushed else [])], default=None),
            held=int(held),
            overdue=int(held) - int(leased),
            dead_letters=int(letters),
            consumers=int(consumers),
            permits_used=int(permits),
            calls_waiting=int(calls),
            halted_because=reason.decode() if reason else None,
        )
