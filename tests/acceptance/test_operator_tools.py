"""The operators' desk on a running stack: a failure is found, told, run again, and adds up."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import wearon_cli
from devkit.local_stack import Stack, stack
from devkit.servers.image_api import KEY
from devkit.servers.image_api_process import ImageApiProcess
from devkit.servers.platform import Platform
from devkit.servers.supabase import SupabaseServer
from devkit.waiting import LONGEST_S

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


def test_a_failed_session_is_told_run_again_and_everything_adds_up(tmp_path: Path) -> None:
    with (
        ImageApiProcess(latency="0.2") as api,
        stack(tmp_path, OPENAI_BASE_URL=api.base_url, OPENAI_API_KEY=KEY) as running,
    ):
        tools = OperatorTools(running)
        api.rules(faults=[{"name": "moderation_input", "times": 2}])
        tools.ask("try-on", *PICTURES, "--channel", "b2c", code=7)
        failed = tools.ask("try-on", *PICTURES, "--channel", "b2b", code=7)
        session_id = failed["data"]["session_id"]

        listed = tools.ask("sessions", "--failed", "--since", "1h")["data"]["sessions"]
        assert [each["error_code"] for each in listed] == ["generation_refused"] * 2
        assert listed[0]["session_id"] == session_id
        told = tools.ask("session", session_id)["data"]
        assert (told["credit"], told["place"], told["picture_stored"]) == (
            "returned",
            "ended",
            False,
        )
        assert [entry["kind"] for entry in told["ledger"]] == ["deduction", "refund"]
        assert session_id in tools.read("session", session_id)

        plan = tools.ask("replay-task", session_id, "--dry-run")["data"]
        assert (plan["free"], plan["buys"]) == (True, True)
        assert api.book()["billed"] == 0
        again = tools.ask("replay-task", session_id, "--reason", "support", "--charge")["data"]
        assert (again["status"], api.book()["billed"]) == ("completed", 1)
        after = tools.ask("session", session_id)["data"]
        assert "replayed" in [event["event"] for event in after["events"]]

        refused = tools.ask("replay-task", session_id, code=5)["error"]
        assert refused["code"] == "session_final"
        forced = tools.ask("replay-task", session_id, "--force")["data"]
        assert (forced["status"], api.book()["billed"]) == ("completed", 2)

        rest = tools.ask("replay-task", "--failed", "--since", "1h")["data"]
        assert [each["status"] for each in rest["sessions"]] == ["completed"]
        assert tools.ask("replay-task", "--failed", "--since", "1h", code=5)["error"]["hint"]

        costs = tools.ask("costs", "--by", "model")["data"]
        assert costs["lines"][0]["pictures"] == 2
        status = tools.ask("status")["data"]
        assert (status["consumers"], status["last_hour"]["completed"]) == (1, 2)
        assert tools.ask("reconcile")["data"]["cases"] == []
        findings = tools.ask("doctor")["data"]["findings"]
        assert {"consumers", "celery workers"} <= {each["name"] for each in findings}
        unknown = tools.ask("session", "0193a1c0-7b1e-7c4a-9f00-3f2c6f0a9d01", code=5)
        assert "generation_sessions" in unknown["error"]["hint"]


def test_now_works_on_the_queue_when_no_worker_runs(
    supabase: SupabaseServer, environment: dict[str, str], photos: str
) -> None:
    platform = Platform(supabase, photos)
    job = platform.order("b2c", "")  # its row is queued, and nobody ever pushed it
    done = subprocess.run(
        [sys.executable, "-m", "wearon_cli", "replay-task", job.session_id, "--now", "--json"],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=LONGEST_S,
    )
    answer = json.loads(done.stdout)
    assert (answer["ok"], answer["data"]["status"]) == (True, "completed")
    assert answer["data"]["credit"] == "spent"
    assert platform.balances()["user"] == 999
