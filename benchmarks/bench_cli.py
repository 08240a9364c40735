"""
How long each command takes, compared with a bare Typer app of one command in the same environment.

Target: at most twice as long, for `--help` of every command and for the smallest real run of every
operators' command, on an empty local stack with a running Redis. Help is compared with the bare
app's help, a run with the bare app's run. Each run is a new process, paired with a run of the bare
app right before it. The result is the median of the pairs' ratios, since the load of a shared
machine changes every second. Processor time is measured, which does not include waiting.
The package is compiled first, as an installation compiles it.

    .venv/bin/python benchmarks/bench_cli.py [ROUNDS]

Exit code 1 when a command misses the target.
"""

import compileall
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import wearon_cli
from wearon_cli.app import COMMANDS
from wearon_cli.runtime.all.local_stack import local_services

WANTED_RATIO = 2.0
ROUNDS = 11

BARE_APP = '''
import typer

app = typer.Typer()

@app.command()
def hello(name: str = "you") -> None:
    """Say hello."""
    typer.echo(name)

app()
'''
#: What any run needs before our own code: the Redis client.
LIBRARIES = BARE_APP.replace("import typer", "import typer, redis.asyncio", 1)

NO_SESSION = "0193a1c0-7b1e-7c4a-9f00-3f2c6f0a9d01"
#: The smallest real run of each command, and its exit code: 5 says that there is no such session.
RUNS: Mapping[str, tuple[tuple[str, ...], int]] = {
    "sessions": (("sessions",), 0),
    "session": (("session", NO_SESSION), 5),
    "status": (("status", "--once"), 0),
    "dead-letters": (("dead-letters", "list"), 0),
    "costs": (("costs",), 0),
    "failures": (("failures",), 0),
    "reconcile": (("reconcile",), 0),
    "replay-task": (("replay-task", NO_SESSION, "--dry-run"), 5),
    "forget": (("forget", NO_SESSION, "--dry-run"), 5),
    "model path": (("model", "path"), 0),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A command line, and the bare one it is compared with."""

    name: str
    words: tuple[str, ...]
    bare: tuple[str, ...]
    environment: Mapping[str, str]
    exit_code: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Medians over the rounds."""

    time_s: float
    bare_s: float
    ratio: float


def processor_s(words: tuple[str, ...], environment: Mapping[str, str], exit_code: int) -> float:
    """Processor seconds of one fresh process, user and system."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    run = subprocess.run(
        [sys.executable, *words],
        env={**os.environ, **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=False,
    )
    if run.returncode != exit_code:
        sys.exit(f"{' '.join(words)} ended with {run.returncode}, not {exit_code}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measure(case: Case, rounds: int) -> Found:
    """Run the pairs; the first one only warms the disk cache."""
    pairs = [
        (processor_s(case.bare, {}, 0), processor_s(case.words, case.environment, case.exit_code))
        for _ in range(rounds + 1)
    ][1:]
    return Found(
        time_s=statistics.median(ours for _, ours in pairs),
        bare_s=statistics.median(bare for bare, _ in pairs),
        ratio=statistics.median(ours / bare for bare, ours in pairs),
    )


def cases(folder: Path, local: Mapping[str, str]) -> Iterator[Case]:
    """Help of every command, then the runs."""
    bare, libraries = folder / "bare.py", folder / "libraries.py"
    bare.write_text(BARE_APP)
    libraries.write_text(LIBRARIES)
    help_of_bare = (str(bare), "--help")
    for name in ("", *COMMANDS):
        words = ("-m", "wearon_cli", *name.split(), "--help")
        shown = " ".join(("wearon", *words[2:]))
        yield Case(name=shown, words=words, bare=help_of_bare, environment={})
    yield Case(
        name="bare app + redis",
        words=(str(libraries),),
        bare=(str(bare),),
        environment={},
    )
    for name, (words, exit_code) in RUNS.items():
        yield Case(
            name=f"wearon {name}",
            words=("-m", "wearon_cli", *words),
            bare=(str(bare),),
            environment={} if name == "model path" else local,
            exit_code=exit_code,
        )


@contextmanager
def stack() -> Iterator[dict[str, str]]:
    """The environment of a command for a local stack with a running Redis."""
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        with local_services(data, host="127.0.0.1", port=0):
            yield {"WEARON_LOCAL": "1", "WEARON_DATA_DIR": str(data)}


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    missed = False
    compileall.compile_dir(Path(wearon_cli.__file__).parent, quiet=1)
    print(f"{'':36} {'processor':>9} {'bare app':>9} {'ratio':>6}")
    with tempfile.TemporaryDirectory() as folder, stack() as local:
        for case in cases(Path(folder), local):
            found = measure(case, rounds)
            over = found.ratio > WANTED_RATIO
            missed |= over
            print(
                f"{case.name:36} {found.time_s * 1000:6.0f} ms {found.bare_s * 1000:6.0f} ms "
                f"{found.ratio:6.2f}{'  over' if over else ''}",
                flush=True,
            )
    print(f"wanted: at most {WANTED_RATIO:g} times the bare app; medians of {rounds} pairs")
    sys.exit(missed)


if __name__ == "__main__":
    main()
