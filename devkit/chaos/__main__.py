"""
Jobs during kills, outages and faults: `make chaos`, or

    python -m devkit.chaos [--provider images|responses|runware] [--jobs 200] [--seed N]

The seed decides jobs, faults and the order of failures; timing still differs between runs. Prints a
table at the end; exit code 1 when a promise of docs/reliability.md is broken.
"""

import argparse
import random
import sys
import threading

from devkit.chaos.arena import arena
from devkit.chaos.report import Findings, await_rest, findings
from devkit.chaos.sellers import SELLERS
from devkit.chaos.violence import Rage, calm, push
from devkit.machine import machine
from devkit.servers.platform import Platform


def run(
    jobs: int,
    seed: int,
    *,
    seller: str = "images",
    over_s: float,
    within_s: float,
    **settings: str,
) -> Findings:
    """One round, and its outcomes."""
    with arena(seed, SELLERS[seller], **settings) as one:
        platform = Platform(one.server, one.photos)
        before = platform.balances()
        raging = threading.Thread(target=Rage(one, platform, over_s).run)
        raging.start()
        pushed = push(one, platform, jobs, over_s * 0.8)
        raging.join()
        one.diary.say("the violence is over")
        calm(one)
        await_rest(one, platform, pushed, within_s=within_s)
        one.diary.say("all jobs have ended, or time is up")
        return findings(one, platform, pushed, before)


def main() -> int:
    parser = argparse.ArgumentParser(description="Jobs under violence")
    parser.add_argument("--jobs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10_000))
    parser.add_argument("--provider", choices=list(SELLERS), default="images")
    told = parser.parse_args()
    print(f"{machine()}\n{told.provider}, seed {told.seed}: repeat it with --seed {told.seed}")
    found = run(told.jobs, told.seed, seller=told.provider, over_s=70.0, within_s=240.0)
    print("\n" + "\n".join(found.lines()))
    print("BROKEN: " + ", ".join(found.broken) if found.broken else "every promise was kept")
    return int(bool(found.broken))


if __name__ == "__main__":
    sys.exit(main())
