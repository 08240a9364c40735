"""
A command imports only what it uses, which keeps it fast.

Each runs in its own process, and reports at its end what it has imported. How long each takes is
measured by benchmarks/bench_cli.py, not here.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from wearon_cli.app import COMMANDS
from wearon_cli.runtime.all.local_stack import local_services

#: Runs `wearon` with the arguments that follow; the last line of stderr names what was imported.
PROBE = """
import atexit, sys
atexit.register(lambda: print(*sys.modules, file=sys.stderr))
from wearon_cli.app import main
main()
"""
#: Modules that no operators' command needs to read the queue and a local store.
UNUSED_BY_RUNS = {
    *("PIL", "celery", "fastapi", "httpx", "kombu", "limits", "mediapipe", "numpy", "postgrest"),
    *("prometheus_client", "scipy", "starlette", "storage3", "supabase", "uvicorn"),
    *("anyio", "ctypes", "encodings.idna", "pydantic_settings", "structlog"),
    *("wearon_cli.core.body.pose", "wearon_cli.core.jobs.generation"),
    *("wearon_cli.core.contract", "wearon_cli.core.jobs.events"),
    *("wearon_cli.core.jobs.settlement", "wearon_cli.core.operator.undo"),
}
#: What a run that draws no table does not need either.
TABLES = {"rich", "wearon_cli.cli.tables", "wearon_cli.cli.looks"}
#: What a run that reads no session does not need.
INSPECTOR = {"wearon_cli.core.operator.inspector", "wearon_cli.core.jobs.journal"}
#: What `status` needs only on a terminal.
LIVE = {"rich.live", "wearon_cli.cli.status_screen", "wearon_cli.cli.session_table"}
#: Modules that no help page needs.
UNUSED_BY_HELP = UNUSED_BY_RUNS | {
    *("anyio", "platformdirs", "pydantic", "pydantic_settings", "redis", "sqlite3", "structlog"),
    *("wearon_cli.core.contract", "wearon_cli.core.settings"),
}
#: As `PROBE`; the last line of stderr tells how many objects the last collections will pass over.
FROZEN = PROBE.replace("import atexit, sys", "import atexit, gc, sys").replace(
    "*sys.modules", "gc.get_freeze_count()"
)
#: With this, coverage.py measures a process from its start, and imports more.
COVERAGE = "COVERAGE_PROCESS_CONFIG"
NO_SESSION = "0193a1c0-7b1e-7c4a-9f00-3f2c6f0a9d01"
NOT_FOUND = 5


def told(probe: str, *words: str, exit_code: int = 0) -> list[str]:
    """The words of the last line of stderr of a run of `wearon` by this probe."""
    run = subprocess.run(
        [sys.executable, "-c", probe, *words],
        env={name: os.environ[name] for name in os.environ if name != COVERAGE},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert run.returncode == exit_code, run.stderr
    return run.stderr.splitlines()[-1].split()


def imported(*words: str, exit_code: int = 0) -> set[str]:
    """Modules and packages that a run of `wearon` had imported at its end."""
    return set(told(PROBE, *words, exit_code=exit_code))


@pytest.mark.parametrize("command", COMMANDS)
def test_help_imports_nothing_heavy(command: str) -> None:
    modules = imported(command, "--help")
    assert f"wearon_cli.commands.{COMMANDS[command].target.partition(':')[0]}" in modules
    assert modules & UNUSED_BY_HELP == set()


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of a local stack whose Redis runs."""
    folder = tmp_path_factory.mktemp("stack")
    with local_services(folder, host="127.0.0.1", port=0):
        yield folder


@pytest.mark.parametrize(
    ("words", "exit_code", "unused"),
    [
        pytest.param(("sessions",), 0, TABLES, id="sessions"),
        pytest.param(("session", NO_SESSION), NOT_FOUND, TABLES, id="session"),
        pytest.param(("status", "--once"), 0, INSPECTOR | LIVE, id="status"),
        pytest.param(("dead-letters", "list"), 0, TABLES | INSPECTOR, id="dead-letters"),
        pytest.param(("costs",), 0, INSPECTOR, id="costs"),
        pytest.param(("failures",), 0, INSPECTOR, id="failures"),
        pytest.param(("reconcile",), 0, TABLES, id="reconcile"),
        pytest.param(("replay-task", NO_SESSION, "--dry-run"), NOT_FOUND, TABLES, id="replay-task"),
        pytest.param(("forget", NO_SESSION, "--dry-run"), NOT_FOUND, TABLES, id="forget"),
    ],
)
def test_a_run_imports_only_what_it_uses(
    words: tuple[str, ...], exit_code: int, unused: set[str], data_dir: Path
) -> None:
    """Seen: every run imported all operator tools, two thirds of what a run took."""
    modules = imported(*words, "--local", "--data-dir", str(data_dir), exit_code=exit_code)
    assert {"redis", "wearon_cli.wiring"} <= modules
    assert modules & (UNUSED_BY_RUNS | unused | {"wearon_cli.core.image_models"}) == set()


def test_the_models_path_imports_settings_only() -> None:
    modules = imported("model", "path")
    assert modules & (UNUSED_BY_RUNS | {"redis", "sqlite3", "structlog", "rich"}) == set()


def test_a_run_ends_without_looking_for_garbage() -> None:
    """Seen: at its end Python searched all that was imported, a seventh of a bare app's time."""
    assert int(told(FROZEN, "model", "path")[0]) > 10_000
