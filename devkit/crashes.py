"""Try-ons of every kind, crashed at a step and finished by other processes."""

from collections.abc import Awaitable, Callable
from uuid import uuid4

from devkit.faults import Crash
from devkit.world import World
from wearon_cli.core.session import Channel, SessionKey

CREDITS = 100


USER = "5e2f9c1d-8a47-4c3b-b6d0-9a1e7f4c2b83"


STORE = "7d4f5f3a-2f1c-4d5e-8a35-7d52a3f1e0b2"


SHOPPER = "shopper@example.test"


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


async def open_accounts(world: World) -> None:
    await world.ledger.add_user(USER, credits=CREDITS)
    await world.ledger.add_store(STORE, credits=CREDITS)
    await world.ledger.add_shopper(STORE, SHOPPER, credits=CREDITS)


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


async def credits_left(world: World) -> int:
    return (
        await world.ledger.user_balance(USER)
        + await world.ledger.store_balance(STORE)
        + await world.ledger.shopper_balance(STORE, SHOPPER)
    )
