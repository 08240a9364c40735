"""The contents of the wheel built from this tree."""

import shutil
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

from wearon_cli.adapters.pose.model_file import model_path
from wearon_cli.core.settings import Settings

ROOT = Path(__file__).parents[2]
NEEDED = ("pyproject.toml", "README.md", "LICENSE", ".gitignore")


def built(tree: Path, folder: Path) -> ZipFile:
    """The wheel of a tree."""
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel"]
    subprocess.run([*build, "--directory", str(folder)], cwd=tree, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    return ZipFile(wheel)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> ZipFile:
    return built(ROOT, tmp_path_factory.mktemp("dist"))


def test_a_release_carries_the_pose_model_although_git_ignores_it(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    shutil.copytree(ROOT / "wearon_cli", tree / "wearon_cli")
    for name in NEEDED:
        shutil.copy(ROOT / name, tree)
    released = f"wearon_cli/assets/{model_path(Settings()).name}"
    (tree / released).write_bytes(b"model")
    assert built(tree, tmp_path).read(released) == b"model"


def test_it_has_the_marker_of_typed_packages(wheel: ZipFile) -> None:
    assert "wearon_cli/py.typed" in wheel.namelist()


def test_it_contains_its_licence(wheel: ZipFile) -> None:
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
