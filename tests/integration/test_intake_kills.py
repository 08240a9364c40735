"""
A real `wearon consume` is killed (kill -9) at every command it sends while it takes a job in.

Before the command reached Redis, and after Redis did it but before the answer came. Whatever it
was, others find the job and finish it, once.
"""

import subprocess
from pathlib import Path

import pytest

from devkit.accounts import USER
from devkit.processes import started
from devkit.redis_time import consumers_fall_silent
from devkit.servers.redis_proxy import RedisProxy
from devkit.servers.redis_server import RedisServer
from devkit.waiting import reached
from devkit.world import World
from wearon_cli.adapters.redis import keys
from wearon_cli.adapters.redis.workers import RedisWorkers
from wearon_cli.core.session import SessionKey, Status

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

#: Taking a job in takes fewer commands than this.
MANY = 40


@pytest.fixture
async def world(world: World) -> World:
    world.registry = RedisWorkers(world.redis, lease_s=600.0)
    await world.registry.register(world.worker)  # so that the consumer releases what it takes in
    return world


def consume(proxy: RedisProxy, folder: Path) -> subprocess.Popen[bytes]:
    environment = {
        "REDIS_URL": proxy.url,
        "WEARON_LOCAL_DIR": str(folder),
        "WEARON_LOG_FORMAT": "json",
        "WEARON_REQUESTS_PER_MINUTE": "60000",  # so that the rate limit delays no release
    }
    return started("consume", environment=environment, log=folder / "consume.log")


async def consumer(proxy: RedisProxy, folder: Path) -> subprocess.Popen[bytes]:
    """A consumer that waits for a job."""
    process = consume(proxy, folder)
    log = folder / "consume.log"

    def waits() -> bool:
        assert process.poll() is None, log.read_text("utf-8")
        return any(words[0] == b"BLMOVE" for words in proxy.seen)

    await reached(waits)
    return process


async def taken_or_dead(process: subprocess.Popen[bytes], proxy: RedisProxy) -> bool:
    """True when it was killed; False when it had taken the job in and asks for the next one."""

    def taken() -> bool:
        words = [seen[0] for seen in proxy.seen]
        return b"LREM" in words and b"BLMOVE" in words[words.index(b"LREM") :]

    await reached(lambda: process.poll() is not None or taken())
    return process.poll() is not None


MOMENTS = pytest.mark.parametrize(
    "after", [False, True], ids=["before the command", "before its answer"]
)


async def others_finish(world: World, key: SessionKey, told: object) -> None:
    """Whatever the dead consumer left, its job is completed and nothing remains."""
    await consumers_fall_silent(world.redis)
    await world.recovery().beat()
    await world.take_all_in()
    await world.pass_time()  # nobody claimed what it had released
    await world.run_all()
    assert (await world.row(key)).status is Status.COMPLETED, told
    assert await world.is_at_rest(), told
    assert not await world.redis.keys(keys.intake("*")), told
    assert world.generator.paid.count(key.session_id) == 1, told
    assert await world.redis.llen(keys.TASK_LIST) == 0


@MOMENTS
async def test_a_consumer_killed_at_any_command_of_the_intake_loses_nothing(
    world: World, redis_server: RedisServer, tmp_path: Path, after: bool
) -> None:
    """Its loops send commands at the same time, so the same number is not always the same one."""
    for step in range(0 if after else 1, MANY):
        with RedisProxy(redis_server.port) as proxy:
            process = await consumer(proxy, tmp_path)
            proxy.kill_at(step, after=after, kill=process.kill)
            key = await world.sell(owner_id=USER)
            await taken_or_dead(process, proxy)  # a blocking read has no answer to die before
            last = [b" ".join(words[:2])[:60] for words in proxy.seen[-1:]]
            process.kill()
            process.wait()
        await others_finish(world, key, (step, last))
        if len(proxy.seen) < step:
            break
    assert step > 4  # to open, to send, to clear, to wait for the next one


@MOMENTS
@pytest.mark.parametrize(
    "command",
    [
        pytest.param(b"EVALSHA", id="open and release"),
        pytest.param(b"LPUSH", id="send its message"),
        pytest.param(b"LREM", id="clear the intake list"),
    ],
)
async def test_a_consumer_killed_at_any_command_for_a_job_loses_nothing(
    world: World, redis_server: RedisServer, tmp_path: Path, command: bytes, after: bool
) -> None:
    key = await world.sell(owner_id=USER, push=False)
    with RedisProxy(redis_server.port) as proxy:
        process = await consumer(proxy, tmp_path)
        proxy.kill_on(command, about=key.session_id, after=after, kill=process.kill)
        await world.push(key, USER, "req-1")
        assert await taken_or_dead(process, proxy), "it was not killed"
        process.wait()
    await others_finish(world, key, command)
