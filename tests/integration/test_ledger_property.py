"""
Jobs that are pushed, fail, crash, are repeated and recovered in any order: for every owner, the
credits deducted equal those of completed sessions plus refunds.
"""

import asyncio
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from devkit.accounts import CREDITS, SHOPPER, STORE, USER, open_accounts
from devkit.crashes import SALES, let_others_finish, run_until_crash
from devkit.servers.redis_server import RedisServer
from devkit.world import World, picture
from wearon_cli.adapters.redis.client import connect
from wearon_cli.core.errors import (
    CallAmbiguous,
    GenerationRefused,
    GeneratorFault,
    PictureUnavailable,
    RateLimited,
    WearonError,
)
from wearon_cli.core.session import Channel, SessionKey, Status

pytestmark = pytest.mark.slow

ANSWERS: list[Callable[[], WearonError | bytes]] = [
    picture,
    picture,
    GenerationRefused,
    GeneratorFault,
    CallAmbiguous,
    lambda: RateLimited(retry_after_s=0.01),
    lambda: b"no picture at all",
]
#: One step of a history: what happens, and two numbers that say where.
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["sell", "sell", "push again", "garbage", "crash", "run", "recover"]),
        st.integers(0, 40),
        st.integers(0, 6),
    ),
    min_size=4,
    max_size=24,
)


class History:
    """A world, and its try-ons."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.sold: list[tuple[int, SessionKey]] = []  # kind of sale, row

    async def step(self, what: str, where: int, which: int) -> None:
        world = self.world
        world.generator.plan = [ANSWERS[(where + n) % len(ANSWERS)]() for n in range(which)]
        world.fetcher.plan = [PictureUnavailable()] * (which == 6)
        if what == "sell":
            kind = where % len(SALES)
            self.sold.append((kind, await SALES[kind](world)))
        elif what == "push again" and self.sold:
            _, key = self.sold[where % len(self.sold)]
            row = await world.row(key)
            await world.push(key, row.owner_id, row.request_id or "req-again")
        elif what == "garbage":
            await world.intake.push(b"{" * which)
        elif what == "crash":
            world.fuse.steps, world.fuse.crash_at = 0, where + 1
            world.fuse.after = bool(which % 2)
            await run_until_crash(world)
            world.fuse.crash_at = None
        elif what == "run":
            await world.run_all()
        elif what == "recover":
            await let_others_finish(world)

    async def check(self) -> None:
        world = self.world
        for _ in range(8):
            world.generator.plan, world.fetcher.plan = [], []
            await let_others_finish(world)
        assert await world.is_at_rest()
        completed = [0] * len(SALES)
        for kind, key in self.sold:
            row = await world.row(key)
            assert row.status in {Status.COMPLETED, Status.FAILED}, key
            completed[kind] += row.status is Status.COMPLETED
        spent = (
            CREDITS - await world.ledger.user_balance(USER),
            CREDITS - await world.ledger.store_balance(STORE),
            CREDITS - await world.ledger.shopper_balance(STORE, SHOPPER),
        )
        assert spent == (completed[0], completed[1], completed[2])
        for _, key in self.sold:
            row = await world.row(key)
            if row.channel is Channel.B2B:
                entries = await world.ledger.entries_of(row)
                refunds = [entry for entry in entries if entry.kind.value == "refund"]
                assert len(refunds) <= (row.status is Status.FAILED)


async def live(url: str, steps: list[tuple[str, int, int]]) -> None:
    redis = connect(url)
    with tempfile.TemporaryDirectory() as folder:
        await redis.flushall()
        world = World(redis, url, Path(folder))
        try:
            await open_accounts(world)
            history = History(world)
            for what, where, which in steps:
                await history.step(what, where, which)
            await history.check()
        finally:
            await world.aclose()
            world.sessions.close()
            world.ledger.close()
            await redis.aclose()


@settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps=STEPS)
def test_what_was_deducted_is_what_was_completed_plus_what_was_refunded(
    redis_server: RedisServer, steps: list[tuple[str, int, int]]
) -> None:
    asyncio.run(live(redis_server.url, steps))
