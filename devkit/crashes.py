"""Try-ons of every kind, crashed at a step and finished by other processes."""

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import uuid4

from devkit.accounts import SHOPPER, STORE, USER
from devkit.faults import Crash
from devkit.world import IMAGE_URLS, World
from wearon_cli.core.contract import ReplayRequest, new_task
from wearon_cli.core.jobs.journal import NewJob
from wearon_cli.core.session import Channel, SessionKey

REPLAY_ID = "0badcafe"


async def b2c(world: World) -> SessionKey:
    return await world.sell(owner_id=USER)


async def absorb(world: World) -> SessionKey:
    return await world.sell(Channel.B2B, owner_id=STORE, shopper=None)


async def resell(world: World) -> SessionKey:
    return await world.sell(Channel.B2B, owner_id=STORE, shopper=SHOPPER)


async def overage(world: World) -> SessionKey:
    request_id = f"req-{uuid4()}"
    await world.ledger.add_overage(STORE, request_id)
    return await world.sell(Channel.B2B, owner_id=STORE, request_id=request_id, take=False)


SALES: list[Callable[[World], Awaitable[SessionKey]]] = [b2c, absorb, resell, overage]


async def replay(world: World, key: SessionKey, **options: Any) -> None:
    """Open the job again, as `replay-task` does after its checks."""
    row = await world.row(key)
    task = new_task(
        key=key,
        owner_id=row.owner_id,
        image_urls=IMAGE_URLS,
        prompt="",
        request_id=row.request_id or "req",
        replay=ReplayRequest(replay_id=REPLAY_ID, from_status=row.status, **options),
    )
    job = NewJob(
        key=key, payload=task.to_json(), owner_id=row.owner_id, pictures=2, event="replayed"
    )
    assert await world.journal.open(job)


async def run_until_crash(world: World) -> bool:
    """Take and run all jobs. True when the fuse blew meanwhile."""
    try:
        await world.run_all()
    except Crash:
        return True
    return False


async def let_others_finish(world: World) -> None:
    """What recovery does in the minutes after a crash, without the waiting."""
    world.fuse.crash_at = world.fuse.crash_in = None
    await world.kill_worker()
    for _ in range(6):
        if await world.is_at_rest():
            return
        await world.pass_time()
        await world.run_all()


async def killed_at(world: World, step: int, *, after: bool) -> bool:
    """
    Run all jobs, with the worker killed before or after this step to the outside, and let others
    finish. False when there is no such step: `world.fuse.burnt` names the last one.
    """
    world.fuse.steps, world.fuse.crash_at, world.fuse.after = 0, step, after
    crashed = await run_until_crash(world)
    await let_others_finish(world)
    return crashed
