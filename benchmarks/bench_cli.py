"""
How long `wearon --help` takes, against a bare Typer app of two commands.

Wanted: at most 1.5 times as long. Both run as fresh processes, in turn, on the same interpreter;
the medians are compared, since a shared machine disturbs single runs. Exit code 1 when missed.

    .venv/bin/python benchmarks/bench_cli.py [ROUNDS]
"""

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

WANTED_RATIO = 1.5
ROUNDS = 15

BARE_APP = '''
import typer

app = typer.Typer()

@app.command()
def hello(name: str) -> None:
    """Say hello."""
    typer.echo(name)

@app.command()
def goodbye(name: str) -> None:
    """Say goodbye."""
    typer.echo(name)

app()
'''


def run_s(command: list[str]) -> float:
    started_s = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started_s


def medians_s(commands: dict[str, list[str]], rounds: int) -> dict[str, float]:
    """Median seconds of each command, run in turn; the first run of each only warms the disk."""
    for command in commands.values():
        run_s(command)
    times_s: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            times_s[name].append(run_s(command))
    return {name: statistics.median(each) for name, each in times_s.items()}


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    with tempfile.TemporaryDirectory() as folder:
        bare = Path(folder) / "bare.py"
        bare.write_text(BARE_APP)
        python = sys.executable
        found_s = medians_s(
            {
                "bare python": [python, "-c", "pass"],
                "bare Typer app --help": [python, str(bare), "--help"],
                "wearon --help": [python, "-m", "wearon_cli", "--help"],
                "wearon --version": [python, "-m", "wearon_cli", "--version"],
            },
            rounds,
        )
    ratio = found_s["wearon --help"] / found_s["bare Typer app --help"]
    for name, median_s in found_s.items():
        print(f"{name:24} {median_s * 1000:7.0f} ms")
    print(f"{'ratio':24} {ratio:7.2f}    (wanted: at most {WANTED_RATIO})")
    sys.exit(ratio > WANTED_RATIO)


if __name__ == "__main__":
    main()
