"""Measures the use of Redis: commands, including those inside scripts, and CPU time."""

from collections import Counter
from dataclasses import dataclass

from redis import Redis


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisUse:
    """Since the server's start, or between two snapshots (`later - earlier`)."""

    commands: Counter[
        str
    ]  # calls by name; the commands of a script are counted in addition to its EVALSHA
    cpu_s: float  # of the whole server process

    @property
    def count(self) -> int:
        """Number of commands."""
        return self.commands.total()

    def __sub__(self, earlier: "RedisUse") -> "RedisUse":
        return RedisUse(commands=self.commands - earlier.commands, cpu_s=self.cpu_s - earlier.cpu_s)


def redis_use(redis: "Redis") -> RedisUse:
    """
    A snapshot of the server's counters; the INFO command of the snapshot itself is not counted.
    """
    found = redis.info("commandstats")
    commands = Counter(
        {
            name.removeprefix("cmdstat_"): int(facts["calls"])
            for name, facts in found.items()
            if name != "cmdstat_info"
        }
    )
    cpu = redis.info("cpu")
    return RedisUse(commands=commands, cpu_s=cpu["used_cpu_sys"] + cpu["used_cpu_user"])
