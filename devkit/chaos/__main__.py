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

from devkit.chaos.disruption import Disruption, end_faults, push
from devkit.chaos.providers import PROVIDERS
from devkit.chaos.report import Findings, await_all_ended, findings
from devkit.chaos.stack import chaos_stack
from devkit.machine import machine
from devkit.servers.platform import Platform


def run(
    jobs: int,
    seed: int,
    *,
    provider: str = "images",
    over_s: float,
    within_s: float,
    **settings: str,
) -> Findings:
    """One round, and its outcomes."""
    with chaos_stack(seed, PROVIDERS[provider], **settings) as one:
        platform = Platform(one.server, one.photos)
        before = platform.balances()
        disruption = threading.Thread(target=Disruption(one, platform, over_s).run)
        disruption.start()
        pushed = push(one, platform, jobs, over_s * 0.8)
        disruption.join()
        one.actions.say("no more failures")
        end_faults(one)
        await_all_ended(one, platform, pushed, within_s=within_s)
        one.actions.say("all jobs have ended, or time is up")
        return findings(one, platform, pushed, before)


def main() -> int:
    parser = argparse.ArgumentParser(description="Jobs during kills, outages and faults")
    parser.add_argument("--jobs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10_000))
    parser.add_argument("--provider", choices=list(PROVIDERS), default="images")
    told = parser.parse_args()
    print(f"{machine()}\n{told.provider}, seed {told.seed}: repeat it with --seed {told.seed}")
    found = run(told.jobs, told.seed, provider=told.provider, over_s=70.0, within_s=240.0)
    print("\n" + "\n".join(found.lines()))
    print("BROKEN: " + ", ".join(found.broken) if found.broken else "every promise was kept")
    return int(bool(found.broken))


if __name__ == "__main__":
    sys.exit(main())
