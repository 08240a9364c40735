"""The counters of jobs that ended: a hash for each hour, written by close.lua."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from wearon_cli.adapters.redis import keys
from wearon_cli.adapters.redis.client import Client, redis_errors
from wearon_cli.core.operator.minutes import EndingCount

_HOUR_S: Final = 3600
_MINUTE_S: Final = 60


class RedisEndingCounts:
    """Implements `EndingCounts`."""

    def __init__(self, redis: Client) -> None:
        self._redis = redis

    async def minutes(self, since: datetime, until: datetime) -> Sequence[EndingCount]:
        hours = range(int(since.timestamp()) // _HOUR_S, int(until.timestamp()) // _HOUR_S + 1)
        with redis_errors():
            async with self._redis.pipeline(transaction=False) as pipe:
                for hour in hours:
                    pipe.hgetall(keys.minutes(hour))
                pages = await pipe.execute()
        found = [each for hour, page in zip(hours, pages, strict=True) for each in _of(hour, page)]
        first = since.replace(second=0, microsecond=0)
        return [each for each in found if first <= each.at <= until]


def _of(hour: int, page: Mapping[bytes, bytes]) -> list[EndingCount]:
    completed: dict[int, int] = {}
    failures: dict[int, dict[str, int]] = {}
    for field, count in page.items():
        minute, ending, *code = field.decode().split(" ")
        if ending == "completed":
            completed[int(minute)] = int(count)
        else:
            failures.setdefault(int(minute), {})[code[0] if code else ""] = int(count)
    return [
        EndingCount(
            at=datetime.fromtimestamp(hour * _HOUR_S + minute * _MINUTE_S, UTC),
            completed=completed.get(minute, 0),
            failures=failures.get(minute, {}),
        )
        for minute in sorted(completed.keys() | failures.keys())
    ]
