"""Checks of input and generated pictures: real jobs, the real network in a child process."""

import io
import os
import signal
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

import wearon_cli
from devkit.accounts import CREDITS, USER
from devkit.crashes import let_others_finish, run_until_crash
from devkit.world import MakeWorld, World
from wearon_cli.adapters.pose.checks import CheckProcess
from wearon_cli.adapters.pose.model_file import model_path, require_model
from wearon_cli.adapters.redis import journal, keys
from wearon_cli.adapters.redis.book import RedisPurchaseBook
from wearon_cli.core.checks.findings import PictureFinding
from wearon_cli.core.errors import ConfigError, GeneratorFault
from wearon_cli.core.events import Event, observed_by
from wearon_cli.core.jobs.events import PictureNotChecked, PictureSuspect
from wearon_cli.core.jobs.journal import Ending
from wearon_cli.core.session import Session, SessionKey, Status, utc_now
from wearon_cli.core.settings import load_settings

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]

ASSETS = Path(wearon_cli.__file__).parent / "assets"
PERSON = ASSETS.joinpath("person.jpg").read_bytes()
BODY = Path(__file__).parents[1] / "data" / "bodies" / "front.jpg"
GARMENT = ASSETS.joinpath("garment_tee.jpg").read_bytes()


def jpeg(picture: Image.Image) -> bytes:
    held = io.BytesIO()
    picture.save(held, "JPEG", quality=92)
    return held.getvalue()


def dressed(colour: tuple[int, int, int] = (180, 40, 60)) -> bytes:
    """The bundled person with the trunk in another colour, lit as before."""
    person = Image.open(io.BytesIO(PERSON)).convert("RGB")
    wide, high = person.size
    box = (int(0.3 * wide), int(0.2 * high), int(0.7 * wide), int(0.52 * high))
    light = np.asarray(person.crop(box).convert("L"), np.float64)[..., None] / 160
    person.paste(Image.fromarray(np.clip(light * colour, 0, 255).astype(np.uint8)), box[:2])
    return jpeg(person)


def wall() -> bytes:
    """A brick wall without people."""
    picture = Image.new("RGB", (600, 800), "#b9a58c")
    pen = ImageDraw.Draw(picture)
    for y in range(0, 800, 80):
        for x in range(-60 if y % 160 else 0, 600, 120):
            pen.rectangle((x + 4, y + 4, x + 114, y + 74), fill="#8a4b3c")
    return jpeg(picture)


WALL = wall()
FLAT = jpeg(Image.new("RGB", (600, 800), "#888888"))
RIGHT, BLANK = dressed(), FLAT


@pytest.fixture(scope="module", autouse=True)
def model() -> None:
    """A missing model skips on a laptop and fails in CI."""
    try:
        require_model(load_settings())
    except ConfigError as exc:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"{exc}: {exc.hint}")


@pytest.fixture
def make_world(make_world: MakeWorld) -> MakeWorld:
    """Makes worlds whose jobs bring the bundled person and garment, drawn as it is told."""

    async def make(*drawn: bytes | GeneratorFault, **settings: Any) -> World:
        world = await make_world(**settings)
        world.fetcher.plan = [PERSON, GARMENT]
        world.generator.plan = list(drawn)
        return world

    return make


async def told(world: World, key: SessionKey) -> list[tuple[object, object, object]]:
    """The timeline's entries about suspect pictures."""
    lines = await world.journal.timeline(key.session_id)
    return [
        (line["stage"], line["findings"], line["action"])
        for line in lines
        if line["event"] == "picture_suspect"
    ]


async def outcomes(world: World) -> dict[str, int]:
    """The book of purchases: how many of each outcome."""
    day = utc_now().date()
    rows = await RedisPurchaseBook(world.redis).rows(day - timedelta(days=1), day)
    return {row.outcome: row.count for row in rows if row.count}


async def shows(world: World, row: Session, *pictures: bytes) -> bool:
    """Whether the stored picture is one of these, apart from provenance marks."""
    stored = pixels(await world.storage.get(row.result_path))
    return any(pixels(each) == stored for each in pictures)


def pixels(data: bytes) -> bytes:
    return Image.open(io.BytesIO(data)).convert("RGB").tobytes()


# ----------------------------------------------------------------------------- before the purchase


@pytest.mark.parametrize(
    ("pictures", "finding", "words"),
    [
        pytest.param([FLAT, GARMENT], "photo_blank", "only one colour", id="blank photo"),
        pytest.param([WALL, GARMENT], "no_person", "could not find a person", id="a wall"),
        pytest.param([PERSON, FLAT], "garment_blank", "only one colour", id="blank garment"),
        pytest.param([PERSON, PERSON], "same_picture", "Both pictures are the same", id="same"),
    ],
)
async def test_a_hopeless_photo_costs_nothing_and_the_shopper_is_told_what_to_do(
    make_world: MakeWorld, pictures: list[bytes], finding: str, words: str
) -> None:
    world = await make_world(check_inputs="refuse")
    world.fetcher.plan = list(pictures)
    key = await world.sell(owner_id=USER)
    assert await world.run_all() == [Ending.FAILED]
    row = await world.row(key)
    assert (row.status, world.generator.paid) == (Status.FAILED, [])
    assert words in (row.error_message or "")
    assert await world.ledger.user_balance(USER) == CREDITS
    assert await told(world, key) == [("inputs", finding, "refused")]


async def test_a_picture_is_still_bought_for_flagged_inputs(make_world: MakeWorld) -> None:
    world = await make_world(check_inputs="flag")
    world.fetcher.plan = [PERSON, FLAT]
    key = await world.sell(owner_id=USER)
    assert await world.run_all() == [Ending.COMPLETED]
    assert await told(world, key) == [("inputs", "garment_blank", "flagged")]


async def test_a_good_pair_has_no_findings(make_world: MakeWorld) -> None:
    world = await make_world(RIGHT, check_inputs="refuse", check_results="fail")
    key = await world.sell(owner_id=USER)
    seen: list[Event] = []
    with observed_by(seen.append):
        assert await world.run_all() == [Ending.COMPLETED]
    assert await told(world, key) == []
    assert not [each for each in seen if isinstance(each, PictureSuspect | PictureNotChecked)]


# ----------------------------------------------------------------------------- as drawn


@pytest.mark.parametrize(
    ("drawn", "finding"),
    [
        pytest.param(BLANK, "result_blank", id="blank"),
        pytest.param(GARMENT, "person_gone", id="the garment alone"),
        pytest.param(PERSON, "not_applied", id="clothes untouched"),
    ],
)
async def test_a_suspect_picture_is_delivered_and_flagged(
    make_world: MakeWorld, drawn: bytes, finding: str
) -> None:
    world = await make_world(drawn, check_results="flag")
    key = await world.sell(owner_id=USER)
    assert await world.run_all() == [Ending.COMPLETED]
    assert await told(world, key) == [("result", finding, "flagged")]
    assert await outcomes(world) == {"kept": 1}


def lower_half() -> bytes:
    """The dressed person from the hips down."""
    whole = Image.open(io.BytesIO(RIGHT))
    return jpeg(whole.crop((0, whole.height // 2, *whole.size)))


def own_cloth() -> bytes:
    """A garment of the very cloth that the bundled person wears."""
    person = Image.open(io.BytesIO(PERSON)).convert("RGB")
    wide, high = person.size
    box = (int(0.42 * wide), int(0.25 * high), int(0.58 * wide), int(0.45 * high))
    return jpeg(person.crop(box).resize((600, 800)))


@pytest.mark.parametrize(
    ("drawn", "garment", "finding"),
    [
        pytest.param(PERSON, own_cloth(), "not_applied", id="untouched, in its own cloth"),
        pytest.param(lower_half(), GARMENT, "framed_otherwise", id="the legs alone"),
        pytest.param(BODY.read_bytes(), GARMENT, "other_person", id="someone else"),
    ],
)
async def test_what_colours_alone_do_not_tell_is_flagged(
    make_world: MakeWorld, drawn: bytes, garment: bytes, finding: str
) -> None:
    """Seen: of none of them anything was said, and the legs alone were not checked."""
    world = await make_world(drawn, check_results="flag")
    world.fetcher.plan = [PERSON, garment]
    key = await world.sell(owner_id=USER)
    assert await world.run_all() == [Ending.COMPLETED]
    assert await told(world, key) == [("result", finding, "flagged")]


async def test_with_fail_the_credit_is_refunded_and_the_purchase_counted(
    make_world: MakeWorld,
) -> None:
    world = await make_world(BLANK, check_results="fail")
    key = await world.sell(owner_id=USER)
    assert await world.run_all() == [Ending.FAILED]
    row = await world.row(key)
    assert row.error_message == "The picture did not turn out well. Please try again."
    assert await world.ledger.user_balance(USER) == CREDITS
    assert await told(world, key) == [("result", "result_blank", "failed")]
    assert await outcomes(world) == {"unused": 1}


async def test_a_worker_that_dies_while_failing_a_picture_buys_no_second_one(
    make_world: MakeWorld,
) -> None:
    """Seen: killed between the end of the purchase and the intent, the job bought a second
    picture.
    """
    world = await make_world(check_results="fail")
    for step in range(1, MANY_STEPS):
        world.fetcher.plan = [PERSON, GARMENT] * 6
        world.generator.plan, world.generator.paid = [BLANK, RIGHT], []
        key = await world.sell(owner_id=USER)
        world.fuse.steps, world.fuse.crash_at, world.fuse.after = 0, step, True
        assert await run_until_crash(world)
        world.fetcher.plan = [PERSON, GARMENT] * 6
        await let_others_finish(world)
        if world.fuse.burnt == "end_purchase":
            assert (await world.row(key)).status is Status.FAILED
            assert len(world.generator.paid) == 1
            return
    pytest.fail("no step ended the purchase")


async def test_retry_buys_once_more_and_keeps_the_better_one(make_world: MakeWorld) -> None:
    world = await make_world(BLANK, RIGHT, check_results="retry")
    key = await world.sell(owner_id=USER)
    assert await world.run_all() == [Ending.COMPLETED]
    assert await shows(world, await world.row(key), RIGHT)
    assert len(world.generator.paid) == 2
    assert await told(world, key) == [("result", "result_blank", "bought_again")]
    assert await outcomes(world) == {"kept": 1, "replaced": 1}


async def test_retry_keeps_the_first_when_the_second_is_worse(make_world: MakeWorld) -> None:
    world = await make_world(PERSON, BLANK, check_results="retry")
    key = await world.sell(owner_id=USER)
    assert await world.run_all() == [Ending.COMPLETED]
    assert await shows(world, await world.row(key), PERSON)
    assert len(world.generator.paid) == 2
    assert await told(world, key) == [
        ("result", "not_applied", "bought_again"),
        ("result", "not_applied", "flagged"),
    ]
    assert await outcomes(world) == {"kept": 1, "unused": 1}


async def test_a_failed_second_purchase_does_not_cost_the_first_picture(
    make_world: MakeWorld,
) -> None:
    world = await make_world(PERSON, GeneratorFault("down"), check_results="retry")
    key = await world.sell(owner_id=USER)
    assert await world.run_all() == [Ending.COMPLETED]
    assert await shows(world, await world.row(key), PERSON)
    assert await outcomes(world) == {"kept": 1}


async def test_retry_stays_within_the_cap(make_world: MakeWorld) -> None:
    world = await make_world(BLANK, RIGHT, check_results="retry", max_purchases="1")
    key = await world.sell(owner_id=USER)
    assert await world.run_all() == [Ending.COMPLETED]
    assert len(world.generator.paid) == 1
    assert await told(world, key) == [("result", "result_blank", "flagged")]


# ----------------------------------------------------------------------------- checks that break


async def test_a_check_whose_process_dies_costs_no_picture(make_world: MakeWorld) -> None:
    world = await make_world(RIGHT, check_results="fail")
    await world.checks.aclose()
    world.checks = CheckProcess(Path("/nowhere"), child_bytes=120_000_000)  # MediaPipe needs more
    key = await world.sell(owner_id=USER)
    seen: list[Event] = []
    with observed_by(seen.append):
        assert await world.run_all() == [Ending.COMPLETED]
    assert [each.stage for each in seen if isinstance(each, PictureNotChecked)] == ["result"]
    assert "picture_not_checked" in await world.events(key)


async def test_without_the_pose_model_blank_pictures_are_still_refused(
    make_world: MakeWorld, tmp_path: Path
) -> None:
    checks = CheckProcess(tmp_path / "none.task")
    try:
        good, blank = await checks.inputs([PERSON, GARMENT]), await checks.inputs([FLAT, GARMENT])
    finally:
        await checks.aclose()
    assert (good.findings, good.not_checked) == ((), "no_pose_model")
    assert blank.certain == (PictureFinding.PHOTO_BLANK,)


async def test_the_process_is_started_before_the_first_check(tmp_path: Path) -> None:
    checks, without_model = (
        CheckProcess(model_path(load_settings())),
        CheckProcess(tmp_path / "none.task"),
    )
    failed: list[Event] = []
    try:
        with observed_by(failed.append):
            await checks.load()
            await without_model.load()
        loaded = checks.pids
        assert (await checks.inputs([PERSON, GARMENT])).findings == ()
        assert checks.pids == loaded
    finally:
        await checks.aclose()
        await without_model.aclose()
    assert len(loaded) == 1
    assert failed == []


async def test_a_killed_process_is_followed_by_another() -> None:
    checks = CheckProcess(model_path(load_settings()))
    try:
        for _ in range(2):
            assert (await checks.inputs([WALL, GARMENT])).findings == (PictureFinding.NO_PERSON,)
            for pid in checks.pids:
                os.kill(pid, signal.SIGKILL)
    finally:
        await checks.aclose()


# ----------------------------------------------------------------------------- workers that die


@pytest.mark.parametrize("after", [False, True], ids=["before the step", "after the step"])
async def test_a_worker_killed_at_any_step_of_drawing_again_loses_no_picture(
    make_world: MakeWorld, after: bool
) -> None:
    world = await make_world(check_results="retry")
    for step in range(1, MANY_STEPS):
        world.fetcher.plan = [PERSON, GARMENT] * 6
        world.generator.plan, world.generator.paid = [PERSON, RIGHT, RIGHT, RIGHT], []
        before = await outcomes(world)
        key = await world.sell(owner_id=USER)
        world.fuse.steps, world.fuse.crash_at, world.fuse.after = 0, step, after
        if not await run_until_crash(world):
            break
        world.fetcher.plan = [PERSON, GARMENT] * 6
        await let_others_finish(world)
        where = f"step {step}, {world.fuse.burnt}"
        row = await world.row(key)
        assert row.status is Status.COMPLETED, where
        assert await shows(world, row, PERSON, RIGHT), where
        assert len(world.generator.paid) <= 3, where
        booked = sum((await outcomes(world)).values()) - sum(before.values())
        # A purchase killed before its call was sent counts as lost: it may have been billed.
        assert len(world.generator.paid) <= booked <= len(world.generator.paid) + 1, where
        assert await world.is_at_rest(), where
    assert 15 < step < MANY_STEPS - 1


@pytest.mark.parametrize("after", [False, True], ids=["before the step", "after the step"])
async def test_a_picture_that_cannot_be_held_is_not_bought_again(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch, after: bool
) -> None:
    """Seen: a worker that died while the second was drawn lost both, and the cap allowed no
    third.
    """
    monkeypatch.setattr(journal, "MOST_HELD_PICTURES", 0)
    world = await make_world(check_results="retry", max_purchases="2")
    for step in range(1, MANY_STEPS):
        world.fetcher.plan = [PERSON, GARMENT] * 6
        world.generator.plan, world.generator.paid = [PERSON, RIGHT], []
        key = await world.sell(owner_id=USER)
        world.fuse.steps, world.fuse.crash_at, world.fuse.after = 0, step, after
        crashed = await run_until_crash(world)
        world.fetcher.plan = [PERSON, GARMENT] * 6
        await let_others_finish(world)
        where = f"step {step}, {world.fuse.burnt}"
        assert (await world.row(key)).status is Status.COMPLETED, where
        if not crashed:
            assert len(world.generator.paid) == 1
            assert await told(world, key) == [("result", "not_applied", "flagged")]
            break
    assert step < MANY_STEPS - 1


async def test_an_expired_first_picture_is_bought_again_and_recorded_so(
    make_world: MakeWorld,
) -> None:
    """Seen: the replacement was recorded as lost, and the first one as kept."""
    world = await make_world(check_results="retry")
    for step in range(1, MANY_STEPS):
        world.fetcher.plan = [PERSON, GARMENT] * 6
        world.generator.plan, world.generator.paid = [PERSON, RIGHT, RIGHT], []
        before = await outcomes(world)
        key = await world.sell(owner_id=USER)
        world.fuse.steps, world.fuse.crash_at, world.fuse.after = 0, step, True
        assert await run_until_crash(world)
        was_second = world.fuse.burnt == "submit" and len(world.generator.paid) == 2
        if was_second:
            assert await world.redis.delete(keys.held_picture(key.session_id))
        world.fetcher.plan = [PERSON, GARMENT] * 6
        await let_others_finish(world)
        if was_second:
            assert await shows(world, await world.row(key), RIGHT)
            assert len(world.generator.paid) == 3
            now = Counter(await outcomes(world))
            now.subtract(before)
            assert +now == {"kept": 1, "replaced": 1, "lost": 1}
            break
    assert step < MANY_STEPS - 1


#: More steps than a job has that draws again.
MANY_STEPS = 80
