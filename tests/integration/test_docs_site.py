"""The documentation as a site: built without a warning, and searchable."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.slow


def build(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [Path(sys.executable).with_name("zensical"), "build", "--strict"],
        cwd=folder,
        capture_output=True,
        text=True,
    )


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    shutil.copy(ROOT / "mkdocs.yml", tmp_path)
    return tmp_path


def test_it_is_built_without_a_warning_and_every_page_can_be_found(copy: Path) -> None:
    built = build(copy)
    assert built.returncode == 0, built.stdout + built.stderr
    index = json.loads((copy / "site" / "search.json").read_text("utf-8"))
    found = {item["location"].partition("#")[0] for item in index["items"]}
    pages = {page.stem for page in (ROOT / "docs").glob("*.md")} - {"index"}
    assert pages <= {location.strip("/") for location in found}


def test_a_link_to_nowhere_fails_it(copy: Path) -> None:
    with (copy / "docs" / "index.md").open("a", encoding="utf-8") as page:
        page.write("\n[nowhere](alerts.md#no-such-section)\n")
    built = build(copy)
    assert built.returncode != 0
    assert "anchor does not exist" in built.stdout + built.stderr
