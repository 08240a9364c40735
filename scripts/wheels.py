"""
Resolve the lock files for every supported platform and Python, and report what is missing.

    python -m scripts.wheels takes minutes; uses pip's configured index

Nothing is installed. For each combination the markers of requirements-dev.lock are evaluated for
that machine, and pip resolves the remaining packages to wheels in a dry run. A package is missing
when it has no wheel there, or when its wheel is not among the hashes that the lock file allows.
Exit code 1 when anything is missing.
"""

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
LOCKS = ("requirements-build.lock", "requirements-dev.lock")  # the latter holds the product's too
PYTHONS = ("3.12", "3.13", "3.14")
PIP_TIMEOUT_S = 600
NO_WHEEL = re.compile(r"No matching distribution found for ([A-Za-z0-9._-]+)==")


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """A kind of machine: its marker values, and the wheel tags it accepts."""

    name: str
    markers: Mapping[str, str]
    tags: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Locked:
    """One line of a lock file."""

    requirement: Requirement
    hashes: frozenset[str]


def _linux(arch: str, *, oldest_glibc: int = 17, glibc: int = 36) -> Machine:
    """Debian 12 and newer, and every other Linux with glibc 2.36 (2022)."""
    tags = [f"manylinux_2_{minor}_{arch}" for minor in range(glibc, oldest_glibc - 1, -1)]
    old = [f"manylinux{year}_{arch}" for year in ("2014", "2010", "1")]
    return Machine(
        name=f"Linux {arch}",
        markers={
            "os_name": "posix",
            "sys_platform": "linux",
            "platform_system": "Linux",
            "platform_machine": arch,
        },
        tags=(*tags, *old),
    )


MACHINES = (
    _linux("x86_64"),
    _linux("aarch64"),
    Machine(
        name="macOS arm64",
        markers={
            "os_name": "posix",
            "sys_platform": "darwin",
            "platform_system": "Darwin",
            "platform_machine": "arm64",
        },
        tags=("macosx_14_0_arm64",),  # pip takes older ones with it
    ),
)


def locked() -> list[Locked]:
    """Every line of the lock files, with the hashes under it."""
    found = {}
    for lock in LOCKS:
        text = (ROOT / lock).read_text("utf-8").replace("\\\n", " ")
        for line in text.splitlines():
            if not line.strip() or line.startswith("#"):
                continue
            requirement, *hashes = re.split(r"\s+--hash=sha256:", line.strip())
            found[requirement] = Locked(
                requirement=Requirement(requirement), hashes=frozenset(hashes)
            )
    return list(found.values())


def wanted(lines: Iterable[Locked], machine: Machine, python: str) -> dict[str, Locked]:
    """The packages that this machine installs, by name."""
    environment = {
        **machine.markers,
        "python_version": python,
        "python_full_version": f"{python}.0",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
    }
    return {
        line.requirement.name: line
        for line in lines
        if line.requirement.marker is None or line.requirement.marker.evaluate(environment)
    }


def missing(lines: Mapping[str, Locked], machine: Machine, python: str) -> list[str]:
    """The reason for each package that cannot be installed there; empty when all can."""
    left = dict(lines)
    faults: list[str] = []
    while True:
        report, error = _dry_run(left.values(), machine, python)
        if report is not None:
            return faults + list(unknown_wheels(report, left))
        without = NO_WHEEL.search(error)
        if without is None or without[1] not in left:
            raise SystemExit(f"pip failed for another reason:\n{error}")
        del left[without[1]]
        faults.append(f"{without[1]}: no wheel")


def unknown_wheels(report: Mapping[str, Any], lines: Mapping[str, Locked]) -> Iterable[str]:
    """Wheels that pip would install and the lock file does not allow."""
    for item in report["install"]:
        name = str(item["metadata"]["name"])
        line = next(each for key, each in lines.items() if _same(key, name))
        if item["download_info"]["archive_info"]["hashes"]["sha256"] not in line.hashes:
            yield f"{name}: its wheel is not in the lock file"


def _dry_run(
    lines: Iterable[Locked], machine: Machine, python: str
) -> tuple[dict[str, Any] | None, str]:
    """Pip's report, or what it said on stderr."""
    with tempfile.TemporaryDirectory() as folder:
        wish = Path(folder) / "requirements.txt"
        pins = (f"{each.requirement.name}{each.requirement.specifier}" for each in lines)
        wish.write_text("\n".join(pins), "utf-8")
        report = Path(folder) / "report.json"
        done = subprocess.run(
            [
                *(sys.executable, "-m", "pip", "install", "--dry-run", "--quiet", "--no-deps"),
                *("--ignore-installed", "--only-binary=:all:", "--target", folder),
                *("--implementation", "cp", "--python-version", python),
                *(word for tag in machine.tags for word in ("--platform", tag)),
                *("--report", str(report), "--requirement", str(wish)),
            ],
            capture_output=True,
            text=True,
            timeout=PIP_TIMEOUT_S,
            check=False,
        )
        if done.returncode:
            return None, done.stderr
        found: dict[str, Any] = json.loads(report.read_text("utf-8"))
        return found, ""


def _same(one: str, other: str) -> bool:
    """Two spellings of one package's name."""
    return re.sub(r"[-_.]+", "-", one).lower() == re.sub(r"[-_.]+", "-", other).lower()


def main() -> int:
    lines = locked()
    faults = 0
    for machine in MACHINES:
        for python in PYTHONS:
            needed = wanted(lines, machine, python)
            found = missing(needed, machine, python)
            faults += len(found)
            print(
                f"{machine.name:14} Python {python}: {len(needed)} packages, {len(found)} missing"
            )
            for fault in found:
                print(f"    {fault}")
    return int(faults > 0)


if __name__ == "__main__":
    sys.exit(main())
