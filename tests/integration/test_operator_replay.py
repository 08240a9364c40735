"""Replays: what is refused, what is written, and that nothing is paid twice."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from devkit.accounts import STORE, USER, credits_left
from devkit.crashes import absorb, b2c, resell
from devkit.faults import Crash, Faulty
from devkit.operators import Operators
from devkit.world import PICTURE, World, picture
from wearon_cli.core.credits import CreditState
from wearon_cli.core.errors import (
    CallAmbiguous,
    GenerationRefused,
    InputError,
    PictureUnavailable,
    SessionError,
    SessionFinal,
    SessionNotFound,
    SessionRunning,
    WearonError,
)
from wearon_cli.core.jobs.journal import Ending
from wearon_cli.core.operator.bulk import Bulk, BulkProgress
from wearon_cli.core.operator.follow import follow
from wearon_cli.core.operator.inputs import EXPIRED
from wearon_cli.core.operator.inspector import JobLocation, Listed
from wearon_cli.core.operator.replay_plan import ReplayAction
from wearon_cli.core.operator.search import Pasted, Wanted
from wearon_cli.core.session import Session, SessionKey, SessionMove, Status, fail, utc_now
from wearon_cli.core.storage import previous_path, swap_path

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

type Sale = Callable[[World], Awaitable[SessionKey]]

SOLD = pytest.mark.parametrize("sale", [b2c, absorb, resell], ids=lambda sale: sale.__name__)
FIRST, SECOND = picture("red"), picture("blue")
STORED = "https://project.supabase.test/storage/v1/object/sign/virtual-tryon-images"


async def completed(world: World, key: SessionKey, drawn: bytes = FIRST) -> Session:
    world.generator.plan = [drawn]
    assert await world.run_all() == [Ending.COMPLETED]
    world.generator.paid.clear()
    return await world.row(key)


async def failed(world: World, key: SessionKey, error: WearonError | None = None) -> Session:
    world.generator.plan = [error or GenerationRefused()]
    assert await world.run_all() == [Ending.FAILED]
    world.generator.plan = []
    return await world.row(key)


async def write(world: World, key: SessionKey, **columns: object) -> Session:
    """As the platform writes: whatever the status is."""
    now = await world.row(key)
    move = SessionMove(expected=frozenset(Status), to=now.status, writes=columns)
    row = await world.sessions.apply(key, move)
    assert row is not None
    return row


def sentences(plan: object) -> str:
    return "\n".join(plan.sentences())  # type: ignore[attr-defined]


# ------------------------------------------------------------------ what is written


@SOLD
async def test_a_replay_writes_one_job_and_leaves_the_row(
    world: World,
    operators: Operators,
    sale: Sale,
) -> None:
    key = await sale(world)
    before, row = await credits_left(world), await failed(world, key)
    plan = await operators.replay(key, reason="ticket 12", by="ada@support")
    assert await world.row(key) == row
    (line,) = [each for each in await world.journal.timeline(key.session_id) if "replay" in each]
    assert (line["event"], line["by"], line["reason"]) == ("replayed", "ada@support", "ticket 12")
    assert line["replay"] == plan.replay_id
    report = await operators.report(key)
    assert report.location is JobLocation.READY
    assert await world.run_all() == [Ending.COMPLETED]
    report = await operators.report(key)
    assert report.session.status is Status.COMPLETED
    assert report.credit.state is CreditState.FREE
    assert await credits_left(world) == before + 1  # it was returned when the first run failed
    told = await world.journal.timeline(key.session_id)
    assert [each["attempt"] for each in told if each["event"] == "claimed"] == [1, 2]


async def test_the_job_is_opened_once_however_often_it_is_run(
    world: World, operators: Operators
) -> None:
    key = await b2c(world)
    await failed(world, key)
    plan = await operators.replay(key)
    await operators.replayer.run(plan)
    assert await world.open_jobs() == 1
    with pytest.raises(SessionRunning, match="ready"):
        await operators.plan(key)


async def test_another_plan_for_the_same_session_finds_it_taken(
    world: World, operators: Operators
) -> None:
    key = await b2c(world)
    await failed(world, key)
    one, other = await operators.plan(key), await operators.plan(key)
    await operators.replayer.run(one)
    with pytest.raises(SessionRunning, match="changed meanwhile"):
        await operators.replayer.run(other)


async def test_a_row_that_changed_meanwhile_is_not_replayed(
    world: World, operators: Operators
) -> None:
    key = await b2c(world)
    await failed(world, key)
    plan = await operators.plan(key)
    await operators.replay(key)
    await world.run_all()
    with pytest.raises(SessionRunning, match="changed meanwhile"):
        await operators.replayer.run(plan)


@pytest.mark.parametrize("force", [False, True], ids=["failed", "completed"])
async def test_killed_at_any_step_the_session_is_as_it_was_or_goes_on(
    world: World, operators: Operators, force: bool
) -> None:
    """Every step of the plan and of the one write, before it and after it."""
    for after in (False, True):
        for step in range(1, 60):
            key = await b2c(world)
            row = await (completed if force else failed)(world, key)
            world.fuse.steps, world.fuse.crash_at, world.fuse.after = 0, step, after
            try:
                await operators.replay(key, force=force)
            except Crash:
                pass
            else:
                break
            finally:
                world.fuse.crash_at = None
            assert await world.row(key) == row
            taken_on = await world.open_jobs() == 1
            assert await world.run_all() == ([Ending.COMPLETED] if taken_on else [])
        else:
            pytest.fail("it never got through")
        assert await world.run_all() == [Ending.COMPLETED]


# ------------------------------------------------------------------ after the platform's clean-up


async def test_a_cleaned_up_session_is_refused_before_anything_is_written(
    world: World, operators: Operators
) -> None:
    """Seen: a completed, paid session ended failed and refunded."""
    key = await b2c(world)
    await completed(world, key)
    row = await write(world, key, model_image_url=EXPIRED, outfit_image_url=EXPIRED)
    before = await credits_left(world)
    with pytest.raises(PictureUnavailable, match="person, garment"):
        await operators.plan(key, force=True)
    assert await world.run_all() == []
    assert await world.row(key) == row
    assert await credits_left(world) == before


async def stored_inputs(world: World, key: SessionKey) -> tuple[str, str]:
    """Put the row's inputs into our bucket."""
    paths = (f"uploads/{USER}/1-person.jpg", f"uploads/{USER}/2-garment.jpg")
    for path in paths:
        await world.storage.put(path, PICTURE, content_type="image/jpeg")
    urls = [f"{STORED}/{path}?token=x" for path in paths]
    await write(world, key, model_image_url=urls[0], outfit_image_url=urls[1])
    return paths


async def test_recorded_paths_replace_addresses_that_were_cleaned_up(
    world: World, operators: Operators
) -> None:
    key = await b2c(world)
    await failed(world, key)
    paths = await stored_inputs(world, key)
    await operators.replay(key)
    await world.run_all()
    await write(world, key, model_image_url=EXPIRED, outfit_image_url=EXPIRED)
    plan = await operators.plan(key, force=True)
    assert [each.path for each in plan.inputs] == list(paths)
    assert "2 input pictures, all stored" in sentences(plan)


async def test_a_deleted_input_is_noticed_in_the_plan(
    world: World, operators: Operators, tmp_path: Path
) -> None:
    """Seen: `--dry-run` promised 2 stored input pictures of which one was deleted."""
    key = await b2c(world)
    await failed(world, key)
    _, garment = await stored_inputs(world, key)
    await operators.plan(key)
    (tmp_path / "files" / garment).unlink()
    with pytest.raises(PictureUnavailable, match="garment"):
        await operators.plan(key)


async def test_a_stored_picture_is_finished_without_its_inputs(
    world: World, operators: Operators
) -> None:
    key = await b2c(world)
    row = await failed(world, key)
    await world.storage.put(row.result_path, FIRST, content_type="image/jpeg")
    await write(world, key, model_image_url=EXPIRED, outfit_image_url=EXPIRED)
    plan = await operators.replay(key)
    assert (plan.action, plan.price.most_usd) == (ReplayAction.FINISH, 0.0)
    assert await world.run_all() == [Ending.COMPLETED]
    assert world.generator.paid == []


# ------------------------------------------------------------------ redraws, charges


async def test_a_redraw_keeps_the_earlier_picture_and_undo_restores_it(
    world: World, operators: Operators
) -> None:
    key = await absorb(world)
    row = await completed(world, key)
    plan = await operators.replay(key, force=True)
    assert plan.action is ReplayAction.REDRAW
    world.generator.plan = [SECOND]
    assert await world.run_all() == [Ending.COMPLETED]
    redrawn = await world.storage.get(row.result_path)
    assert redrawn != await world.storage.get(previous_path(row.result_path))
    await write(world, key, generated_image_url=EXPIRED)
    await operators.undo.run(await operators.undo.check(key.session_id), by="ada")
    assert await world.storage.get(previous_path(row.result_path)) == redrawn
    again = await world.row(key)
    assert again.status is Status.COMPLETED
    assert row.result_path in str(again.generated_image_url)
    assert (await world.events(key))[-1] == "undone"


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_an_undo_killed_at_any_step_loses_no_picture_and_can_be_finished(
    world: World, operators: Operators, after: bool
) -> None:
    key = await b2c(world)
    row = await completed(world, key)
    paths = (row.result_path, previous_path(row.result_path))
    for step in range(1, 40):
        for path, jpeg in zip(paths, (SECOND, FIRST), strict=True):
            await world.storage.put(path, jpeg, content_type="image/jpeg")
        await world.storage.remove(swap_path(row.result_path))
        await world.redis.flushall()  # the lock of the one before
        world.fuse.steps, world.fuse.crash_at, world.fuse.after = 0, step, after
        try:
            await operators.undo.run(row)
            return
        except Crash:
            pass
        finally:
            world.fuse.crash_at = None
        everywhere = {await stored(world, path) for path in (*paths, swap_path(row.result_path))}
        assert {FIRST, SECOND} <= everywhere
        await world.redis.flushall()
        done = len(everywhere) == 3 and await world.storage.get(row.result_path) == FIRST
        if not done:
            await operators.undo.run(row)
        assert [await world.storage.get(path) for path in paths] == [FIRST, SECOND]
        assert await stored(world, swap_path(row.result_path)) is None
    pytest.fail("it never got through")


async def stored(world: World, path: str) -> bytes | None:
    return (
        await world.storage.get(path) if await Operators(world).inspector.is_stored(path) else None
    )


async def test_an_undo_and_the_start_of_a_redraw_exclude_each_other(
    world: World, operators: Operators
) -> None:
    """Opened in the same moment, a redraw stored its picture while the undo swapped the others."""
    key = await b2c(world)
    row = await completed(world, key)
    await operators.replay(key, force=True)
    await world.run_all()
    plan = await operators.plan(key, force=True)
    tried = []

    async def redraw_meanwhile(put: Any, *args: Any, **kwargs: Any) -> None:
        tried.append("redraw")
        with pytest.raises(SessionRunning):
            await operators.replayer.run(plan)
        await put(*args, **kwargs)

    async def undo_meanwhile(really_open: Any, *args: Any) -> bool:
        tried.append("undo")
        with pytest.raises(SessionRunning):
            await operators.undo.run(row)
        return bool(await really_open(*args))

    undo = replace(operators.undo, storage=Faulty(world.storage, put=redraw_meanwhile))
    await undo.run(row)
    assert await world.open_jobs() == 0
    journal = Faulty(world.journal, open=undo_meanwhile)
    await replace(operators.replayer, journal=journal).run(plan)
    assert await world.open_jobs() == 1
    assert {*tried} == {"redraw", "undo"}


async def test_nothing_to_undo_is_reported(world: World, operators: Operators) -> None:
    key = await b2c(world)
    await completed(world, key)
    with pytest.raises(SessionError, match="no earlier picture"):
        await operators.undo.check(key.session_id)
    await operators.replay(key, force=True)
    with pytest.raises(SessionRunning):
        await operators.undo.check(key.session_id)


async def test_a_refused_redraw_leaves_the_session_completed_with_its_first_picture(
    world: World, operators: Operators
) -> None:
    """Seen: it was failed and refunded, while the first picture was still delivered."""
    key = await b2c(world)
    row, before = await completed(world, key), await credits_left(world)
    plan = await operators.replay(key, force=True)
    assert "stays until the new one is stored, and if this fails" in sentences(plan)
    world.generator.plan = [GenerationRefused()]
    assert await world.run_all() == [Ending.FAILED]
    assert await world.row(key) == row
    assert await world.storage.get(row.result_path) is not None
    assert await credits_left(world) == before
    ended = await follow(
        operators.inspector,
        key,
        timeout_s=1,
        on_look=lambda _row, _job: None,
        before=plan.report,
    )
    assert not ended.succeeded
    assert ended.error_class == "generation_refused"


@SOLD
async def test_a_charge_is_taken_any_number_of_times(
    world: World,
    operators: Operators,
    sale: Sale,
) -> None:
    """Seen: the second was refused by the ledger after its picture was paid."""
    key = await sale(world)
    await completed(world, key)
    before = await credits_left(world)
    for number in (1, 2, 3):
        plan = await operators.replay(key, force=True, charge=True)
        told = sentences(plan)
        assert "takes a credit before" in told
        assert "takes no credit" not in told
        assert await world.run_all() == [Ending.COMPLETED]
        assert await credits_left(world) == before - number
        assert (await operators.report(key)).credit.state is CreditState.CHARGED


async def test_a_charge_is_refused_where_the_credit_still_pays(
    world: World, operators: Operators
) -> None:
    key = await absorb(world)
    await world.redis.flushall()
    await world.sessions.apply(key, fail("an older worker's sentence"))
    assert "it pays for this replay" in sentences(await operators.plan(key))
    with pytest.raises(InputError, match="was not returned"):
        await operators.plan(key, charge=True)


# ------------------------------------------------------------------ what is refused


async def test_a_completed_session_needs_force(world: World, operators: Operators) -> None:
    key = await b2c(world)
    await completed(world, key)
    with pytest.raises(SessionFinal, match="has its picture"):
        await operators.plan(key)


async def test_a_completed_session_without_its_picture_is_not_said_to_have_it(
    world: World, operators: Operators
) -> None:
    """Seen: after `wearon forget` it was still said to have its picture."""
    key = await b2c(world)
    row = await completed(world, key)
    await world.storage.remove(row.result_path)
    with pytest.raises(SessionFinal, match="its picture is no longer stored"):
        await operators.plan(key)


async def test_a_session_with_a_job_is_refused_wherever_the_job_is(
    world: World, operators: Operators
) -> None:
    key = await b2c(world)
    with pytest.raises(SessionRunning, match="platform's list"):
        await operators.plan(key)
    assert (await operators.plan(key, works_here=True)).action is ReplayAction.DRAW
    await world.take_all_in()
    with pytest.raises(SessionRunning, match="ready"):
        await operators.plan(key, works_here=True)


@pytest.mark.parametrize("word", ["", "12", "0193a1c0", "../etc/passwd"])
async def test_an_invalid_session_id_is_not_looked_up(operators: Operators, word: str) -> None:
    with pytest.raises(InputError, match="is not a session id"):
        await operators.inspector.find(word)


async def test_an_unknown_session_says_where_it_looked(operators: Operators) -> None:
    with pytest.raises(SessionNotFound) as caught:
        await operators.inspector.find("0193a1c0-7b1e-7c4a-9f00-3f2c6f0a9d01")
    assert "generation_sessions" in caught.value.hint


async def stuck(world: World, key: SessionKey, *, age: timedelta) -> None:
    """An open row without a job, made that long ago."""
    await world.redis.flushall()
    await write(world, key, created_at=(utc_now() - age).isoformat())


async def test_a_stuck_session_gets_a_job_and_its_credit_pays(
    world: World, operators: Operators
) -> None:
    key = await b2c(world)
    await stuck(world, key, age=timedelta(seconds=30))
    report = await operators.report(key)
    assert (report.location, report.credit.state) == (JobLocation.MISSING, CreditState.HELD)
    await operators.replay(key)
    assert await world.run_all() == [Ending.COMPLETED]
    assert (await operators.report(key)).credit.state is CreditState.SPENT


async def test_an_old_open_b2c_session_is_left_to_the_platform(
    world: World, operators: Operators
) -> None:
    key, store_key = await b2c(world), await absorb(world)
    for each in (key, store_key):
        await stuck(world, each, age=timedelta(minutes=9))
    with pytest.raises(SessionRunning, match="9 min old") as refused:
        await operators.plan(key)
    assert "by itself" in refused.value.hint or "platform" in refused.value.hint
    await operators.plan(store_key)


async def test_a_session_with_more_pictures_than_a_model_takes_runs_again(
    world: World, operators: Operators
) -> None:
    """The platform has no upper limit; the worker decides which of them are used."""
    key = await b2c(world)
    await failed(world, key)
    many = [{"type": "hat", "url": f"https://a.test/{n}.jpg"} for n in range(20)]
    await write(world, key, accessories=many)
    assert len((await operators.plan(key)).inputs) == 22


# ------------------------------------------------------------------ what is told


async def test_the_credit_of_a_running_job_is_held(world: World, operators: Operators) -> None:
    """Seen: "not returned yet: recovery will"."""
    key = await b2c(world)
    assert (await operators.report(key)).location is JobLocation.QUEUE
    await world.take_all_in()
    report = await operators.report(key)
    assert (report.credit.state, report.location) == (CreditState.HELD, JobLocation.READY)


async def test_the_cost_of_lost_calls_is_counted(world: World, operators: Operators) -> None:
    """Seen: `costs` $0.97 where $1.8 had been billed."""
    key = await b2c(world)
    world.generator.plan = [CallAmbiguous()]
    await world.run_all()
    await world.redis.zadd("wearon:jobs", {key.session_id: 0})  # its pause is over
    for _ in range(2):
        await world.run_all()
    report = await operators.report(key)
    assert report.record is not None
    assert report.record.purchases == len(world.generator.paid)
    assert report.record.purchases_lost == 1
    outcomes = {row.outcome: row.count for row in await operators.book()}
    assert outcomes.get("lost") == 1
    assert sum(outcomes.values()) == len(world.generator.paid)


async def search(operators: Operators, **wanted: Any) -> list[Listed]:
    page = await operators.tools.search.find(Wanted(**wanted))
    return list(page.sessions)


async def test_a_search_finds_suspect_pictures(world: World, operators: Operators) -> None:
    suspect, _ = [await world.sell(owner_id=USER) for _ in range(2)]
    await world.run_all()
    facts = {"stage": "result", "findings": "not_applied", "action": "flagged"}
    await world.journal.note(suspect.session_id, "picture_suspect", **facts)
    since = utc_now() - timedelta(hours=1)
    (found,) = await search(operators, since=since, is_suspect=True)
    assert found.session.session_id == suspect.session_id
    assert found.suspicions == ("result: not_applied, flagged",)
    everything = await search(operators, since=since)
    assert [each.suspicions for each in everything] == [(), ()]


async def test_a_search_knows_why_sessions_failed(world: World, operators: Operators) -> None:
    keys = [await b2c(world) for _ in range(3)]
    world.generator.plan = [GenerationRefused(), GenerationRefused()]
    await world.run_all()
    since = utc_now() - timedelta(hours=1)
    found = await search(operators, since=since, cause="generation_refused")
    assert len(found) == 2
    assert await search(operators, since=since, cause="rate_limited") == []
    everything = await search(operators, since=since, owner=USER)
    assert {each.session.session_id for each in everything} == {key.session_id for key in keys}
    assert await search(operators, since=since, owner=STORE) == []


async def test_a_pasted_text_and_every_filter_must_hold(world: World, operators: Operators) -> None:
    """Seen: a request id or the beginning of a session id found sessions past every filter."""
    ours = await absorb(world)
    row = await world.sessions.get(ours)
    assert row is not None
    beginning = {"text": ours.session_id[:12]}
    for pasted in (beginning, {"text": row.request_id}):
        assert [each.session.key for each in await search(operators, **pasted)] == [ours]
        assert await search(operators, **pasted, statuses=frozenset({Status.FAILED})) == []
        assert await search(operators, **pasted, owner=USER) == []
    whole = await operators.tools.search.find(
        Wanted(text=ours.session_id, statuses=frozenset({Status.FAILED}))
    )
    assert (len(whole.sessions), whole.pasted) == (1, Pasted.SESSION)
    store = await search(operators, text=STORE)
    assert [each.session.key for each in store] == [ours]
    assert await search(operators, text=STORE, owner=USER) == []


# ------------------------------------------------------------------ many at once


async def plans_of(world: World, operators: Operators, count: int) -> list[object]:
    keys = [await b2c(world) for _ in range(count)]
    world.generator.plan = [GenerationRefused() for _ in range(count)]
    await world.run_all()
    world.generator.plan = []
    return [await operators.plan(key) for key in keys]


async def test_many_are_opened_together_and_followed_to_their_ends(
    world: World, operators: Operators
) -> None:
    plans = await plans_of(world, operators, 4)
    progress = BulkProgress(waiting=list(plans))  # type: ignore[arg-type]
    seen: list[int] = []
    all_open = asyncio.Event()

    def look(now: BulkProgress) -> None:
        seen.append(len(now.ends))
        if len(now.open) == 4:
            all_open.set()

    async def work() -> None:
        await all_open.wait()
        world.generator.plan = [GenerationRefused()]
        await world.run_all()

    worker = asyncio.create_task(work())
    await Bulk(replayer=operators.replayer).run(progress, timeout_s=30, on_change=look)
    await worker
    assert (progress.succeeded, dict(progress.failures)) == (3, {"generation_refused": 1})
    assert progress.cost_usd == pytest.approx(0.15)
    assert {end.cause for end in progress.ends} == {"generation_refused"}
    assert seen[0] == 0
    assert seen[-1] == 4


async def test_a_cost_limit_stops_opening_more_and_is_never_exceeded(
    world: World, operators: Operators
) -> None:
    plans = await plans_of(world, operators, 5)
    most_usd = plans[0].price.most_usd  # type: ignore[attr-defined]
    limit_usd = most_usd * 2 + 0.001
    progress = BulkProgress(waiting=list(plans))  # type: ignore[arg-type]
    most_open = 0

    def look(now: BulkProgress) -> None:
        nonlocal most_open
        most_open = max(most_open, len(now.open))
        assert now.committed_usd <= limit_usd

    async def work() -> None:
        while True:
            await world.run_all()
            await asyncio.sleep(0.01)

    worker = asyncio.create_task(work())
    bulk = Bulk(replayer=operators.replayer, max_cost_usd=limit_usd)
    await bulk.run(progress, timeout_s=60, on_change=look)
    worker.cancel()
    assert most_open == 2
    assert progress.cost_usd <= limit_usd
    assert progress.by_limit == bool(progress.waiting)


async def test_a_changed_session_is_skipped(world: World, operators: Operators) -> None:
    plans = await plans_of(world, operators, 1)
    key = plans[0].session.key  # type: ignore[attr-defined]
    await operators.replay(key)
    await world.run_all()
    progress = BulkProgress(waiting=list(plans))  # type: ignore[arg-type]
    await Bulk(replayer=operators.replayer).run(progress, timeout_s=5, on_change=lambda _: None)
    assert (len(progress.moved), progress.opened) == (1, 0)


# ------------------------------------------------------------------ dead letters


async def test_a_letter_stays_until_its_session_has_completed(
    world: World, operators: Operators
) -> None:
    """Seen: "back in the queue", then closed since the row had failed, and the letter gone."""
    key = await b2c(world)
    await failed(world, key)
    letter = await world.dead_letters.bury(
        b"{}", reason="x", error_code="job_gave_up", attempts=3, session_id=key.session_id
    )
    for error, is_there in ((GenerationRefused(), True), (None, False)):
        await operators.replay(key, letter_id=letter)
        world.generator.plan = [error] if error else []
        await world.run_all()
        assert (await world.dead_letters.get(letter) is not None) is is_there
    assert (await world.row(key)).status is Status.COMPLETED


async def test_a_dropped_letter_says_who_dropped_it(world: World, operators: Operators) -> None:
    key = await b2c(world)
    letter_id = await world.dead_letters.bury(
        b"{}", reason="x", error_code="task_invalid", attempts=1, session_id=key.session_id
    )
    letters = operators.tools.letters
    await letters.drop(await letters.get(letter_id), by="ada")
    assert await world.dead_letters.get(letter_id) is None
    line = (await world.journal.timeline(key.session_id))[-1]
    assert line["event"] == "letter_dropped"
    assert line.items() >= {"letter": letter_id, "error": "task_invalid", "by": "ada"}.items()
