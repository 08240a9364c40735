"""The lease of a worker process: a key that expires, which all its jobs depend on."""

from wearon_cli.adapters.redis import keys
from wearon_cli.adapters.redis.client import Client, redis_errors
from wearon_cli.adapters.redis.entries import timeline_facts
from wearon_cli.adapters.redis.job_scripts import JobScripts
from wearon_cli.core.jobs.workers import Worker


class RedisWorkers:
    """Implements `WorkerRegistry`."""

    def __init__(self, redis: Client, *, lease_s: float) -> None:
        self._redis = redis
        self._scripts = JobScripts(redis)
        self._lease_s = lease_s

    async def register(self, worker: Worker) -> None:
        await self._scripts.run(
            "register", worker.worker_id, worker.slots, worker.host, worker.pid, self._lease_s
        )

    async def renew(self, worker_id: str) -> bool:
        with redis_errors():
            if await self._redis.pexpire(keys.worker(worker_id), round(self._lease_s * 1000)):
                return True
        return bool(await self._scripts.run("rejoin", worker_id, self._lease_s))

    async def leave(self, worker_id: str) -> None:
        await self._scripts.run("leave", worker_id, timeline_facts("worker_left"))
