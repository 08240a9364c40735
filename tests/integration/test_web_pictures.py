"""Pictures that the page keeps in memory."""

from uuid import uuid4

import pytest

from devkit.accounts import USER
from devkit.operators import Operators
from devkit.world import World
from wearon_cli.core.errors import ObjectNotFound
from wearon_cli.core.pictures.ports import PixelPool
from wearon_cli.runtime.web.pictures import KEPT_S, Pictures, Shown

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


async def test_a_forgotten_picture_is_shown_for_some_minutes_at_most(
    world: World, operators: Operators
) -> None:
    now_s = 0.0

    async def open_pixels() -> PixelPool:
        return world.pixels

    row = await world.row(await world.sell(owner_id=USER, request_id=str(uuid4())))
    await world.run_all()
    shown = Pictures(
        inspector=operators.inspector,
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
