"""Pictures that the page keeps in memory."""

from pathlib import Path
from uuid import uuid4

import pytest

from devkit.crashes import USER, open_accounts
from devkit.operators import Operators
from devkit.servers.redis_server import RedisServer
from devkit.world import World
from wearon_cli.adapters.redis.client import Client
from wearon_cli.core.errors import ObjectNotFound
from wearon_cli.core.pictures.ports import PixelPool
from wearon_cli.runtime.web.pictures import KEPT_S, Pictures, Shown

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


async def test_a_forgotten_picture_is_shown_for_some_minutes_at_most(
    redis: Client, redis_server: RedisServer, tmp_path: Path
) -> None:
    world = World(redis, redis_server.url, tmp_path)
    now_s = 0.0

    async def open_pixels() -> PixelPool:
        return world.pixels

    try:
        await open_accounts(world)
        row = await world.row(await world.sell(owner_id=USER, request_id=str(uuid4())))
        await world.run_all()
        shown = Pictures(
            inspector=Operators(world).inspector,
            storage=world.storage,
            open_pixels=open_pixels,
            fetcher=world.fetcher,
            max_px=world.settings.max_picture_px,
            clock=lambda: now_s,
        )
        await shown.get(row.session_id, Shown.RESULT, small=True)
        await world.storage.remove(row.result_path)
        now_s = KEPT_S - 1
        await shown.get(row.session_id, Shown.RESULT, small=True)
        now_s = KEPT_S + 1
        with pytest.raises(ObjectNotFound):
            await shown.get(row.session_id, Shown.RESULT, small=True)
    finally:
        await world.aclose()
