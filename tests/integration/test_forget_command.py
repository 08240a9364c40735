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
from wearon_cli.core.errors import ConsentMissing, InputError, NeedsAPerson, SessionRunning
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
    garment, other_user = f"uploads/{uuid4()}.jpg", str(uuid4())
    assert stack.local_dir is not None
    ledger = LocalLedger(stack.local_dir / "wearon.db")
    asyncio.run(ledger.add_user(other_user, credits=1))
    ledger.close()
    one = made(stack, garment=garment)
    made(stack, garment=garment, owner_id=other_user, ended=False)
    (receipt,) = answer(run(stack, "forget", one.session_id, "--yes", "--json"))["forgotten"]
    assert receipt["pictures"] == 2
    assert garment in files(stack)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        pytest.param((), "no sessions specified", id="nothing named"),
        pytest.param(("x", "--owner", DEMO_USER_ID), "no sessions specified", id="both"),
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
