"""`wearon all --local` as a user starts it: a process, its queue from outside, a picture."""

import asyncio
import json
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from uuid import uuid4

import httpx
import psutil
import pytest
from PIL import Image
from prometheus_client.parser import text_string_to_metric_families
from redis import Redis
from typer.testing import CliRunner

import wearon_cli
from devkit.local_stack import JOB_S, STOP_S, stack
from devkit.ports import free_port
from devkit.servers.image_api import KEY
from devkit.servers.image_api_process import ImageApiProcess
from devkit.usage import role_of
from devkit.waiting import until
from wearon_cli.adapters.local.accounts import DEMO_STORE_ID, DEMO_USER_ID
from wearon_cli.adapters.redis.keys import TASK_LIST
from wearon_cli.app import app
from wearon_cli.core.ledger import payer_for
from wearon_cli.core.provider_settings import PROVIDER_KEYS
from wearon_cli.core.session import Channel, NewSession, Session, SessionKey, Status
from wearon_cli.runtime.all.local_stack import attached, draws_previews, local_stack
from wearon_cli.wiring.operator import OperatorTools, open_operator_tools

pytestmark = pytest.mark.slow

ASSETS = Path(wearon_cli.__file__).parent / "assets"


async def order(tools: OperatorTools, channel: Channel) -> NewSession:
    """What the platform does before it pushes: pictures, credit, row."""
    urls = []
    for name in ("person.jpg", "garment_tee.jpg"):
        path = f"uploads/{uuid4()}/{name}"
        await tools.storage.put(path, (ASSETS / name).read_bytes(), content_type="image/jpeg")
        urls.append(await tools.storage.sign(path, life_s=600))
    new = NewSession(
        session_id=str(uuid4()),
        channel=channel,
        owner_id=DEMO_STORE_ID if channel is Channel.B2B else DEMO_USER_ID,
        model_image_url=urls[0],
        outfit_image_url=urls[1],
        accessories=(),
        prompt_system="Dress the person.",
        request_id=f"req_{uuid4()}" if channel is Channel.B2B else None,
        shopper_email=None,
    )
    await tools.orders.ledger.take(payer_for(new), "Try-on")
    await tools.sessions.insert(new)
    return new


def payload(new: NewSession) -> Mapping[str, object]:
    """The payload as the platform writes it, not built by the worker's own code."""
    owner = "store_id" if new.channel is Channel.B2B else "user_id"
    return {
        "task_id": str(uuid4()),
        "channel": new.channel.value,
        owner: new.owner_id,
        "session_id": new.session_id,
        "image_urls": [new.model_image_url, new.outfit_image_url],
        "prompt": "Dress the person in image 1 in the outfit from image 2.\ncafé, 試着",
        "request_id": new.request_id or f"req_{uuid4()}",
        "version": 1,
        "created_at": datetime.now(UTC).isoformat(),
    }


async def ended(tools: OperatorTools, new: NewSession) -> Session:
    key = SessionKey(channel=new.channel, session_id=new.session_id)
    async with asyncio.timeout(JOB_S):
        while True:
            row = await tools.sessions.get(key)
            if row is not None and row.status in {Status.COMPLETED, Status.FAILED}:
                return row
            await asyncio.sleep(0.1)


async def as_shopper(row: Session) -> bytes:
    """The picture behind the address in the row."""
    async with httpx.AsyncClient(trust_env=False, timeout=STOP_S) as browser:
        return (await browser.get(str(row.generated_image_url))).content


def scraped(*ports: int) -> dict[tuple[str, ...], float]:
    """Every sample, by its name and by its name with each label."""
    found: dict[tuple[str, ...], float] = {}
    for port in ports:
        text = httpx.get(f"http://127.0.0.1:{port}/metrics", trust_env=False, timeout=STOP_S).text
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                found[sample.name,] = sample.value
                found |= {(sample.name, *label): sample.value for label in sample.labels.items()}
    return found


def push(url: str, message: str) -> None:
    with Redis.from_url(url) as redis:
        redis.lpush(TASK_LIST, message)


@pytest.mark.anyio
@pytest.mark.parametrize("channel", list(Channel))
async def test_a_pushed_job_becomes_a_picture_and_a_finished_row(
    tmp_path: Path, channel: Channel
) -> None:
    with (
        ImageApiProcess() as api,
        stack(
            tmp_path,
            OPENAI_BASE_URL=api.base_url,
            OPENAI_API_KEY=KEY,
            WEARON_METRICS_PORT=str(metrics_port := free_port(run=2)),
        ) as running,
    ):
        async with open_operator_tools(running.settings) as tools:
            push(running.redis_url, "{ not json")
            new = await order(tools, channel)
            push(running.redis_url, json.dumps(payload(new)))
            row = await ended(tools, new)
            stored = await tools.storage.get(row.result_path)
            letters = await tools.letters.list(limit=10)
        shown = await as_shopper(row)
        book = api.book()
        ports = (metrics_port, metrics_port + 1, running.settings.port)
        until(lambda: ("wearon_jobs_total", "outcome", "completed") in scraped(*ports))
        metrics = scraped(*ports)
    assert row.status is Status.COMPLETED, row.error_message
    assert shown == stored
    with Image.open(BytesIO(stored)) as picture:
        assert (picture.format, picture.size) == ("JPEG", (1024, 1536))
    assert list(book["purchases"].values()) == [1]
    assert len(letters) == 1  # the malformed job was kept, and the worker continued
    assert running.process.returncode == 0
    assert metrics["wearon_intake_total", "result", "taken"] == 1
    assert metrics["wearon_intake_total", "result", "refused"] == 1
    assert metrics["wearon_jobs_total", "outcome", "completed"] == 1
    assert metrics["wearon_image_calls_total", "status", "200"] == 1
    assert (metrics["wearon_dead_letters",], metrics["wearon_queue_depth",]) == (1, 0)
    # Every line about the job can be found by its session.
    about = [line for line in running.lines() if line.get("session_id") == new.session_id]
    assert {"consume", "celery"} <= {str(line["role"]) for line in about}
    assert all(line.get("channel") == channel.value for line in about)
    assert all(line.get("request_id") for line in about)
    assert KEY not in running.log.read_text("utf-8")
    assert "token=" not in running.log.read_text("utf-8")


def test_a_local_stack_with_a_key_buys_nothing_without_a_yes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its workers have the key; the command that orders does not need one."""
    monkeypatch.chdir(tmp_path)
    words = ["try-on", *(str(ASSETS / name) for name in ("person.jpg", "garment_tee.jpg"))]
    with (
        ImageApiProcess() as api,
        stack(tmp_path, OPENAI_BASE_URL=api.base_url, OPENAI_API_KEY=KEY),
    ):
        words += ["--local", "--data-dir", str(tmp_path / "data"), "--json"]
        refused = CliRunner().invoke(app, words)
        bought_unasked = api.book()["purchases"]
        done = CliRunner().invoke(app, [*words, "--yes"])
        bought = api.book()["purchases"]
    assert (refused.exit_code, bought_unasked) == (4, {})
    assert json.loads(refused.stdout)["error"]["code"] == "consent_missing"
    assert (done.exit_code, list(bought.values())) == (0, [1]), done.output


@pytest.mark.parametrize("key", PROVIDER_KEYS.values())
def test_a_stack_of_previews_only_has_no_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    monkeypatch.setenv(key, "sk-test")
    with local_stack(tmp_path, previews_only=True) as settings:
        assert draws_previews(settings)


def test_two_stacks_run_side_by_side_and_leave_no_process(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    two.mkdir()
    with stack(one) as first, stack(two) as second:
        children = [
            child
            for each in (first, second)
            for child in psutil.Process(each.process.pid).children(recursive=True)
        ]
        roles = Counter(map(role_of, children))
        assert first.settings.port != second.settings.port
        for each in (first, second):
            url = f"http://{each.settings.host}:{each.settings.port}/health"
            assert httpx.get(url, trust_env=False, timeout=STOP_S).json()["redis_connected"]
    assert sorted(roles.values()) == [2, 2, 2, 2]  # a Redis server and three roles each
    assert [child for child in children if psutil.pid_exists(child.pid)] == []
    assert attached(one / "data") is None


def test_a_killed_supervisor_takes_its_children_with_it(tmp_path: Path) -> None:
    with stack(tmp_path) as running:
        children = psutil.Process(running.process.pid).children(recursive=True)
        running.process.kill()
        running.process.wait(timeout=STOP_S)
        _, alive = psutil.wait_procs(children, timeout=STOP_S)
    assert alive == []
