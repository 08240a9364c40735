"""Pixel work in real child processes: only the call that causes a failure fails."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import psutil
import pytest

from devkit import pictures as kit
from devkit.accounts import CREDITS, USER
from devkit.hostile_pixel_jobs import POISON
from devkit.world import PICTURE, World
from wearon_cli.adapters.pixels.processes import PixelProcesses
from wearon_cli.core.errors import (
    PictureProblem,
    PictureTooHeavy,
    PictureUnusable,
    PixelWorkDied,
    WearonError,
)
from wearon_cli.core.pictures.prepare import prepare, verify
from wearon_cli.core.session import Status

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(60)]

HOSTILE = "devkit.hostile_pixel_jobs"
MAX_PX = 50_000_000


@pytest.fixture
async def pool() -> AsyncIterator[PixelProcesses]:
    """Two processes, and jobs that misbehave."""
    one = PixelProcesses(2, jobs=HOSTILE)
    yield one
    await one.aclose()


@pytest.fixture
async def single() -> AsyncIterator[PixelProcesses]:
    """One process, for which every call waits."""
    one = PixelProcesses(1, jobs=HOSTILE)
    yield one
    await one.aclose()


async def run(pool: PixelProcesses, job: str, data: bytes = b"", **args: object) -> bytes:
    return (await pool.run(job, data, need_bytes=1, **args))[1]


async def until(true: Callable[[], bool]) -> None:
    """Check repeatedly; the test's own time limit ends it."""
    while not true():  # noqa: ASYNC110 - nothing could set an event
        await asyncio.sleep(0.01)


# ------------------------------------------------------------------------ failures stay with their
# call


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGKILL, signal.SIGABRT])
async def test_a_job_that_kills_its_process_fails_alone(pool: PixelProcesses, number: int) -> None:
    calls = [run(pool, "echo", b"%d" % n) for n in range(20)]
    calls.insert(7, run(pool, "die", number=number))
    answers = await asyncio.gather(*calls, return_exceptions=True)
    assert isinstance(answers.pop(7), PixelWorkDied)
    assert answers == [b"%d" % n for n in range(20)]


async def test_after_all_processes_died_the_next_job_is_run(pool: PixelProcesses) -> None:
    deaths = [run(pool, "die", number=signal.SIGKILL) for _ in range(6)]
    answers = await asyncio.gather(*deaths, return_exceptions=True)
    assert [type(each) for each in answers] == [PixelWorkDied] * 6
    assert await run(pool, "echo", b"next") == b"next"


async def test_a_process_killed_from_outside_costs_its_current_job(
    single: PixelProcesses, tmp_path: Path
) -> None:
    marker = tmp_path / "marker"
    held = asyncio.create_task(run(single, "hang", marker=str(marker)))
    waiting = asyncio.create_task(run(single, "echo", b"next"))
    await until(marker.exists)
    (pid,) = single.pids
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(PixelWorkDied):
        await held
    assert await waiting == b"next"
    assert pid not in single.pids


async def test_a_process_killed_between_jobs_costs_nobody_anything(single: PixelProcesses) -> None:
    for _ in range(3):
        await run(single, "echo")
        (pid,) = single.pids
        os.kill(pid, signal.SIGKILL)
    assert await run(single, "echo", b"next") == b"next"


async def test_endless_work_is_stopped_and_the_next_job_is_run() -> None:
    pool = PixelProcesses(1, jobs=HOSTILE, work_limit_s=3.0)
    try:
        hanging = asyncio.create_task(run(pool, "hang"))
        waiting = asyncio.create_task(run(pool, "echo", b"next"))
        with pytest.raises(PixelWorkDied, match="more than 3 s"):
            await hanging
        assert await waiting == b"next"
    finally:
        await pool.aclose()


@pytest.mark.skipif(sys.platform != "linux", reason="macOS does not limit memory")
async def test_unlimited_allocation_fails_and_the_process_survives(single: PixelProcesses) -> None:
    await run(single, "echo")
    before = single.pids
    with pytest.raises(PictureTooHeavy):
        await run(single, "hog", size_bytes=2 * 10**9)
    assert await run(single, "hog", b"ok", size_bytes=300 * 10**6) == b"ok"
    assert single.pids == before


@pytest.mark.skipif(sys.platform != "linux", reason="macOS does not limit memory")
async def test_a_real_picture_above_the_limit_of_its_process_is_refused() -> None:
    """Libraries in C meet the limit too: 12 megapixels as WebP take 190 MB."""
    photo = kit.encode(kit.photo_12mp(), "WEBP", method=0)
    pool = PixelProcesses(1, child_bytes=100_000_000)
    try:
        with pytest.raises(PictureUnusable):
            await pool.prepare(photo, max_px=MAX_PX)
        assert (await pool.prepare(PICTURE, max_px=MAX_PX)).height_px == 128
    finally:
        await pool.aclose()


async def test_an_internal_error_is_not_a_picture_problem(single: PixelProcesses) -> None:
    with pytest.raises(WearonError, match="KeyError") as caught:
        await run(single, "fail")
    assert not isinstance(caught.value, PictureProblem)
    assert await run(single, "echo", b"next") == b"next"


async def test_a_process_with_an_invalid_answer_is_killed(single: PixelProcesses) -> None:
    """Like a decoder that a picture has compromised: it cannot harm the worker."""
    with pytest.raises(PixelWorkDied):
        await run(single, "talk_nonsense")
    assert await run(single, "echo", b"next") == b"next"


async def test_output_of_libraries_does_not_get_into_the_answers(single: PixelProcesses) -> None:
    assert await run(single, "print", b"clean") == b"clean"


# ----------------------------------------------------------------------- order and memory


async def test_first_come_first_served(single: PixelProcesses) -> None:
    done: list[int] = []

    async def one(number: int) -> None:
        await run(single, "echo")
        done.append(number)

    await asyncio.gather(*(one(number) for number in range(200)))
    assert done == list(range(200))


async def test_pictures_that_need_too_much_memory_together_do_not_overlap(tmp_path: Path) -> None:
    pool = PixelProcesses(2, jobs=HOSTILE, together_bytes=100)
    marker = str(tmp_path / "marker")
    answers = []
    try:
        for needs in ((51, 50), (50, 51), (51, 51)):
            jobs = [pool.run("alone", b"", need_bytes=need, marker=marker) for need in needs]
            answers += await asyncio.gather(*jobs)
    finally:
        await pool.aclose()
    assert [note["alone"] for note, _ in answers] == [True] * 6


async def test_light_pictures_pass_heavy_ones_that_wait(tmp_path: Path) -> None:
    pool = PixelProcesses(2, jobs=HOSTILE, together_bytes=100)
    begun = tmp_path / "begun"
    heavy = [
        asyncio.create_task(pool.run("hang", b"", need_bytes=60, marker=str(begun)))
        for _ in range(3)
    ]
    try:
        await until(begun.exists)
        light = [pool.run("echo", b"light", need_bytes=40) for _ in range(20)]
        assert [body for _, body in await asyncio.gather(*light)] == [b"light"] * 20
        assert not any(each.done() for each in heavy)
    finally:
        await pool.aclose()
        await asyncio.gather(*heavy, return_exceptions=True)


async def test_light_pictures_do_overlap(tmp_path: Path) -> None:
    """Proves that the test above can fail."""
    pool = PixelProcesses(2, jobs=HOSTILE, together_bytes=100)
    marker = str(tmp_path / "marker")
    try:
        await asyncio.gather(run(pool, "echo"), run(pool, "echo"))  # both have started
        jobs = [pool.run("alone", b"", need_bytes=50, marker=marker) for _ in range(20)]
        answers = await asyncio.gather(*jobs)
    finally:
        await pool.aclose()
    assert {note["alone"] for note, _ in answers} == {True, False}


async def test_a_cancelled_request_is_not_run(single: PixelProcesses, tmp_path: Path) -> None:
    begun, never = tmp_path / "begun", tmp_path / "never"
    held = asyncio.create_task(run(single, "hang", marker=str(begun)))
    left = asyncio.create_task(run(single, "hang", marker=str(never)))
    await until(begun.exists)
    left.cancel()
    with pytest.raises(asyncio.CancelledError):
        await left
    os.kill(single.pids[0], signal.SIGKILL)
    with pytest.raises(PixelWorkDied):
        await held
    assert await run(single, "echo", b"next") == b"next"
    assert not never.exists()


async def test_cancelled_calls_leave_no_trace(pool: PixelProcesses) -> None:
    for _ in range(5):
        calls = [asyncio.create_task(run(pool, "echo", b"x" * 10**6)) for _ in range(100)]
        await asyncio.sleep(0.02)
        for each in calls[::2]:
            each.cancel()
        answers = await asyncio.gather(*calls, return_exceptions=True)
        assert answers[1::2] == [b"x" * 10**6] * 50
    assert await run(pool, "echo", b"next") == b"next"


async def test_closing_ends_the_processes_and_cancels_waiting_calls() -> None:
    pool = PixelProcesses(2, jobs=HOSTILE)
    calls = [asyncio.create_task(run(pool, "hang")) for _ in range(200)]
    await until(lambda: len(pool.pids) == 2)
    pids = pool.pids
    await pool.aclose()
    answers = await asyncio.gather(*calls, return_exceptions=True)
    assert {type(each) for each in answers} == {asyncio.CancelledError}
    assert [pid for pid in pids if psutil.pid_exists(pid)] == []


# ------------------------------------------------------------------- a process and its worker


async def test_a_process_knows_no_secret_and_is_in_no_group_of_the_worker(
    single: PixelProcesses, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    note, _ = await single.run("environment", b"", need_bytes=1)
    assert "OPENAI_API_KEY" not in note["names"]
    assert note["group"] != os.getpgid(0)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_signals_to_stop_are_left_to_the_worker(single: PixelProcesses, number: int) -> None:
    first = (await single.run("echo", b"", need_bytes=1))[0]["pid"]
    os.kill(first, number)
    assert (await single.run("echo", b"", need_bytes=1))[0]["pid"] == first


WORKER = """
import asyncio, sys
from wearon_cli.adapters.pixels.processes import PixelProcesses

async def main():
    pool = PixelProcesses(2, jobs="devkit.hostile_pixel_jobs")
    await asyncio.gather(*(pool.run("echo", b"", need_bytes=1) for _ in range(2)))
    hanging = asyncio.create_task(pool.run("hang", b"", need_bytes=1))
    await asyncio.sleep(0.1)
    print(*pool.pids, flush=True)
    await hanging

asyncio.run(main())
"""


def test_processes_end_with_a_worker_that_is_killed() -> None:
    """One of them hangs, one waits for work."""
    worker = subprocess.Popen([sys.executable, "-c", WORKER], stdout=subprocess.PIPE, text=True)
    assert worker.stdout is not None
    pids = [int(word) for word in worker.stdout.readline().split()]
    assert len(pids) == 2
    assert all(psutil.pid_exists(pid) for pid in pids)
    worker.kill()
    worker.wait()
    worker.stdout.close()
    while any(map(_runs, pids)):
        time.sleep(0.01)


def _runs(pid: int) -> bool:
    """A zombie that init has not collected yet does not run."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


# ---------------------------------------------------------------------- pictures and jobs


async def test_results_equal_those_of_a_single_process() -> None:
    photo = kit.encode(kit.photo_12mp(), quality=85)
    answer, png = kit.encode(kit.corners(640, 960)), kit.encode(kit.corners(640, 960), "PNG")
    pool = PixelProcesses(2)
    try:
        assert await pool.prepare(photo, max_px=MAX_PX) == prepare(photo)
        assert (await pool.verify(answer)).jpeg is answer
        assert await pool.verify(png) == verify(png)
        for each in (answer, png):
            assert await pool.verify(each, with_small=True) == verify(each, with_small=True)
        with pytest.raises(PictureUnusable, match="damaged") as refusal:
            await pool.prepare(photo[: len(photo) // 2], max_px=MAX_PX)
        assert refusal.value.hint == "send the photo again"
    finally:
        await pool.aclose()


async def test_pictures_refused_by_their_header_never_reach_a_process() -> None:
    pool = PixelProcesses(2)
    with pytest.raises(PictureTooHeavy):
        await pool.prepare(kit.webp_claiming(7000, 7000), max_px=MAX_PX)
    with pytest.raises(PictureUnusable, match="100000x100000"):
        await pool.prepare(kit.png(100_000, 100_000), max_px=MAX_PX)
    assert pool.pids == []


async def test_a_poisoned_picture_fails_its_session_and_no_other(world: World) -> None:
    world.pixels = PixelProcesses(2, jobs=HOSTILE)
    keys = [await world.sell(owner_id=USER) for _ in range(6)]
    world.fetcher.plan = [PICTURE, PICTURE, PICTURE + POISON]
    await world.take_all_in()
    outcomes = await asyncio.gather(*(world.run_one() for _ in keys))
    rows = [await world.row(key) for key in keys]
    assert sorted(map(str, outcomes)) == ["completed"] * 5 + ["failed"]
    failed = [row for row in rows if row.status is Status.FAILED]
    assert [row.error_message for row in failed] == [PixelWorkDied.shopper_message]
    assert await world.ledger.user_balance(USER) == CREDITS - 5
