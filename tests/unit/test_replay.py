"""Running a session again: what is refused, what is changed, and that nothing is paid twice."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import pytest

from devkit.fakes import FakeIntake, FakeJournal, FakeLedger, FakeSessions, FakeStorage
from wearon_cli.core.credits import EntryKind
from wearon_cli.core.errors import (
    InputError,
    PictureUnavailable,
    QueueUnavailable,
    SessionFinal,
    SessionNotFound,
    SessionRunning,
)
from wearon_cli.core.operator.follow import CreditFate, ending, follow
from wearon_cli.core.operator.replay import Replayer, ReplayOptions
from wearon_cli.core.session import Channel, Session, Status

OWNER = "7d4f5f3a-2f1c-4d5e-8a35-7d52a3f1e0b2"
SESSION = "0193a1c0-7b1e-7c4a-9f00-3f2c6f0a9d01"
PERSON, GARMENT = f"stores/{OWNER}/uploads/1-a.jpg", f"stores/{OWNER}/uploads/1-b c.png"
STORED = "https://project.supabase.test/storage/v1/object/sign/virtual-tryon-images"
WHEN = datetime(2026, 2, 9, 14, 30, tzinfo=UTC)

pytestmark = pytest.mark.anyio


@dataclass
class World:
    row: Session
    sessions: FakeSessions = field(default_factory=FakeSessions)
    ledger: FakeLedger = field(default_factory=lambda: FakeLedger({OWNER: 5}))
    storage: FakeStorage = field(default_factory=FakeStorage)
    intake: FakeIntake = field(default_factory=FakeIntake)
    journal: FakeJournal = field(default_factory=FakeJournal)

    def __post_init__(self) -> None:
        self.put(self.row)
        self.storage.objects = {PERSON: b"p", GARMENT: b"g"}

    def put(self, row: Session) -> None:
        self.row = row
        self.sessions.rows = {row.key: row}

    @property
    def now(self) -> Session:
        return self.sessions.rows[self.row.key]

    @property
    def replayer(self) -> Replayer:
        return Replayer(
            sessions=self.sessions,
            ledger=self.ledger,
            storage=self.storage,
            intake=self.intake,
            journal=self.journal,  # type: ignore[arg-type] # only what the operator tools ask of it
            bucket="virtual-tryon-images",
            store_origin="https://project.supabase.test/",
        )

    async def replay(self, **options: object) -> None:
        plan = await self.replayer.plan(SESSION, ReplayOptions(**options))  # type: ignore[arg-type]
        await self.replayer.run(plan)


@pytest.fixture
def world() -> World:
    return World(
        Session(
            session_id=SESSION,
            channel=Channel.B2B,
            owner_id=OWNER,
            status=Status.FAILED,
            created_at=WHEN,
            model_image_url=f"{STORED}/{PERSON}?token=expired",
            outfit_image_url=f"{STORED}/{GARMENT.replace(' ', '%20')}?token=expired",
            accessories=({"type": "hat", "url": "https://elsewhere.test/hat.png"},),
            prompt_system="Dress the person.",
            error_message="It failed.",
            request_id="req_1",
        )
    )


async def test_a_failed_session_is_queued_again_with_fresh_addresses(world: World) -> None:
    await world.replay(reason="ticket 12")
    assert world.now.status is Status.QUEUED
    assert world.now.error_message is None
    (task,) = world.intake.pushed
    assert task.request_id == "req_1"
    assert task.prompt == "Dress the person."
    assert [url.partition("?token=")[2] for url in task.image_urls] == ["t1", "t2", ""]
    assert task.image_urls[2] == "https://elsewhere.test/hat.png"
    assert task.replay is not None
    assert (task.replay.fresh, task.replay.reason) == (False, "ticket 12")
    assert world.journal.timelines[SESSION][0]["event"] == "replayed"


async def test_it_takes_no_credit(world: World) -> None:
    await world.replay()
    assert world.ledger.entries == []


async def test_another_prompt_can_be_given(world: World) -> None:
    await world.replay(prompt="Keep the hat.")
    assert world.intake.pushed[0].prompt == "Keep the hat."


async def test_a_completed_session_is_refused_without_force(world: World) -> None:
    world.put(replace(world.row, status=Status.COMPLETED))
    with pytest.raises(SessionFinal, match="completed"):
        await world.replay()
    assert world.intake.pushed == []


async def test_a_completed_session_is_drawn_again_by_force(world: World) -> None:
    world.put(replace(world.row, status=Status.COMPLETED, completed_at=WHEN))
    await world.replay(force=True)
    replayed = world.intake.pushed[0].replay
    assert replayed is not None
    assert replayed.fresh
    assert world.now.status is Status.QUEUED


@pytest.mark.parametrize("force", [False, True])
async def test_a_running_session_is_left_alone(world: World, force: bool) -> None:
    world.put(replace(world.row, status=Status.PROCESSING))
    with pytest.raises(SessionRunning):
        await world.replay(force=force)
    assert world.intake.pushed == []


async def test_a_job_that_waits_in_the_journal_counts_as_running(world: World) -> None:
    world.put(replace(world.row, status=Status.QUEUED))
    world.journal.open_sessions = {SESSION}
    with pytest.raises(SessionRunning):
        await world.replay()


async def test_a_session_stuck_in_queued_is_pushed_again(world: World) -> None:
    world.put(replace(world.row, status=Status.QUEUED))
    await world.replay()
    assert len(world.intake.pushed) == 1
    assert world.now.status is Status.QUEUED


async def test_an_unknown_session_says_where_it_looked(world: World) -> None:
    world.sessions.rows = {}
    with pytest.raises(SessionNotFound) as caught:
        await world.replay()
    assert "generation_sessions" in caught.value.hint
    assert "store_generation_sessions" in caught.value.hint


@pytest.mark.parametrize("word", ["", "12", "0193a1c0", "../etc/passwd", f"{SESSION}0"])
async def test_what_is_no_session_id_is_not_looked_up(world: World, word: str) -> None:
    with pytest.raises(InputError, match="is not a session id"):
        await world.replayer.plan(word, ReplayOptions())


async def test_a_picture_that_is_gone_changes_nothing(world: World) -> None:
    del world.storage.objects[GARMENT]
    with pytest.raises(PictureUnavailable):
        await world.replay()
    assert world.now == world.row
    assert world.intake.pushed == []


@pytest.mark.parametrize("status", [Status.FAILED, Status.COMPLETED])
async def test_when_the_push_fails_the_row_is_as_it_was(world: World, status: Status) -> None:
    world.put(replace(world.row, status=status, completed_at=WHEN))
    world.intake.fails = QueueUnavailable()
    with pytest.raises(QueueUnavailable):
        await world.replay(force=True)
    assert world.now == world.row


async def test_a_row_that_moved_meanwhile_is_left_alone(world: World) -> None:
    plan = await world.replayer.plan(SESSION, ReplayOptions())
    world.sessions.rows[world.row.key] = replace(world.row, status=Status.QUEUED)
    with pytest.raises(SessionRunning, match="moved on"):
        await world.replayer.run(plan)
    assert world.intake.pushed == []


@pytest.mark.parametrize(
    ("url", "path"),
    [
        pytest.param(f"{STORED}/a/b.jpg?token=t", "a/b.jpg", id="signed"),
        pytest.param(f"{STORED.replace('sign', 'public')}/a.jpg", "a.jpg", id="public"),
        pytest.param(f"{STORED}/a%20b.jpg?token=t", "a b.jpg", id="escaped"),
        pytest.param(f"{STORED.replace('virtual-tryon-images', 'other')}/a.jpg", None, id="bucket"),
        pytest.param(STORED.replace("project", "other") + "/a.jpg", None, id="another origin"),
        pytest.param("https://elsewhere.test/a.jpg", None, id="elsewhere"),
    ],
)
async def test_only_addresses_of_our_bucket_are_signed_anew(
    world: World, url: str, path: str | None
) -> None:
    assert world.replayer.stored_path(url) == path


async def ledger_after(world: World, *kinds: EntryKind) -> None:
    for kind in kinds:
        amount = 1 if kind is EntryKind.REFUND else -1
        facts = {"description": f"session {SESSION}", "request_id": "req_1"}
        world.ledger._add(OWNER, OWNER, kind, amount, **facts)


@pytest.mark.parametrize(
    ("channel", "kinds", "fate"),
    [
        pytest.param(Channel.B2B, [EntryKind.DEDUCTION], CreditFate.PENDING, id="b2b taken"),
        pytest.param(
            Channel.B2B, [EntryKind.DEDUCTION, EntryKind.REFUND], CreditFate.RETURNED, id="b2b back"
        ),
        pytest.param(Channel.B2B, [EntryKind.OVERAGE], CreditFate.OVERAGE, id="b2b overage"),
        pytest.param(Channel.B2B, [], CreditFate.NOT_TAKEN, id="b2b none"),
        pytest.param(Channel.B2C, [EntryKind.GENERATION], CreditFate.PENDING, id="b2c taken"),
        pytest.param(
            Channel.B2C,
            [EntryKind.GENERATION, EntryKind.REFUND],
            CreditFate.RETURNED,
            id="b2c back",
        ),
        pytest.param(Channel.B2C, [], CreditFate.NOT_TAKEN, id="b2c none"),
    ],
)
async def test_the_plan_says_where_the_credit_is(
    world: World, channel: Channel, kinds: list[EntryKind], fate: CreditFate
) -> None:
    world.put(replace(world.row, channel=channel))
    await ledger_after(world, *kinds)
    plan = await world.replayer.plan(SESSION, ReplayOptions())
    assert plan.credit is fate
    assert plan.is_free is (fate is CreditFate.RETURNED)
    assert ("free" in " ".join(plan.sentences())) is plan.is_free


async def test_following_stops_at_the_end_of_the_session(world: World) -> None:
    seen: list[Status] = []
    last = await follow(
        world.sessions, world.row.key, timeout_s=1, on_look=lambda row: seen.append(row.status)
    )
    assert (last, seen) == (world.row, [Status.FAILED])


async def test_following_gives_up_in_time_and_says_that_it_goes_on(world: World) -> None:
    world.put(replace(world.row, status=Status.QUEUED))
    with pytest.raises(SessionRunning) as caught:
        await follow(world.sessions, world.row.key, timeout_s=0, on_look=lambda row: None)
    assert "goes on" in caught.value.hint


async def test_the_ending_names_the_class_of_error_from_the_timeline(world: World) -> None:
    await ledger_after(world, EntryKind.DEDUCTION, EntryKind.REFUND)
    await world.journal.note(SESSION, "settled", credit="refunded", error="photo_refused")
    await world.journal.note(SESSION, "closed")
    end = await ending(world.row, ledger=world.ledger, journal=world.journal)  # type: ignore[arg-type]
    assert (end.credit, end.error_code) == (CreditFate.RETURNED, "photo_refused")


async def test_a_refund_that_does_not_come_is_said_to_be_pending(world: World) -> None:
    await ledger_after(world, EntryKind.DEDUCTION)
    end = await ending(world.row, ledger=world.ledger, journal=world.journal, settling_s=0)  # type: ignore[arg-type]
    assert end.credit is CreditFate.PENDING
