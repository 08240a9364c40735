"""Owners whose jobs run in a world, and the credits they have."""

from devkit.world import World

USER = "5e2f9c1d-8a47-4c3b-b6d0-9a1e7f4c2b83"
STORE = "7d4f5f3a-2f1c-4d5e-8a35-7d52a3f1e0b2"
SHOPPER = "shopper@example.test"  # of that store
#: What each of them has at first.
CREDITS = 100


async def open_accounts(world: World) -> None:
    await world.ledger.add_user(USER, credits=CREDITS)
    await world.ledger.add_store(STORE, credits=CREDITS)
    await world.ledger.add_shopper(STORE, SHOPPER, credits=CREDITS)


async def balances(world: World) -> tuple[int, int, int]:
    """Credits of the user, of the store, and of the store's shopper."""
    return (
        await world.ledger.user_balance(USER),
        await world.ledger.store_balance(STORE),
        await world.ledger.shopper_balance(STORE, SHOPPER),
    )


async def taken(world: World) -> tuple[int, int, int]:
    """Credits that the user, the store and the store's shopper have less than at first."""
    user, store, shopper = await balances(world)
    return CREDITS - user, CREDITS - store, CREDITS - shopper


async def credits_left(world: World) -> int:
    return sum(await balances(world))
