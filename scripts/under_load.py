"""
Run tests next to busy loops: `scripts/under_load.py [what pytest is to run, and its options]`.

A test that passes alone and fails here depends on a quiet machine: it waits for a duration instead
of a state. Exits with pytest's code.
"""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

#: One for each core of the smallest machine the tests run on.
LOOPS = 2
#: A loop ends by itself after this time, in case this script is killed first.
LONGEST_S = 3600
BUSY = f"import time\nend = time.monotonic() + {LONGEST_S}\nwhile time.monotonic() < end: pass"


@contextmanager
def load() -> Iterator[None]:
    """Keep the cores busy while the body runs."""
    loops = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(LOOPS)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
        for loop in loops:
            loop.wait()


def main(words: list[str]) -> int:
    with load():
        return subprocess.run([sys.executable, "-m", "pytest", *words], check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
