"""
The local stack on this machine: how long the demo takes, how soon `wearon all` is ready, and how
much memory it holds when idle.

    python benchmarks/bench_stack.py

Memory is the proportional set size: a page that n processes share counts as 1/n in each.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx
import psutil

from devkit.machine import machine
from devkit.usage import memory_by_role_mb
from wearon_cli.runtime.all.local_stack import attached

READY_WITHIN_S = 60.0
SETTLE_S = 5.0
WEARON = [sys.executable, "-m", "wearon_cli"]


def demo_s(folder: Path) -> float:
    begun_s = time.perf_counter()
    subprocess.run([*WEARON, "demo"], cwd=folder, check=True, capture_output=True, timeout=120)
    return time.perf_counter() - begun_s


def start_s(process: subprocess.Popen[bytes], data: Path) -> float:
    """Seconds until every role is ready and the pose model is loaded."""
    begun_s = time.perf_counter()
    while time.perf_counter() - begun_s < READY_WITHIN_S and process.poll() is None:
        settings = attached(data)
        if settings is not None:
            try:
                url = f"http://{settings.host}:{settings.port}/health"
                if httpx.get(url, trust_env=False).json()["status"] == "ok":
                    return time.perf_counter() - begun_s
            except httpx.HTTPError:
                pass
        time.sleep(0.02)
    raise SystemExit("the stack did not start")


def main() -> None:
    print(machine())
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        print(f"wearon demo, start to end     {demo_s(folder):6.1f} s    (wanted: under 25)")
        process = subprocess.Popen(
            [*WEARON, "all", "--local", "--data-dir", str(folder / "data")],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            print(f"wearon all --local, ready     {start_s(process, folder / 'data'):6.1f} s")
            time.sleep(SETTLE_S)
            sizes = memory_by_role_mb([psutil.Process(process.pid)])
        finally:
            process.terminate()
            process.wait(timeout=60)
    for name, size in sizes.items():
        print(f"  {name:<27} {size:6.0f} MB")
    print(f"idle, all its processes       {sum(sizes.values()):6.0f} MB   (wanted: under 400)")


if __name__ == "__main__":
    main()
