"""The wheel, built from this tree and looked into."""

import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> ZipFile:
    folder = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel"]
    subprocess.run([*build, "--directory", str(folder)], cwd=ROOT, check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    return ZipFile(built)


def test_it_says_that_it_is_typed(wheel: ZipFile) -> None:
    assert "wearon_cli/py.typed" in wheel.namelist()


def test_it_carries_its_licence(wheel: ZipFile) -> None:
    (metadata,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    lines = wheel.read(metadata).decode().splitlines()
    assert "License-Expression: LicenseRef-Proprietary" in lines
    assert "License-File: LICENSE" in lines
    carried = wheel.read(metadata.replace("METADATA", "licenses/LICENSE"))
    assert carried == (ROOT / "LICENSE").read_bytes()


def test_it_carries_every_file_of_the_package_and_nothing_else(wheel: ZipFile) -> None:
    wanted = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "wearon_cli").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {name for name in wheel.namelist() if ".dist-info/" not in name} == wanted
