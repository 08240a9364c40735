"""A try-on by hand: the platform's steps in the platform's order, and the way back."""

from dataclasses import dataclass, field
from uuid import UUID

import pytest

from devkit.fakes import FakeIntake, FakeLedger, FakeSessions, FakeStorage
from wearon_cli.core.contract import parse_task
from wearon_cli.core.errors import QueueUnavailable, StoreRefused, StoreUnavailable
from wearon_cli.core.operator.try_on import Counter, Order, Upload, new_session_id
from wearon_cli.core.session import Channel, Status, fail, start

OWNER = "5e2f9c1d-8a47-4c3b-b6d0-9a1e7f4c2b83"
SHOPPER = "ada@example.org"

pytestmark = pytest.mark.anyio


@dataclass
class World:
    sessions: FakeSessions = field(default_factory=FakeSessions)
    ledger: FakeLedger = field(default_factory=lambda: FakeLedger({OWNER: 3, SHOPPER: 2}))
    storage: FakeStorage = field(default_factory=FakeStorage)
    intake: FakeIntake = field(default_factory=FakeIntake)

    @property
    def counter(self) -> Counter:
        return Counter(
            sessions=self.sessions, ledger=self.ledger, storage=self.storage, intake=self.intake
        )


@pytest.fixture
def world() -> World:
    return World()


def order(channel: Channel = Channel.B2C, **more: object) -> Order:
    pictures = (
        Upload(data=b"person", content_type="image/jpeg"),
        Upload(data=b"garment", content_type="image/png"),
        Upload(data=b"hat", content_type="image/webp"),
    )
    asked: dict[str, object] = {"channel": channel, "owner_id": OWNER, "pictures": pictures}
    return Order(**(asked | more))  # type: ignore[arg-type]


CASES = [
    pytest.param(order(), OWNER, id="b2c"),
    pytest.param(order(Channel.B2B), OWNER, id="b2b, the store pays"),
    pytest.param(
        order(Channel.B2B, shopper_email=SHOPPER, shopper_pays=True),
        SHOPPER,
        id="b2b, the shopper pays",
    ),
    pytest.param(
        order(Channel.B2B, shopper_email=SHOPPER), OWNER, id="b2b, the store pays for a shopper"
    ),
]


@pytest.mark.parametrize(("placed", "payer"), CASES)
async def test_it_takes_one_credit_and_queues_one_job(
    world: World, placed: Order, payer: str
) -> None:
    before = world.ledger.balances[payer]
    row = await world.counter.place(placed)
    assert world.ledger.balances[payer] == before - 1
    assert row.status is Status.QUEUED
    (task,) = world.intake.pushed
    assert (str(task.session_id), task.owner_id, task.channel) == (
        row.session_id,
        OWNER,
        placed.channel,
    )
    person, garment, hat = task.image_urls
    assert (person, garment) == (row.model_image_url, row.outfit_image_url)
    kept = [each["url"] for each in row.accessories]
    assert kept == ([hat] if placed.channel is Channel.B2C else [])


async def test_the_payload_is_the_platforms_own(world: World) -> None:
    await world.counter.place(order(Channel.B2B, prompt="Dress the person (naïve, 試着)."))
    raw = world.intake.pushed[0].to_json()
    assert b"user_id" not in raw
    assert b"replay" not in raw
    assert parse_task(raw).prompt == "Dress the person (naïve, 試着)."


@pytest.mark.parametrize(
    ("channel", "folder"),
    [
        pytest.param(Channel.B2C, f"uploads/{OWNER}/", id="b2c"),
        pytest.param(Channel.B2B, f"stores/{OWNER}/uploads/", id="b2b"),
    ],
)
async def test_pictures_go_where_the_platform_keeps_them(
    world: World, channel: Channel, folder: str
) -> None:
    await world.counter.place(order(channel))
    assert [path.rpartition(".")[2] for path in world.storage.objects] == ["jpg", "png", "webp"]
    assert all(path.startswith(folder) for path in world.storage.objects)


async def test_without_credit_nothing_is_made(world: World) -> None:
    world.ledger.balances[OWNER] = 0
    with pytest.raises(StoreRefused):
        await world.counter.place(order())
    assert world.sessions.rows == {}
    assert world.intake.pushed == []
    assert world.ledger.entries == []


@pytest.mark.parametrize(("placed", "payer"), CASES)
async def test_when_the_push_fails_the_row_is_failed_and_the_credit_returned(
    world: World, placed: Order, payer: str
) -> None:
    before = dict(world.ledger.balances)
    world.intake.fails = QueueUnavailable()
    with pytest.raises(QueueUnavailable):
        await world.counter.place(placed)
    (row,) = world.sessions.rows.values()
    assert row.status is Status.FAILED
    assert row.error_message
    assert world.ledger.balances == before


@pytest.mark.parametrize(("placed", "payer"), CASES)
async def test_when_the_row_cannot_be_made_the_credit_is_returned(
    world: World, placed: Order, payer: str
) -> None:
    before = dict(world.ledger.balances)
    world.sessions.insert_fails = StoreUnavailable()
    with pytest.raises(StoreUnavailable):
        await world.counter.place(placed)
    assert world.sessions.rows == {}
    assert world.ledger.balances == before


@pytest.mark.parametrize("ended", [Status.PROCESSING, Status.FAILED])
async def test_a_push_that_arrived_after_all_is_left_to_its_worker(
    world: World, ended: Status
) -> None:
    """The answer was lost, the job was not: its worker settles it, not this command."""

    class Taken(FakeIntake):
        async def push(self, payload: bytes) -> None:
            key = parse_task(payload).key
            await world.sessions.apply(key, start())
            if ended is Status.FAILED:
                await world.sessions.apply(key, fail("by the worker"))
            raise QueueUnavailable

    world.intake = Taken()
    with pytest.raises(QueueUnavailable):
        await world.counter.place(order())
    (row,) = world.sessions.rows.values()
    assert row.status is ended
    assert world.ledger.balances[OWNER] == 2, "who ends the row returns its credit, not we"


async def test_session_ids_are_of_version_7_and_sort_by_time() -> None:
    ids = [new_session_id() for _ in range(50)]
    assert {(UUID(each).version, UUID(each).variant) for each in ids} == {
        (7, "specified in RFC 4122")
    }
    assert len(set(ids)) == 50
    assert [each[:13] for each in ids] == sorted(each[:13] for each in ids)
