"""One owner's pictures come from a host that never finishes its answers; another owner's do not."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from uuid import uuid4

import pytest

from devkit.accounts import USER as SLOW
from devkit.waiting import LONGEST_S, reached
from devkit.world import PICTURE, World
from wearon_cli.adapters.fetch.guarded_http import GuardedFetcher
from wearon_cli.core.contract import new_task
from wearon_cli.core.jobs.journal import Ending, HandBack
from wearon_cli.core.jobs.runner import JobRunner
from wearon_cli.core.session import SessionKey

pytestmark = pytest.mark.anyio

QUICK = "5e2f9c1d-8a47-4c3b-b6d0-9a1e7f4c2b84"
SLOW_JOBS = 40
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n"


class PictureHost:
    """Serves one picture: at once, or all but its last byte until `released`."""

    def __init__(self) -> None:
        self.released = asyncio.Event()
        self.kept_waiting = 0

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[str]:
        server = await asyncio.start_server(self._answer, "127.0.0.1", 0, backlog=512)
        async with server:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                writer.write(HEAD % len(PICTURE) + PICTURE[:-1])
                if b"/slow/" in head:
                    self.kept_waiting += 1
                    await self.released.wait()
                writer.write(PICTURE[-1:])
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()


@pytest.fixture
async def world(world: World) -> World:
    world.worker = replace(world.worker, slots=SLOW_JOBS + 1)
    await world.ledger.add_user(QUICK, credits=SLOW_JOBS)
    return world


async def begin(
    world: World, runner: JobRunner, owner_id: str, origin: str
) -> asyncio.Task[Ending | HandBack]:
    """Push, open, release and claim one job, and start it in this worker."""
    key: SessionKey = await world.sell(owner_id=owner_id, push=False)
    urls = (f"{origin}/person.jpg", f"{origin}/garment.jpg")
    task = new_task(
        key=key, owner_id=owner_id, image_urls=urls, prompt="", request_id=f"req-{uuid4()}"
    )
    await world.intake.push(task.to_json())
    await world.take_all_in()
    await world.registry.register(world.worker)
    await world.dispatcher.release(limit=1)
    claim = await world.claim(key.session_id)
    assert claim is not None

    async def run() -> Ending | HandBack:
        disposition = await runner.run(claim)
        return disposition.closing.ending if disposition.closing else disposition.why

    return asyncio.create_task(run())


async def cancelled(jobs: list[asyncio.Task[Ending | HandBack]]) -> None:
    for job in jobs:
        job.cancel()
    await asyncio.gather(*jobs, return_exceptions=True)


async def test_slow_links_of_one_owner_do_not_delay_others(world: World) -> None:
    host = PictureHost()
    async with AsyncExitStack() as stack:
        origin = await stack.enter_async_context(host.listening())
        fetcher = GuardedFetcher(
            trusted_origins=[origin], max_bytes=10_000_000, total_timeout_s=2 * LONGEST_S
        )
        stack.push_async_callback(fetcher.aclose)
        runner = world.runner(fetcher)
        slow = [await begin(world, runner, SLOW, f"{origin}/slow") for _ in range(SLOW_JOBS)]
        stack.callback(host.released.set)
        stack.push_async_callback(cancelled, slow)  # before the fetcher and the host end
        share = world.settings.pictures_in_memory // 2
        await reached(lambda: host.kept_waiting == share)
        async with asyncio.timeout(LONGEST_S):
            assert await (await begin(world, runner, QUICK, origin)) is Ending.COMPLETED
        assert host.kept_waiting == share  # and not one of the slow ones has ended
        assert not any(job.done() for job in slow)
        host.released.set()
        assert set(await asyncio.gather(*slow)) == {Ending.COMPLETED}
