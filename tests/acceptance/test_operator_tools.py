"""The operator tools on a running stack: a failure is found, shown, replayed, and the books
agree.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

import wearon_cli
from devkit.local_stack import Stack, stack
from devkit.servers.image_api import KEY
from devkit.servers.image_api_process import ImageApiProcess
from devkit.servers.platform import Platform
from devkit.servers.redis_server import RedisServer
from devkit.servers.supabase import ANON_KEY, SupabaseServer
from devkit.waiting import LONGEST_S
from devkit.workers import workers

pytestmark = pytest.mark.slow

ASSETS = Path(wearon_cli.__file__).parent / "assets"
PICTURES = (str(ASSETS / "person.jpg"), str(ASSETS / "garment_tee.jpg"))


class OperatorTools:
    """Commands against one local stack, as a script calls them."""

    def __init__(self, running: Stack) -> None:
        self._data = str(running.settings.local_dir)

    def ask(self, *words: str, code: int = 0) -> dict[str, Any]:
        done = self._run([*words, "--json"])
        assert done.returncode == code, done.stdout + done.stderr
        envelope: dict[str, Any] = json.loads(done.stdout)
        assert envelope["ok"] is (code == 0)
        return envelope

    def read(self, *words: str) -> str:
        done = self._run(list(words))
        assert done.returncode == 0, done.stderr
        assert max(map(len, done.stdout.splitlines())) <= 80
        return done.stdout

    def _run(self, words: list[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "wearon_cli", *words, "--local", "--data-dir", self._data],
            env=dict(os.environ),
            capture_output=True,
            text=True,
            timeout=LONGEST_S,
        )


def test_a_failed_session_is_shown_and_run_again_and_everything_adds_up(tmp_path: Path) -> None:
    with (
        ImageApiProcess(latency="0.2") as api,
        stack(tmp_path, OPENAI_BASE_URL=api.base_url, OPENAI_API_KEY=KEY) as running,
    ):
        tools = OperatorTools(running)
        api.rules(faults=[{"name": "moderation_input", "times": 2}])
        tools.ask("try-on", *PICTURES, "--yes", code=7)
        failed = tools.ask("try-on", *PICTURES, "--store", "demo.shop.test", "--yes", code=7)
        session_id = failed["data"]["session_id"]

        listed = tools.ask("sessions", "--failed", "--since", "1h")["data"]["sessions"]
        assert [each["error_code"] for each in listed] == ["generation_refused"] * 2
        assert listed[0]["session_id"] == session_id
        told = tools.ask("session", session_id)["data"]
        assert (told["credit"], told["job"], told["picture_stored"]) == ("returned", "ended", False)
        assert [each["state"] for each in told["inputs"]] == ["stored", "stored"]
        assert [entry["kind"] for entry in told["ledger"]] == ["deduction", "refund"]
        assert session_id in tools.read("session", session_id)

        plan = tools.ask("replay-task", session_id, "--dry-run")["data"]
        assert (plan["credit"], plan["action"], plan["buys"]) == ("returned", "draw", True)
        nobody = tools.ask("replay-task", session_id, code=4)["error"]
        assert nobody["code"] == "consent_missing"
        assert api.book()["billed"] == 0
        again = tools.ask("replay-task", session_id, "--reason", "support", "--charge", "--yes")
        assert (again["data"]["status"], again["data"]["credit"]) == ("completed", "charged")
        assert api.book()["billed"] == 1
        after = tools.ask("session", session_id)["data"]
        assert "replayed" in [event["event"] for event in after["timeline"]]
        assert "gpt-image" in str(tools.ask("costs", "--by", "model")["data"]["lines"])

        refused = tools.ask("replay-task", session_id, "--yes", code=5)["error"]
        assert refused["code"] == "session_final"
        forced = tools.ask("replay-task", session_id, "--force", "--charge", "--yes")["data"]
        assert (forced["succeeded"], api.book()["billed"]) == (True, 2)
        assert tools.ask("replay-task", session_id, "--undo", "--yes")["data"]["undone"]

        many = ("replay-task", "--failed", "--since", "1h")
        summed = tools.ask(*many, "--dry-run")["data"]
        assert (summed["buys"], summed["causes"][0]["error_code"]) == (1, "generation_refused")
        assert tools.ask(*many, "--max-cost", "0.001", "--yes")["data"]["not_opened"]
        rest = tools.ask(*many, "--max-cost", "5", "--yes")["data"]
        assert [each["succeeded"] for each in rest["sessions"]] == [True]
        assert tools.ask(*many, "--yes", code=5)["error"]["hint"]

        costs = tools.ask("costs", "--by", "outcome")["data"]
        assert (costs["purchases"], api.book()["billed"]) == (3, 3)
        assert {line["name"]: line["purchases"] for line in costs["lines"]} == {
            "kept": 2,
            "replaced": 1,
        }
        spent_usd = sum(each["cost_usd"] for each in (again["data"], forced, rest["sessions"][0]))
        assert costs["total_usd"] == pytest.approx(spent_usd, abs=0.0001)
        status = tools.ask("status")["data"]
        assert (status["consumers"], status["last_hour"]["completed"]) == (1, 2)
        assert tools.ask("reconcile")["data"]["cases"] == []
        findings = tools.ask("doctor")["data"]["findings"]
        assert {"consumers", "celery workers"} <= {each["name"] for each in findings}
        unknown = tools.ask("session", "0193a1c0-7b1e-7c4a-9f00-3f2c6f0a9d01", code=5)
        assert "generation_sessions" in unknown["error"]["hint"]


def wearon(environment: dict[str, str], *words: str, code: int = 0) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "wearon_cli", *words, "--json"],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=90,
    )
    assert done.returncode == code, done.stdout + done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def test_now_runs_only_the_named_session(
    platform: Platform, environment: dict[str, str], redis: RedisServer
) -> None:
    """Seen: it ran other jobs too and cancelled them during their purchases."""
    job, other = platform.order("b2c", ""), platform.order("absorb", "")
    with Redis(port=redis.port) as client:
        client.lpush("wearon:tasks:generation", other.payload)
    answer = wearon(environment, "replay-task", job.session_id, "--now", "--yes")
    assert (answer["data"]["status"], answer["data"]["credit"]) == ("completed", "spent")
    assert platform.balances()["user"] == 999
    assert platform.statuses([other]) == {other.session_id: "queued"}
    with Redis(port=redis.port) as client:
        assert client.lrange("wearon:tasks:generation", 0, -1) == [other.payload]


def test_in_production_a_trial_takes_the_credit_it_says_or_none(
    platform: Platform, environment: dict[str, str], tmp_path: Path
) -> None:
    before = platform.balances()
    order = ("try-on", *PICTURES, "--store", f"https://{platform.absorb}.example/", "--yes")
    with workers(environment, tmp_path / "workers.log"):
        free = wearon(environment, *order, "--free", "--out", str(tmp_path / "free.jpg"))["data"]
        assert platform.balances() == before
        paid = wearon(environment, *order, "--out", str(tmp_path / "paid.jpg"))["data"]
    assert (free["status"], free["credit"]) == ("completed", "never_taken")
    assert (paid["status"], paid["credit"]) == ("completed", "spent")
    assert (tmp_path / "free.jpg").read_bytes().startswith(b"\xff\xd8")
    assert platform.balances() == {**before, "store": before["store"] - 1}


def test_in_production_nothing_is_ordered_or_corrected_without_a_yes(
    platform: Platform, environment: dict[str, str]
) -> None:
    before = platform.balances()
    owner = ("--user", platform.user)
    refused = wearon(environment, "try-on", *PICTURES, *owner, code=4)
    assert refused["error"]["code"] == "consent_missing"
    assert f"one of the 1000 credits of user {platform.user}" in refused["error"]["message"]
    domain = f"{platform.absorb}.example"
    store = wearon(environment, "try-on", *PICTURES, "--store", domain, code=4)["error"]
    assert f"one of the 1000 credits of store {domain}" in store["message"]
    free = wearon(environment, "try-on", *PICTURES, "--store", domain, "--free", code=4)["error"]
    assert "take no credit" in free["message"]
    nobody = wearon(environment, "try-on", *PICTURES, code=4)["error"]
    assert "--store" in nobody["hint"]
    assert platform.balances() == before
    anon = {**environment, "SUPABASE_SERVICE_ROLE_KEY": ANON_KEY}
    for command in ("reconcile", "costs", "sessions"):
        assert wearon(anon, command, code=3)["error"]["code"] == "config_error"


def test_a_session_is_forgotten_in_production_and_its_credit_stays_spent(
    platform: Platform, supabase: SupabaseServer, environment: dict[str, str]
) -> None:
    job = platform.order("b2c", "")
    wearon(environment, "replay-task", job.session_id, "--now", "--yes")
    stored = [name for name in supabase.storage.objects if job.session_id in name]
    assert len(stored) == 1
    marks = wearon(environment, "provenance", job.session_id)["data"]
    assert marks["has_c2pa"]  # as the provider sent it
    refused = wearon(environment, "forget", job.session_id, code=4)
    assert refused["error"]["code"] == "consent_missing"
    (receipt,) = wearon(environment, "forget", "--owner", platform.user, "--yes")["data"][
        "forgotten"
    ]
    assert (receipt["session_id"], receipt["pictures"]) == (job.session_id, 1)
    assert not set(stored) & set(supabase.storage.objects)
    told = wearon(environment, "session", job.session_id)["data"]
    assert (told["status"], told["credit"], told["picture_stored"]) == ("completed", "spent", False)
    assert [each["event"] for each in told["timeline"]] == ["forgotten"]
    assert platform.balances()["user"] == 999
