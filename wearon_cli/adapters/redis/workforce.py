"""The worker processes and their jobs, read from Redis."""

import json
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from wearon_cli.adapters.redis import keys
from wearon_cli.adapters.redis.client import Client, redis_errors
from wearon_cli.adapters.redis.entries import RUNNING
from wearon_cli.core.operator.workforce import WorkerView

#: Most running jobs read: 10 workers with the usual slots.
MOST_JOBS: Final = 2400
#: Most jobs listed for one worker.
NAMED: Final = 24


class RedisWorkforce:
    """Implements `Workforce`."""

    def __init__(self, redis: Client) -> None:
        self._redis = redis

    async def look(self) -> Sequence[WorkerView]:
        with redis_errors():
            async with self._redis.pipeline(transaction=False) as pipe:
                pipe.hgetall(keys.WORKERS)
                pipe.zrangebyscore(keys.JOBS, RUNNING, "+inf", 0, MOST_JOBS, withscores=True)
                workers, running = await pipe.execute()
        counts = Counter(int(score - RUNNING) for _, score in running)
        named: dict[int, list[str]] = {}
        for session_id, score in running:
            some = named.setdefault(int(score - RUNNING), [])
            if len(some) < NAMED:
                some.append(session_id.decode())
        views = []
        for worker_id, text in workers.items():
            worker = json.loads(text)
            number = int(worker["number"])
            views.append(
                WorkerView(
                    worker_id=worker_id.decode(),
                    host=str(worker["host"]),
                    pid=int(worker["pid"]),
                    slots=int(worker["slots"]),
                    since=datetime.fromtimestamp(float(worker["since"]), UTC),
                    session_ids=named.get(number, []),
                    jobs=counts[number],
                )
            )
        return sorted(views, key=lambda view: view.worker_id)
