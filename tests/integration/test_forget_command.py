"""`wearon forget` and `wearon provenance SESSION` over the files and rows of a local stack."""

import asyncio
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from typer.testing import CliRunner, Result

from devkit import pictures as kit
from devkit.waiting import until
from wearon_cli.adapters.local.accounts import DEMO_USER_ID
from wearon_cli.adapters.local.ledger import LocalLedger
from wearon_cli.app import app
from wearon_cli.core.errors import (
    ConsentMissing,
    InputError,
    NeedsAPerson,
    SessionRunning,
    StoreUnavailable,
)
from wearon_cli.core.pictures.marking import SourceType, with_source_type
from wearon_cli.core.session import Channel, Completion, NewSession, Session, complete, utc_now
from wearon_cli.core.settings import Settings
from wearon_cli.runtime.all.local_stack import local_services
from wearon_cli.wiring.operator import open_operator_tools

pytestmark = pytest.mark.slow

PICTURE = with_source_type(kit.encode(kit.corners(96, 128)), SourceType.COMPOSITE)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    folder = tmp_path_factory.mktemp("stack")
    with local_services(folder, host="127.0.0.1", port=0) as settings:
        yield settings


async def make(
    settings: Settings, *, garment: str = "", ended: bool = True, owner_id: str = DEMO_USER_ID
) -> Session:
    """A session whose picture is stored, as after a job."""
    async with open_operator_tools(settings) as tools:
        paths = (f"uploads/{uuid4()}.jpg", garment or f"uploads/{uuid4()}.jpg")
        for path in paths:
            await tools.storage.put(path, PICTURE, content_type="image/jpeg")
        person_url, garment_url = [await tools.storage.sign(path, life_s=600) for path in paths]
        row = await tools.sessions.insert(
            NewSession(
                session_id=str(uuid4()),
                channel=Channel.B2C,
                owner_id=owner_id,
                model_image_url=person_url,
                outfit_image_url=garment_url,
            )
        )
        await tools.storage.put(row.result_path, PICTURE, content_type="image/jpeg")
        url = await tools.storage.sign(row.result_path, life_s=600)
        done = Completion(generated_image_url=url, processing_time_ms=1, completed_at=utc_now())
        if ended:
            row = await tools.sessions.apply(row.key, complete(done)) or row
        return row


def made(settings: Settings, **how: Any) -> Session:
    return asyncio.run(make(settings, **how))


def run(settings: Settings, *words: str) -> Result:
    where = ("--local", "--data-dir", str(settings.local_dir))
    return CliRunner().invoke(app, [*words, *where])


def answer(result: Result) -> Any:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)["data"]


def files(settings: Settings) -> set[str]:
    assert settings.local_dir is not None
    folder = settings.local_dir / "files"
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_it_shows_asks_and_forgets(stack: Settings) -> None:
    before = files(stack)
    row = made(stack)
    (plan,) = answer(run(stack, "forget", row.session_id, "--dry-run", "--json"))["plans"]
    assert (plan["inputs"], plan["dead_letters"]) == (2, 0)
    assert len(files(stack) - before) == 3
    unasked = run(stack, "forget", row.session_id)
    assert unasked.exit_code == ConsentMissing.exit_code
    assert len(files(stack) - before) == 3
    words = ("forget", row.session_id, "--yes", "--as", "ada", "--json")
    (receipt,) = answer(run(stack, *words))["forgotten"]
    assert receipt == {
        "session_id": row.session_id,
        "pictures": 3,
        "dead_letters": 0,
        "provider_copies": 0,
        "not_asked": [],
    }
    assert files(stack) == before
    shown = run(stack, "session", row.session_id)
    assert "forgotten" in shown.output
    assert "by=ada" in shown.output
    assert answer(run(stack, "forget", row.session_id, "--yes", "--json"))["forgotten"]


def test_all_finished_sessions_of_an_owner_are_forgotten(stack: Settings) -> None:
    first, running = made(stack), made(stack, ended=False)
    done = run(stack, "forget", "--owner", DEMO_USER_ID, "--yes", "--json")
    assert done.exit_code == NeedsAPerson.exit_code
    data = json.loads(done.stdout)["data"]
    assert first.session_id in {each["session_id"] for each in data["forgotten"]}
    (refused,) = data["refused"]
    assert refused["code"] == SessionRunning.code
    assert running.session_id in refused["reason"]


def test_an_input_of_another_session_stays(stack: Settings) -> None:
    garment = f"uploads/{uuid4()}.jpg"
    one, other = made(stack, garment=garment), made(stack, garment=garment)
    (receipt,) = answer(run(stack, "forget", one.session_id, "--yes", "--json"))["forgotten"]
    assert receipt["pictures"] == 2
    assert {garment, other.result_path} <= files(stack)


def test_an_input_of_an_open_session_of_another_owner_stays(stack: Settings) -> None:
    """Only the owner's own sessions were looked at: the other job then found no picture."""
    garment, other_user = f"uploads/{uuid4()}.jpg", new_user(stack)
    one = made(stack, garment=garment)
    made(stack, garment=garment, owner_id=other_user, ended=False)
    (receipt,) = answer(run(stack, "forget", one.session_id, "--yes", "--json"))["forgotten"]
    assert receipt["pictures"] == 2
    assert garment in files(stack)


def new_user(settings: Settings) -> str:
    user = str(uuid4())
    assert settings.local_dir is not None
    ledger = LocalLedger(settings.local_dir / "wearon.db")
    asyncio.run(ledger.add_user(user, credits=1))
    ledger.close()
    return user


def test_an_input_of_a_session_of_the_owner_that_is_left_out_stays(stack: Settings) -> None:
    """Seen: with --owner, the photo was deleted that a running session of the owner was using."""
    garment, user = f"uploads/{uuid4()}.jpg", new_user(stack)
    one = made(stack, garment=garment, owner_id=user)
    running = made(stack, garment=garment, owner_id=user, ended=False)
    data = json.loads(run(stack, "forget", "--owner", user, "--yes", "--json").stdout)["data"]
    assert [each["session_id"] for each in data["forgotten"]] == [one.session_id]
    assert running.session_id in data["refused"][0]["reason"]
    assert garment in files(stack)


def test_receipts_remain_when_storage_fails_midway(stack: Settings) -> None:
    """Seen: the command failed, and nothing told which sessions were forgotten."""
    user = new_user(stack)
    rows = [made(stack, owner_id=user) for _ in range(3)]
    assert stack.local_dir is not None
    in_the_way = stack.local_dir / "files" / rows[1].result_path  # the second of three, from newest
    in_the_way.unlink()
    (in_the_way / "folder").mkdir(parents=True)
    words = ("forget", "--owner", user, "--yes")
    done = run(stack, *words, "--json")
    assert done.exit_code == StoreUnavailable.exit_code
    told = json.loads(done.stdout)
    assert [each["session_id"] for each in told["data"]["forgotten"]] == [rows[2].session_id]
    assert told["data"]["left"] == 2
    assert "1 of 3 sessions were forgotten, 2 are left" in told["error"]["message"]
    assert "run it again" in told["error"]["hint"]
    (in_the_way / "folder").rmdir()
    in_the_way.rmdir()
    until(lambda: run(stack, *words).exit_code == 0)
    shown = json.loads(run(stack, "session", rows[1].session_id, "--json").stdout)["data"]
    (line,) = shown["timeline"]
    assert (line["event"], line["pictures"]) == ("forgotten", 2)  # its result was in the way
    assert not {path for path in files(stack) if user in path}


def test_a_second_run_deletes_nothing_and_keeps_the_first_receipt(stack: Settings) -> None:
    """Seen: it counted the pictures again, and replaced the receipt of what was deleted."""
    row = made(stack)
    words = ("forget", row.session_id, "--yes", "--json")
    (first,) = answer(run(stack, *words))["forgotten"]
    (second,) = answer(run(stack, *words))["forgotten"]
    assert (first["pictures"], second["pictures"]) == (3, 0)
    lines = answer(run(stack, "session", row.session_id, "--json"))["timeline"]
    assert [(line["event"], line["pictures"]) for line in lines] == [
        ("forgotten", 3),
        ("forgotten", 0),
    ]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        pytest.param((), "no sessions specified", id="nothing named"),
        pytest.param(("x", "--owner", DEMO_USER_ID), "cannot be combined", id="both"),
        pytest.param(("--owner", "someone"), "not the id of a user", id="no id"),
        pytest.param(("--owner", str(uuid4())), "has no sessions", id="an owner without any"),
        pytest.param(("someone",), "is not a session id", id="no session id"),
    ],
)
def test_a_wrong_selection_is_explained(
    stack: Settings, words: tuple[str, ...], message: str
) -> None:
    done = run(stack, "forget", *words, "--yes")
    assert done.exit_code == InputError.exit_code
    assert message in done.output


def test_the_marks_of_a_sessions_picture_are_shown(stack: Settings) -> None:
    row = made(stack)
    data = answer(run(stack, "provenance", row.session_id, "--json"))
    assert (data["has_c2pa"], data["source_type"]) == (False, "compositeSynthetic")


def test_a_stack_removes_old_pictures_when_it_starts(tmp_path: Path) -> None:
    old = tmp_path / "files" / "uploads" / "old.jpg"
    old.parent.mkdir(parents=True)
    old.write_bytes(PICTURE)
    os.utime(old, (time.time() - 31 * 86_400,) * 2)
    with local_services(tmp_path, host="127.0.0.1", port=0):
        until(lambda: not old.exists())
